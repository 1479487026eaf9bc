"""Links between nodes: authenticated by the transport keys on the ledger, bounded in every direction."""

from node.peers.errors import PeerError
from node.peers.frames import Lane
from node.peers.transport import Handler, Member, Observer, Peers, Receiver

__all__ = ["Handler", "Lane", "Member", "Observer", "PeerError", "Peers", "Receiver"]
