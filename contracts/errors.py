"""Whose fault it is: the caller's input, the author of a transaction, or an artefact that proves nothing.

    ContractError               code, detail
     +- InputError              a document handed to a pure function is not what it must be; `path` says where
     +- Refusal                 an operation breaks a contract rule: it becomes a receipt, state stays untouched
     +- TokenError              a customer's token is malformed or its signature does not verify
     +- GenesisError            the network described by a genesis must not start; lists every fault

`detail` holds identifiers and rule names only, never content of a document.
"""

from typing import Final

MAX_STEP: Final = 64
"""Characters of one step of a path: twice the longest field name. Keys of maps are the document's own words."""
MAX_PATH: Final = 256
"""Characters of a whole path; a deeper place is named by its beginning."""


class ContractError(Exception):
    """Base of the package. `code` is stable and documented."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail


class InputError(ContractError):
    """A document that cannot be used. `path` is a JSON Pointer (RFC 6901) into it, "" for the whole document."""

    def __init__(self, code: str, path: str, detail: str) -> None:
        super().__init__(code, detail)
        self.path = shorten(path, MAX_PATH)

    def __str__(self) -> str:
        return f"{self.code} at {self.path or 'the whole document'}: {self.detail}"

    def under(self, step: str | int) -> "InputError":
        """The same fault, seen from the object or list that holds the faulty value at `step`."""
        return InputError(self.code, pointer("", step) + self.path, self.detail)

    def as_dict(self) -> dict[str, str]:
        """The error object of the interface: code, detail, path."""
        return {"code": self.code, "detail": self.detail, "path": self.path}


def pointer(path: str, key: str | int) -> str:
    """`path` extended by one step, escaped as RFC 6901 section 3 asks; a key longer than any known is cut."""
    if isinstance(key, int):
        return f"{path}/{key}"
    return f"{path}/{shorten(key, MAX_STEP).replace('~', '~0').replace('/', '~1')}"


def shorten(text: str, most: int) -> str:
    """Foreign text for a message: at most `most` characters, nothing that a terminal or a log would not print."""
    shown = text if len(text) <= most else text[: most - 1] + "…"
    return shown if shown.isprintable() else "".join(letter if letter.isprintable() else "\ufffd" for letter in shown)


class Refusal(ContractError):
    """An operation breaks a rule. `subject` names the object it collided with, where there is one."""

    def __init__(self, code: str, detail: str, subject: str | None = None) -> None:
        super().__init__(code, detail)
        self.subject = subject


class TokenError(ContractError):
    """A token is no valid JWS of the expected type."""


class GenesisError(ContractError):
    """A genesis that breaks a rule of membership; `detail` joins all faults."""
