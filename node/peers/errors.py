"""How talking to another node can fail. The sender learns a code; it never learns what the other node holds.

PeerError codes raised by `Peers.request`:
  `unknown_peer`   no such participant in the registry, or this node itself
  `unreachable`    no link to the participant at the moment, or it ended before the answer
  `timeout`        no answer within the caller's bound
  `busy`           too many requests under way, here or there
  `too_large`      the payload, or its answer, is over the message bound
  `unknown_method` the other node has no such method
  `failed`         the other node's handler failed without a code
  any other        the code that the other node's handler raised
Codes of refused connections and ended links (log lines, and the reason in the WebSocket close frame):
  `tls` `no_certificate` `unknown_certificate` `wrong_certificate` `not_a_peer` `too_many_links` `not_dialler`
  `bad_hello` `wrong_version` `wrong_network` `wrong_participant` `hello_timeout` `bad_frame` `too_large`
  `stalled` `replaced` `not_a_member` `stopping` `unreachable`
"""

from node.errors import NodeError


class PeerError(NodeError):
    """A request that got no answer, or a refusal. `code` is stable, `detail` is for people."""
