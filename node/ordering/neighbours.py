"""How the others are doing: their heights, their clocks, and the finalization a late node has not heard of.

Knows one question and its answer. Must not decide anything: a finalization learned here goes through the core like
any other message, and a clock that is off makes this node not ready, never wrong.
"""

import asyncio
from collections.abc import Callable
from statistics import median
from typing import Annotated

from msgspec import Meta, Struct

from consensus.messages import Certified, encode_message
from ledger.certificates import Certificate, decode_certificate
from ledger.encoding import convert, decode, encode
from ledger.errors import LedgerError
from ledger.types import Height, Millis
from node.chain import Chain
from node.clock import Clock
from node.ordering.links import Links
from node.peers.errors import PeerError

METHOD = "status"
FIRST_S = 0.5
"""A node that starts late asks soon, as it may wait half a minute for the next block of an idle ledger."""
INTERVAL_S = 5.0
TIMEOUT_S = 3.0
MAX_SKEW_MS = 1_000
"""A5: beyond this distance from the median of the others a node reports not ready."""
MAX_ANSWER_BYTES = 64 * 1024


class Status(Struct, frozen=True, forbid_unknown_fields=True):
    """One node's answer: its last final height, its wall clock, and the certificate of that height."""

    height: Height
    now_ms: Millis
    certificate: Annotated[str, Meta(max_length=MAX_ANSWER_BYTES)] | None


class Neighbours:
    """Asks every linked peer now and then; answers the same question."""

    def __init__(self, chain: Chain, links: Links, clock: Clock, hear: Callable[[str, bytes], None]) -> None:
        """`hear` gives the core a message."""
        self._chain = chain
        self._links = links
        self._clock = clock
        self._hear = hear
        self.heights: dict[str, int] = {}
        self._skews: dict[str, int] = {}

    async def serve(self, _peer: str, _payload: bytes) -> bytes:
        """Handler of the method."""
        row = self._chain.floor()
        certificate = None if row is None or row.certificate is None else row.certificate.decode("ascii")
        return encode(Status(self._chain.height, self._clock.now_ms(), certificate))

    async def run(self) -> None:
        """Ask for ever."""
        await asyncio.sleep(FIRST_S)
        while True:
            peers = self._links.connected()
            for known in (self.heights, self._skews):
                for peer in known.keys() - peers:
                    del known[peer]
            await asyncio.gather(*(self._ask(peer) for peer in peers))
            await asyncio.sleep(INTERVAL_S if peers else FIRST_S)

    def proven_height(self) -> int:
        """A height that more validators claim than can lie; a single claim, however high, moves nothing (B18)."""
        members = self._chain.final.validators
        claims = sorted((self.heights.get(member.id, 0) for member in members.validators), reverse=True)
        return claims[len(members) - members.quorum] if claims else 0

    def skew_ms(self) -> int:
        """How far this clock is from the median of the others, its own zero included."""
        return int(median([*self._skews.values(), 0])) if self._skews else 0

    async def _ask(self, peer: str) -> None:
        asked = self._clock.monotonic_ms()
        try:
            data = await self._links.request(peer, METHOD, b"", TIMEOUT_S)
            status = convert(decode(data, limit=MAX_ANSWER_BYTES), Status)
            certificate = None if status.certificate is None else decode_certificate(status.certificate.encode())
        except (PeerError, LedgerError):
            self.heights.pop(peer, None)
            return
        waited = self._clock.monotonic_ms() - asked
        self.heights[peer] = status.height
        self._skews[peer] = self._clock.now_ms() - waited // 2 - status.now_ms
        self._pass_on(peer, status.height, certificate)

    def _pass_on(self, peer: str, height: int, certificate: Certificate | None) -> None:
        if certificate is not None and height > self._chain.height:
            self._hear(peer, encode_message(Certified(certificate)))
