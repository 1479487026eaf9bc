"""The links of one node to the others: who is linked, and three ways to speak (message, request, observe).

Every link is a WebSocket over mutual TLS 1.3 whose two keys are those of two registered participants, so a
`peer_id` given to a callback is proven, not claimed. Knows nothing of blocks, votes or documents: payloads
are opaque bytes. No call here waits for a slow peer except `request`, and that one has a bound.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from ledger.crypto.keys import TlsIdentity
from node.peers.frames import Lane

Handler: TypeAlias = Callable[[str, bytes], Awaitable[bytes]]
"""(peer_id, payload) -> answer. Raises PeerError or LedgerError to answer with its code."""
Receiver: TypeAlias = Callable[[str, bytes], None]
"""(peer_id, payload). Synchronous and quick: it queues or steps, it does not wait."""
Observer: TypeAlias = Callable[[Literal["in", "out"], str, bytes], None]
"""(direction, peer_id, frame): every frame in clear, just before TLS encrypts it or after TLS opened it."""


@dataclass(frozen=True, slots=True)
class Member:
    """What the registry says of one participant. `endpoint` "host:port"; None: it dials out only (edge)."""

    id: str
    transport_spki: str
    endpoint: str | None


class Peers:
    """All links of one node. One instance per node, used from its event loop only."""

    def __init__(
        self,
        *,
        me: str,
        chain: bytes,
        tls: TlsIdentity,
        members: Iterable[Member],
        listen: tuple[str, int] | None,
        jitter: Callable[[], float],
        addresses: Mapping[str, str] | None = None,
        proxy: str | None = None,
    ) -> None:
        """`me`: own participant id; `chain`: genesis hash; `listen`: (host, port), port 0 = any, None = dial only.

        `jitter` gives a number in [0, 1) for reconnect delays. `addresses` overrides endpoints of the registry
        (node.toml `[peers]`). `proxy`: "http://host:port" for outbound links of an edge participant.
        """
        raise NotImplementedError

    async def start(self) -> None:
        """Listen, and begin to dial. Returns without waiting for links. Raises PeerError `listen`."""
        raise NotImplementedError

    async def stop(self) -> None:
        """Close every link and the listener; pending requests end with `unreachable`."""
        raise NotImplementedError

    @property
    def port(self) -> int:
        """The port listened on (the real one when 0 was asked for); 0 when not listening."""
        raise NotImplementedError

    def set_members(self, members: Iterable[Member]) -> None:
        """The registry changed (a final block): drop links of those gone or re-keyed, dial the new ones."""
        raise NotImplementedError

    def register(self, method: str, handler: Handler) -> None:
        """Answer requests for `method` (ASCII, 1 to 64 characters). Once for each method, before `start`."""
        raise NotImplementedError

    def on_message(self, lane: Lane, receiver: Receiver) -> None:
        """Give every message of `lane` to `receiver`. Once for each lane, before `start`."""
        raise NotImplementedError

    def add_observer(self, observer: Observer) -> None:
        """See every frame in clear, both ways. For tests of what leaves the node."""
        raise NotImplementedError

    async def request(self, to: str, method: str, payload: bytes, timeout_s: float = 10.0) -> bytes:
        """The answer of `to`. Raises PeerError (codes in node/peers/errors.py); never retries."""
        raise NotImplementedError

    def send(self, to: str, lane: Lane, payload: bytes) -> bool:
        """Queue one message and return at once. False: not linked, nothing queued.

        Beyond the bound of the lane's queue its oldest message is dropped (counted; logged for consensus).
        """
        raise NotImplementedError

    def broadcast(self, lane: Lane, payload: bytes) -> None:
        """`send` to every linked participant."""
        raise NotImplementedError

    def connected(self) -> frozenset[str]:
        """Participants with a link right now (never this node itself)."""
        raise NotImplementedError

    async def wait_connected(self, peers: Iterable[str]) -> None:
        """Return once all of `peers` are linked at the same time. The caller bounds the wait."""
        raise NotImplementedError
