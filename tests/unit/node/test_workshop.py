"""Blocks as ordering sees them: VALID only after every root was computed here, held when ahead of the clock."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from consensus.types import Verdict
from ledger.blocks import Block, encode_block, header_hash, transactions_root
from node.config import MempoolConfig
from node.mempool import Mempool
from node.ordering import workshop
from node.ordering.workshop import MAX_DRIFT_MS, Judgement, Workshop
from node.signatures import SignatureMemory
from tests.support.chain_world import NOW, World, open_chain, policy
from tests.support.cluster import build_network


class HandClock:
    def __init__(self) -> None:
        self.now = NOW + 1_000

    def now_ms(self) -> int:
        return self.now

    def monotonic_ms(self) -> int:
        return self.now


class Bench:
    """A workshop on a chain of its own."""

    def __init__(self, world: World, *, most: int = 500) -> None:
        self.world = world
        self.clock = HandClock()
        self.signatures = SignatureMemory()
        self.mempool = Mempool(MempoolConfig(), self.signatures)
        self.workshop = Workshop(world.chain, self.mempool, self.signatures, self.clock, max_transactions=most)

    @property
    def top(self) -> bytes:
        return self.world.chain.final.header_hash

    def admit(self, count: int = 1) -> None:
        for _ in range(count):
            self.mempool.admit(policy().encoded, self.world.chain.final, NOW)

    def block(self) -> Block:
        executed = self.workshop.build(self.top)
        assert executed is not None
        return executed.block

    def judge(self, block: Block, *, notarized: bool = False) -> Judgement | None:
        return self.workshop.judge(self.top, header_hash(block.header), encode_block(block), notarized=notarized)


@pytest.fixture
def benches(tmp_path: Path) -> Iterator[tuple[Bench, Bench]]:
    """The leader's and a voter's: two chains of one network."""
    network = build_network(tmp_path / "nodes", time_ms=NOW)
    worlds = []
    for name in ("leader", "voter"):
        (tmp_path / name).mkdir()
        worlds.append(World(tmp_path / name, network, open_chain(tmp_path / name, network)))
    yield Bench(worlds[0]), Bench(worlds[1])
    for world in worlds:
        world.close()


def test_what_one_builds_the_other_finds_valid(benches: tuple[Bench, Bench]) -> None:
    leader, voter = benches
    leader.admit(3)
    block = leader.block()
    assert len(block.transactions) == 3
    assert voter.judge(block) == Judgement(Verdict.VALID)
    assert voter.signatures.checked == 3
    assert voter.judge(block) == Judgement(Verdict.VALID)
    assert voter.signatures.checked == 3, "a second look costs nothing"
    assert voter.world.chain.is_executed(header_hash(block.header))


@pytest.mark.parametrize("field", ["state_root", "log_root", "receipts_root"])
def test_another_root_is_invalid_and_named(benches: tuple[Bench, Bench], field: str) -> None:
    """P15 B7: each root that differs."""
    leader, voter = benches
    leader.admit()
    block = leader.block()
    false = replace(block, header=replace(block.header, **{field: "ab" * 32}))
    judged = voter.judge(false)
    assert judged is not None
    assert judged.verdict is Verdict.INVALID
    assert field in judged.detail
    assert not voter.world.chain.is_executed(header_hash(false.header))


def test_a_forged_signature_makes_the_block_invalid(benches: tuple[Bench, Bench]) -> None:
    leader, voter = benches
    leader.admit()
    block = leader.block()
    data = block.transactions[0].replace(b'"signature":"', b'"signature":"00', 1)
    at = data.index(b'"signature":"') + len(b'"signature":"') + 128
    forged = (data[:at] + data[at + 2 :],)
    header = replace(block.header, tx_root=transactions_root(forged).hex())
    judged = voter.judge(Block(header=header, transactions=forged))
    assert judged is not None
    assert (judged.verdict, judged.detail[:13]) == (Verdict.INVALID, "bad_signature")


def test_a_block_ahead_of_this_clock_is_held_unless_a_quorum_spoke(benches: tuple[Bench, Bench]) -> None:
    """B24: more than the tolerance ahead: wait, do not refuse."""
    leader, voter = benches
    leader.clock.now += MAX_DRIFT_MS + 500
    block = leader.block()
    assert voter.judge(block) == Judgement(Verdict.LATER, wait_ms=500)
    voter.clock.now += 500
    assert voter.judge(block) == Judgement(Verdict.VALID)
    leader.clock.now += 100_000
    far = leader.block()
    assert voter.judge(far, notarized=True) == Judgement(Verdict.VALID)


def test_nothing_is_said_about_a_block_whose_parent_is_not_here(benches: tuple[Bench, Bench]) -> None:
    leader, voter = benches
    assert voter.workshop.judge(bytes(32), bytes(32), b"", notarized=False) is None
    assert leader.workshop.build(bytes(32)) is None


def test_a_node_that_waits_for_a_finalization_takes_on_no_more(
    benches: tuple[Bench, Bench], monkeypatch: pytest.MonkeyPatch
) -> None:
    leader, voter = benches
    block = leader.block()
    monkeypatch.setattr("node.chain.MAX_OVERLAYS", 0)
    assert voter.judge(block) is None
    assert voter.workshop.build(voter.top) is None


def test_a_name_binds_every_byte(benches: tuple[Bench, Bench]) -> None:
    leader, voter = benches
    leader.admit()
    block = leader.block()
    digest, payload = header_hash(block.header), encode_block(block)
    names = voter.workshop.names
    assert names.is_payload(digest, payload)
    for bad in (payload + b"x", payload[:-1], b"", payload.replace(b"policy.commit", b"policy.commiT", 1)):
        assert not names.is_payload(digest, bad)
    assert not names.is_payload(bytes(32), payload)
    assert names.decode(payload) == block


def test_a_starved_leader_makes_smaller_blocks(benches: tuple[Bench, Bench], monkeypatch: pytest.MonkeyPatch) -> None:
    leader, _ = benches
    leader.admit(60)
    ticks = iter(float(n) for n in range(1_000))
    monkeypatch.setattr("node.ordering.workshop.time.perf_counter", lambda: next(ticks))
    assert len(leader.block().transactions) == 60
    leader.clock.now += 1
    assert len(leader.block().transactions) == workshop.MIN_TRANSACTIONS
    assert leader.workshop.has_fresh(leader.top)
