"""How talking to another node can fail. The sender learns a code; it never learns what the other node holds.

PeerError codes raised by `Peers.request`:
  `unknown_peer`   no such participant in the registry, or this node itself
  `unreachable`    no link to the participant at the moment
  `timeout`        no answer within the caller's bound
  `busy`           too many requests under way, here or there
  `too_large`      the payload is over the message bound
  `unknown_method` the other node has no such method
  `failed`         the other node's handler failed without a code
  any other        the code that the other node's handler raised (LedgerError.code or PeerError.code)
"""


class PeerError(Exception):
    """A request that got no answer, or a refusal. `code` is stable, `detail` is for people."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail
