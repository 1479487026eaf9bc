"""Links between nodes: authenticated by the transport keys on the ledger, bounded in every direction."""

from node.peers.errors import PeerError
from node.peers.frames import Lane
from node.peers.limits import PeerLimits
from node.peers.link import Handler, Observer, Receiver
from node.peers.transport import Member, Peers

__all__ = ["Handler", "Lane", "Member", "Observer", "PeerError", "PeerLimits", "Peers", "Receiver"]
