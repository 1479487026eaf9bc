"""Ranges of final blocks from a peer: what is not proven by a certificate above it is not looked at twice."""

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from contracts.genesis import decode_genesis, genesis_hash
from contracts.membership import validator_set
from ledger.blocks import decode_block, encode_block, header_hash
from ledger.certificates import (
    Certificate,
    Subject,
    ValidatorSet,
    Vote,
    build_certificate,
    encode_certificate,
    vote_message,
)
from ledger.crypto import bls
from ledger.errors import LedgerError, StoreError
from ledger.parts import join_parts, split_parts
from node.ordering import blocksync
from node.ordering.blocksync import VIEW_BYTES, check_range, read_range
from tests.support.chain_world import NOW, World, open_chain
from tests.support.cluster import TestNetwork, build_network


class Source:
    """A chain of five blocks, each but the third finalized directly."""

    def __init__(self, folder: Path) -> None:
        self.network: TestNetwork = build_network(folder / "nodes", time_ms=NOW)
        self.world = World(folder, self.network, open_chain(folder, self.network))
        self.validators: ValidatorSet = validator_set(decode_genesis(self.network.genesis))
        self.chain = genesis_hash(self.network.genesis)
        first, second = self.world.execute(), None
        self._commit((1, first.header_hash))
        second = self.world.execute()
        self._commit((2, second.header_hash))
        third = self.world.execute()
        fourth = self.world.execute(on=third.header_hash)
        self._commit((4, third.header_hash), (6, fourth.header_hash))
        self._commit((7, self.world.execute().header_hash))

    def _commit(self, *blocks: tuple[int, bytes]) -> None:
        certificate = encode_certificate(self.certify(*blocks[-1]))
        asyncio.run(self.world.chain.commit(list(blocks), certificate))

    def certify(self, view: int, digest: bytes, signers: tuple[int, ...] = (0, 1, 2)) -> Certificate:
        subject = Subject("finalize", 1, view, view - 1, digest.hex())
        votes = []
        for index in signers:
            finality = self.network.identities[self.validators.validators[index].id].finality
            assert finality is not None
            signature = bls.sign(finality.secret, vote_message(self.chain, subject)).hex()
            votes.append(Vote("finalize", 1, view, view - 1, digest.hex(), index, signature))
        return build_certificate(votes, self.validators)

    def check(self, data: bytes, after: int = 0) -> "blocksync.Range | None":
        parent = self.world.chain.block_at(after).header_hash if after else self.chain
        return check_range(data, after, parent, self.validators, self.chain)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Source]:
    made = Source(tmp_path_factory.mktemp("source"))
    yield made
    made.world.close()


def test_a_range_is_read_and_proven(source: Source) -> None:
    found = source.check(read_range(source.world.chain.store, 0))
    assert found is not None
    assert [block.header.height for _, block, _ in found.blocks] == [1, 2, 3, 4, 5]
    assert [view for view, _, _ in found.blocks] == [1, 2, 4, 6, 7]


def test_a_range_ends_at_a_certified_block(source: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocksync, "RANGE_BLOCKS", 1)
    found = source.check(read_range(source.world.chain.store, 2), after=2)
    assert found is not None
    assert [block.header.height for _, block, _ in found.blocks] == [3, 4], "the third has no certificate of its own"


def test_nothing_above_the_end(source: Source) -> None:
    data = read_range(source.world.chain.store, 5)
    assert data == b""
    assert source.check(data, after=5) is None


def test_an_answer_stays_below_the_bound_of_a_message(source: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    """B18: no answer is endless."""
    monkeypatch.setattr(blocksync, "MAX_RANGE_BYTES", 100)
    with pytest.raises(StoreError, match="range_too_large"):
        read_range(source.world.chain.store, 0)


def lies(source: Source) -> dict[str, Callable[[list[bytes]], list[bytes]]]:
    """Ways to answer wrongly, as changes of the true parts."""
    other = source.world.chain.block_at(2).header_hash

    def later_time(parts: list[bytes]) -> list[bytes]:
        block = decode_block(parts[2][VIEW_BYTES:])
        changed = replace(block, header=replace(block.header, time_ms=block.header.time_ms + 1))
        return [*parts[:2], parts[2][:VIEW_BYTES] + encode_block(changed), *parts[3:]]

    return {
        "a block is left out": lambda parts: [*parts[:2], *parts[3:]],
        "a block comes twice": lambda parts: [*parts[:2], parts[1], *parts[2:]],
        "blocks in another order": lambda parts: [parts[0], *parts[:0:-1]],
        "a certificate alone": lambda parts: parts[:1],
        "the last block is missing": lambda parts: parts[:-1],
        "a changed header": later_time,
        "a cut block": lambda parts: [*parts[:-1], parts[-1][:-1]],
        "another view": lambda parts: [*parts[:-1], bytes(VIEW_BYTES) + parts[-1][VIEW_BYTES:]],
        "a certificate of another block": lambda parts: [encode_certificate(source.certify(7, other)), *parts[1:]],
        "a certificate that is none": lambda parts: [b"{}", *parts[1:]],
        "a signature of nobody": lambda parts: [_spoil(parts[0]), *parts[1:]],
    }


def _spoil(certificate: bytes) -> bytes:
    head, tail = certificate.split(b'"signatures":["')
    return head + b'"signatures":["' + (b"0" if tail[10:11] != b"0" else b"1").join((tail[:10], tail[11:]))


@pytest.mark.parametrize("number", range(11))
def test_every_lie_is_found_before_execution(source: Source, number: int) -> None:
    """B18: each wrong range is refused as a whole, before a transaction of it is looked at."""
    name, lie = list(lies(source).items())[number]
    parts = list(split_parts(read_range(source.world.chain.store, 0)))
    with pytest.raises(LedgerError):
        source.check(join_parts(lie(parts)))
    assert name


def test_a_notarization_or_too_few_signers_prove_nothing(source: Source) -> None:
    """B18: the wrong kind of certificate, q-1 signers, another epoch."""
    parts = list(split_parts(read_range(source.world.chain.store, 0)))
    true = source.certify(7, header_hash(source.world.chain.block_at(5).header))
    for changes in ({"kind": "notarize"}, {"signers": "03"}, {"signers": "17"}, {"epoch": 2}):
        fields = {name: getattr(true, name) for name in true.__struct_fields__} | changes
        with pytest.raises(LedgerError):
            source.check(join_parts([encode_certificate(Certificate(**fields)), *parts[1:]]))
