"""What ordering asks of the transport, as a port: the real peers and the tests' in-memory network both fit it."""

from collections.abc import Awaitable, Callable
from typing import Protocol

from node.peers.frames import Lane
from node.peers.scores import Standing


class Links(Protocol):
    """Links to other participants. Senders given to receivers are authenticated."""

    def send(self, to: str, lane: Lane, payload: bytes) -> bool:
        """Queue for one peer; False when there is no link. Never waits."""
        ...

    def broadcast(self, lane: Lane, payload: bytes) -> None:
        """Queue for every linked peer."""
        ...

    async def request(self, to: str, method: str, payload: bytes, timeout_s: float = 10.0) -> bytes:
        """Ask one peer. Raises PeerError."""
        ...

    def connected(self) -> frozenset[str]:
        """Peers with a link right now."""
        ...

    def blame(self, peer: str, code: str) -> None:
        """A peer did what no correct one does; the transport keeps its score."""
        ...

    def standings(self) -> dict[str, Standing]:
        """Scores and bans of others."""
        ...

    def protect(self, needed: Callable[[], tuple[frozenset[str], int]]) -> None:
        """Who votes and how many of them must be in touch: bans never go below it."""
        ...

    def register(self, method: str, handler: Callable[[str, bytes], Awaitable[bytes]]) -> None:
        """Answer requests for `method`."""
        ...

    def on_message(self, lane: Lane, receiver: Callable[[str, bytes], None]) -> None:
        """Receive a lane's messages."""
        ...
