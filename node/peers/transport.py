"""The links of one node to the others: who is linked, and three ways to speak (message, request, observe).

Every link is a WebSocket over mutual TLS 1.3 whose two keys are those of two registered participants, so a
`peer_id` given to a callback is proven, not claimed. Knows nothing of blocks, votes or documents: payloads
are opaque bytes. No call here waits for a slow peer except `request`, and that one has a bound.
"""

import asyncio
import ssl
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

import aiohttp

from ledger.crypto.keys import TlsIdentity
from node.peers.certificates import client_context, server_context
from node.peers.dialler import Dialler
from node.peers.errors import PeerError
from node.peers.frames import Lane, is_code
from node.peers.limits import PeerLimits
from node.peers.link import Handler, Link, Observer, Receiver, Services
from node.peers.listener import Listener
from node.peers.scores import Scores, Standing

Needed = Callable[[], tuple[frozenset[str], int]]
"""Who votes, and how many of them must be in touch for the network to go on."""


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
        limits: PeerLimits | None = None,
    ) -> None:
        """`me`: own participant id; `chain`: genesis hash; `listen`: (host, port), port 0 = any, None = dial only.

        `jitter` gives a number in [0, 1) for reconnect delays. `addresses` overrides endpoints of the registry
        (node.toml `[peers]`). `proxy`: "host:port" of an HTTP CONNECT proxy for outbound links.
        """
        self._me = me
        self._chain = chain
        self._tls = tls
        self._listen = listen
        self._jitter = jitter
        self._addresses = dict(addresses or {})
        self._proxy = proxy
        self._services = Services(limits or PeerLimits(), blame=self.blame)
        self._scores = Scores(self._services.limits)
        self._needed: Needed = lambda: (frozenset(), 0)
        self._members = {member.id: member for member in members}
        self._links: dict[str, Link] = {}
        self._changed = asyncio.Event()
        self._listener: Listener | None = None
        self._dialler: Dialler | None = None
        self._watch: asyncio.Task[None] | None = None
        self._port = 0

    async def start(self) -> None:
        """Listen, and begin to dial. Returns without waiting for links. Raises PeerError `listen`."""
        accepts, dials = await asyncio.to_thread(_build_contexts, self._tls)
        self._dialler = Dialler(dials, self._services, self._adopt, self._refused_s, self._jitter, self._proxy)
        if self._listen is not None:
            self._listener = Listener(accepts, self._services, self._find_peer, self._adopt)
            self._port = self._listener.start(*self._listen)
        for member in self._members.values():
            self._dial(member)
        self._watch = asyncio.get_running_loop().create_task(self._drop_stalled())

    async def stop(self) -> None:
        """Close every link and the listener; pending requests end with `unreachable`."""
        if self._watch is not None:
            self._watch.cancel()
        for link in self._links.values():
            link.end("stopping")
        if self._dialler is not None:
            await self._dialler.stop()
        if self._listener is not None:
            await self._listener.stop()

    @property
    def port(self) -> int:
        """The port listened on (the real one when 0 was asked for); 0 when not listening."""
        return self._port

    def set_members(self, members: Iterable[Member]) -> None:
        """The registry changed (a final block): drop links of those gone or re-keyed, dial the new ones."""
        before, self._members = self._members, {member.id: member for member in members}
        for peer in before.keys() | self._members.keys():
            old, new = before.get(peer), self._members.get(peer)
            if old == new:
                continue
            if self._dialler is not None:
                self._dialler.forget(peer)
            if peer in self._links:
                self._links[peer].end("not_a_member")
            if new is None:
                self._scores.forget(peer)
                self._services.budgets.pop(peer, None)
            elif self._dialler is not None:
                self._dial(new)

    def protect(self, needed: Needed) -> None:
        """Never part with so many of those who vote that the others cannot decide. Before `start`."""
        self._needed = needed

    def blame(self, peer: str, code: str) -> None:
        """`peer` did what `code` says. Beyond a threshold it is refused for a time that grows from one to the next."""
        if peer not in self._members:
            return
        self._services.count(f"blamed_{code}")
        length_s = self._scores.blame(peer, code, self._now())
        if length_s > 0:
            self._services.log.error("peer_banned", peer=peer, code=code, seconds=length_s)
            self._apply_bans()

    def standings(self) -> dict[str, Standing]:
        """Whoever has a score or a ban right now."""
        narrow = {peer for peer, link in self._links.items() if link.narrow}
        found = self._scores.standings(self._now())
        return {peer: replace(each, narrow=peer in narrow) for peer, each in found.items()}

    def register(self, method: str, handler: Handler) -> None:
        """Answer requests for `method` (ASCII, 1 to 64 characters). Once for each method, before `start`."""
        if not is_code(method) or method in self._services.handlers:
            raise ValueError(f"{method!r} is no method name, or has a handler already")
        self._services.handlers[method] = handler

    def on_message(self, lane: Lane, receiver: Receiver) -> None:
        """Give every message of `lane` to `receiver`. Once for each lane, before `start`."""
        if lane in self._services.receivers:
            raise ValueError(f"lane {lane.name} has a receiver already")
        self._services.receivers[lane] = receiver

    def add_observer(self, observer: Observer) -> None:
        """See every frame in clear, both ways. For tests of what leaves the node."""
        self._services.observers.append(observer)

    async def request(self, to: str, method: str, payload: bytes, timeout_s: float = 10.0) -> bytes:
        """The answer of `to`. Raises PeerError (codes in node/peers/errors.py); never retries."""
        if to == self._me or to not in self._members:
            raise PeerError("unknown_peer", f"{to} is no other participant")
        link = self._links.get(to)
        if link is None:
            raise PeerError("unreachable", f"no link to {to}")
        return await link.request(method, payload, timeout_s)

    def send(self, to: str, lane: Lane, payload: bytes) -> bool:
        """Queue one message and return at once. False: not linked, nothing queued.

        Beyond the bound of the lane's queue its oldest message is dropped (counted; logged for consensus).
        Raises PeerError `too_large`.
        """
        link = self._links.get(to)
        if link is None:
            return False
        link.send(lane, payload)
        return True

    def broadcast(self, lane: Lane, payload: bytes) -> None:
        """`send` to every linked participant."""
        for link in self._links.values():
            link.send(lane, payload)

    def connected(self) -> frozenset[str]:
        """Participants with a link right now (never this node itself)."""
        return frozenset(self._links)

    async def wait_connected(self, peers: Iterable[str]) -> None:
        """Return once all of `peers` are linked at the same time. The caller bounds the wait."""
        wanted = frozenset(peers)
        while not wanted <= self._links.keys():
            await self._changed.wait()

    async def wait_disconnected(self, peers: Iterable[str]) -> None:
        """Return once none of `peers` is linked. The caller bounds the wait."""
        unwanted = frozenset(peers)
        while unwanted & self._links.keys():
            await self._changed.wait()

    def stats(self) -> dict[str, int]:
        """Counters since the start: frames and bytes both ways, drops by lane, refusals, links now."""
        return {**self._services.counts, "links": len(self._links)}

    def _dials(self, peer: str) -> bool:
        """One link for each pair: who listens is dialled; where both do, the smaller id dials."""
        return self._address(peer) is not None and (self._listen is None or self._me < peer)

    def _address(self, peer: str) -> str | None:
        member = self._members.get(peer)
        return None if member is None else self._addresses.get(peer, member.endpoint)

    def _dial(self, member: Member) -> None:
        address = self._address(member.id)
        if self._dialler is not None and address is not None and member.id != self._me and self._dials(member.id):
            self._dialler.dial(member.id, address, member.transport_spki)

    def _find_peer(self, spki: str) -> str:
        for member in self._members.values():
            if member.transport_spki == spki and member.id != self._me:
                if self._dials(member.id):
                    raise PeerError("not_dialler", f"{member.id} dialled, but this node dials it")
                if (wait_s := self._refused_s(member.id)) > 0:
                    raise PeerError("banned", f"{member.id}, for {wait_s:.0f} s more")
                return member.id
        raise PeerError("unknown_certificate", f"no participant has the transport key {spki}")

    async def _adopt(self, link: Link) -> None:
        """Greet, then run `link` to its end. A newer link of the same peer ends the older one."""
        try:
            await link.greet(self._chain, self._me)
        except PeerError as error:
            await link.shut(error.code)
            raise
        except (OSError, aiohttp.ClientError) as error:
            await link.shut("unreachable")
            raise PeerError("unreachable", f"{link.peer} went away ({type(error).__name__})") from None
        if older := self._links.get(link.peer):
            older.end("replaced")
        self._links[link.peer] = link
        self._apply_bans()
        self._notify()
        self._services.log.info("peer_linked", peer=link.peer)
        reason = "stopping"
        try:
            reason = await link.run()
        finally:
            if self._links.get(link.peer) is link:
                del self._links[link.peer]
                self._notify()
            self._services.log.info("peer_unlinked", peer=link.peer, reason=reason)
            await link.shut(reason)

    def _now(self) -> float:
        return asyncio.get_running_loop().time()

    def _refused_s(self, peer: str) -> float:
        """Seconds for which `peer` gets no link; 0 also for a banned one that cannot be spared."""
        banned_s = self._scores.banned_s(peer, self._now())
        return 0.0 if banned_s <= 0 or self._is_needed(peer) else banned_s

    def _is_needed(self, peer: str) -> bool:
        """Whether too few of those who vote would be in touch without `peer`."""
        voters, quorum = self._needed()
        if peer not in voters:
            return False
        now = self._now()
        others = [one for one in voters if one in self._links and one != peer and not self._scores.banned_s(one, now)]
        return len(others) + (self._me in voters) < quorum

    def _apply_bans(self) -> None:
        """Part with whoever is banned, or keep it for its votes alone; open wide whose ban is over."""
        now = self._now()
        for peer, link in list(self._links.items()):
            banned = self._scores.banned_s(peer, now) > 0
            link.narrow = banned and self._is_needed(peer)
            if banned and not link.narrow:
                link.end("banned")

    def _notify(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    async def _drop_stalled(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(self._services.limits.stall_s / 4)
            for link in list(self._links.values()):
                if link.is_stalled(loop.time()):
                    self.blame(link.peer, "stalled")
                    link.end("stalled")
            self._apply_bans()


def _build_contexts(tls: TlsIdentity) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    return server_context(tls), client_context(tls)
