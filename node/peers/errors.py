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
"""

from typing import Final

from node.errors import NodeError

REFUSALS: Final = frozenset(
    {
        "accept",  # the system gave no socket
        "tls",  # no TLS 1.3, no certificate, or the handshake was too slow
        "no_certificate",
        "unknown_certificate",  # no participant has this transport key
        "wrong_certificate",  # at the address of one participant answers the key of another
        "not_a_peer",  # TLS by a member, then something other than the upgrade of a peer
        "too_many_links",
        "not_dialler",  # both ends listen and the other one is to be dialled
        "bad_hello",
        "wrong_version",
        "wrong_network",
        "wrong_participant",
        "hello_timeout",
        "bad_frame",
        "too_large",
        "stalled",  # takes no bytes, or asks faster than it reads
        "replaced",  # by a newer link of the same participant
        "flood",  # of pings: they cost a turn of the loop each and carry nothing
        "silent",  # no answer to a ping: the other end, or the path to it, is gone
        "banned",  # for its score, until a time that the status shows
        "not_a_member",  # no longer, or with another key
        "stopping",
        "unreachable",
    }
)
"""Codes of refused connections and ended links: in log lines, and as the reason in the WebSocket close frame."""


class PeerError(NodeError):
    """A request that got no answer, or a refusal. `code` is stable, `detail` is for people."""
