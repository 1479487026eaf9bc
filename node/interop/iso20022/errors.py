"""What is wrong with a payment message: a stable code, where, and what to do. Never a name, account or amount of it."""

from contracts.errors import MAX_PATH, shorten
from node.errors import NodeError


class MessageError(NodeError):
    """A message that cannot be read or must not be written. `path` names elements, never their content.

    Codes: `xml_size`, `xml_encoding`, `xml_form`, `xml_doctype`, `xml_bounds`, `message_unknown`, `element_missing`,
    `element_repeated`, `element_unknown`, `value`, `amount`, `date`, `charset`, `batch_size`, `account`.
    """

    def __init__(self, code: str, path: str, detail: str) -> None:
        where = shorten(path, MAX_PATH) if path else "message"
        super().__init__(code, f"{where}: {detail}")
        self.path = path
