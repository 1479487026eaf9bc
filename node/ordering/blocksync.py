"""Final blocks from other nodes' stores: how a late, restarted or non-voting node catches up.

Knows ranges, links between headers and certificates; execution is the workshop's. Must always hold: nothing of a
range is executed before a finalization of its last block verifies and every block links to the next up to it, so
a lying peer costs one range of bytes and no work on state; the first bad byte ends the range, another peer
is asked, and this one comes last from then on.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from msgspec import Struct

from contracts.validators import closes_epoch
from ledger.blocks import Block, decode_block, header_hash
from ledger.certificates import Certificate, ValidatorSet, decode_certificate, verify_finality
from ledger.encoding import decode_as, encode
from ledger.errors import DecodeError, InvalidBlock, InvalidCertificate, LedgerError, StoreError
from ledger.parts import join_parts, split_parts
from ledger.store import Store
from ledger.types import Height
from node.chain import Chain
from node.ordering.links import Links
from node.peers.errors import PeerError

METHOD = "blocks"
RANGE_BLOCKS = 64
RANGE_BYTES = 4 * 2**20
"""A range ends at the first certified block beyond either figure."""
MAX_RANGE_BYTES = 15 * 2**20
"""No answer is larger: below the bound of one peer message."""
MAX_RANGE_BLOCKS = 4_096
VIEW_BYTES = 8
TIMEOUT_S = 15.0
PAUSE_S = 0.5
"""Between rounds in which no peer had anything to give."""


class RangeRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """Final blocks above height `after`, please."""

    after: Height


@dataclass(frozen=True, slots=True)
class Range:
    """A checked run of final blocks: (view, block, bytes) ascending; `certificate` is of the last one."""

    blocks: tuple[tuple[int, Block, bytes], ...]
    certificate: Certificate
    encoded_certificate: bytes


def read_range(store: Store, after: int) -> bytes:
    """The answer to a request: the certificate, then view and bytes of each block; empty when nothing is above. A range
    never goes on behind the last block of an epoch, which another set proves.

    Raises StoreError `range_too_large` in the case that no certified block comes within the bounds.
    """
    parts: list[bytes] = []
    size = 0
    for height in range(after + 1, store.height + 1):
        row = store.spine(height)
        part = row.view.to_bytes(VIEW_BYTES, "big") + store.block(height)
        size += len(part)
        if size > MAX_RANGE_BYTES or len(parts) == MAX_RANGE_BLOCKS:
            raise StoreError("range_too_large", f"no certificate between heights {after} and {height}")
        parts.append(part)
        enough = len(parts) >= RANGE_BLOCKS or size >= RANGE_BYTES or height == store.height
        if row.certificate is not None and not enough:
            enough = closes_epoch(decode_block(store.block(height)).header)
        if enough and row.certificate is not None:
            return join_parts([row.certificate, *parts])
    return b""


def check_range(data: bytes, after: int, parent: bytes, validators: ValidatorSet, chain: bytes) -> Range | None:
    """A peer's answer as a run of blocks on `parent`, proven final. None for an empty one.

    Raises DecodeError, InvalidBlock (`height`, `parent`, ...) or InvalidCertificate.
    """
    if not data:
        return None
    encoded_certificate, *parts = split_parts(data, most=MAX_RANGE_BLOCKS + 1)
    if not parts:
        raise DecodeError("truncated", "a certificate without blocks")
    certificate = decode_certificate(encoded_certificate)
    blocks = []
    for number, part in enumerate(parts, start=1):
        view, encoded = int.from_bytes(part[:VIEW_BYTES], "big"), part[VIEW_BYTES:]
        block = decode_block(encoded)
        if block.header.height != after + number:
            raise InvalidBlock("height", f"height {block.header.height}, expected {after + number}")
        if block.header.parent != parent.hex():
            raise InvalidBlock("parent", f"block {block.header.height} does not link to the one before")
        if block.header.epoch != validators.epoch or (closes_epoch(block.header) and number < len(parts)):
            raise InvalidBlock("epoch", f"block {block.header.height} does not belong to epoch {validators.epoch}")
        parent = header_hash(block.header)
        blocks.append((view, block, encoded))
    verify_finality(certificate, parent, validators, chain)
    view = blocks[-1][0]
    is_own = view == certificate.view and certificate.digest == parent.hex()
    is_tail = view < certificate.view and certificate.digest != parent.hex() and closes_epoch(blocks[-1][1].header)
    if view < 1 or not (is_own or is_tail):
        raise InvalidCertificate("view", f"block of view {view}, certificate of view {certificate.view}")
    return Range(tuple(blocks), certificate, encoded_certificate)


class BlockSync:
    """Asks peers for what is missing. `take` makes a checked range final here."""

    def __init__(
        self,
        chain: Chain,
        links: Links,
        take: Callable[[Range], Awaitable[None]],
        blame: Callable[[str, str], None],
    ) -> None:
        self._chain = chain
        self._links = links
        self._take = take
        self._blame = blame
        self._failures: dict[str, int] = {}
        """Peer -> bad or missing answers in the sync under way: they are asked last (B18)."""

    async def serve(self, _peer: str, payload: bytes) -> bytes:
        """Handler of the method."""
        request = decode_as(payload, RangeRequest, limit=200)
        return await asyncio.to_thread(read_range, self._chain.store, request.after)

    async def run(self, target: Certificate) -> Certificate:
        """Return once every block up to the one that `target` names is final here; gives the last certificate.

        Asks one peer after the other, those that hold the target's votes first by chance of order; never gives up,
        because without these blocks this node can do nothing else. Raises what `take` raises.
        """
        last = target
        self._failures.clear()
        while not self._reached(target):
            progress = False
            for peer in self._order():
                found = await self._fetch(peer)
                if found is None:
                    continue
                await self._take(found)
                last, progress = found.certificate, True
                break
            if not progress:
                await asyncio.sleep(PAUSE_S)
        return last

    async def take_one(self) -> None:
        """One range from whoever has one; returns after a pause if nobody has."""
        for peer in self._order():
            found = await self._fetch(peer)
            if found is not None:
                await self._take(found)
                return
        await asyncio.sleep(PAUSE_S)

    def _reached(self, target: Certificate) -> bool:
        assert target.digest is not None, "a finalization names a block"
        if self._chain.final.validators.epoch > target.epoch:  # of a tail block there is nothing in any store
            return True
        return self._chain.store.spine_of(bytes.fromhex(target.digest)) is not None

    def _order(self) -> list[str]:
        """Validators first; a different one first at each height, so that load spreads; who failed comes last."""
        connected = self._links.connected()
        members = [member.id for member in self._chain.final.validators.validators if member.id in connected]
        others = sorted(connected - set(members))
        turn = self._chain.height % len(members) if members else 0
        return sorted(members[turn:] + members[:turn] + others, key=lambda peer: self._failures.get(peer, 0))

    async def _fetch(self, peer: str) -> Range | None:
        height, parent = self._chain.height, self._chain.final.header_hash
        request = encode(RangeRequest(after=height))
        try:
            data = await self._links.request(peer, METHOD, request, TIMEOUT_S)
        except PeerError:
            self._note_failure(peer)
            return None
        try:
            return check_range(data, height, parent, self._chain.final.validators, self._chain.final.chain)
        except LedgerError as error:
            self._note_failure(peer)
            self._blame(peer, f"sync_{error.code}")
            return None

    def _note_failure(self, peer: str) -> None:
        self._failures[peer] = self._failures.get(peer, 0) + 1
