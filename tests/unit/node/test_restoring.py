"""What a co-adjudicator endorses when an outcome is to be taken back: what it computes itself, after a reversal."""

import asyncio
from collections.abc import Callable

import pytest
from msgspec.structs import replace

from contracts.cases.checking import Package
from contracts.states import ClaimState, read_account, read_claim
from node.agents import restoring
from node.agents.messages import RestoringMessage
from node.agents.pooling import find_pool
from node.agents.restoring import is_reversed, restored_opening, restored_pool, restoring_fault
from tests.support.agent_world import World, admission, charges, discharge, invoice

Bench = tuple[World, str, Package, RestoringMessage]


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """A paid and closed claim, and a true request to take it back."""
    world = World(tmp_path_factory.mktemp("restoring"))

    async def story() -> Bench:
        certificate = await world.commit_policy()
        wallet = await world.grant(certificate)
        await world.publish(wallet, admission())
        await world.publish(wallet, discharge(), invoice(), charges())
        await world.acknowledge(wallet)
        judge, insurer = world.houses["tpa"].adjudicator, world.houses["insurer"].insurer
        assert judge is not None
        assert insurer is not None
        package = judge.signed_package(world.claim_id(wallet))
        assert package is not None
        state = read_account(world.network.state.read, certificate["account_id"])
        assert state is not None
        before = insurer.book.account(certificate["account_id"], state.version)
        after = restored_opening(before, package.policies[0], world.claim(wallet).payouts[0], "5a" * 32)
        pool = find_pool(world.houses["insurer"].ports, wallet.case_id)
        assert pool is not None
        rest = restored_pool(wallet.case_id, pool, world.claim(wallet).payouts[0], "5b" * 32)
        asked = RestoringMessage(package.policies[0].policy_id, before, after, pool, rest, "ab" * 16, 1)
        return world, world.claim_id(wallet), package, asked

    return asyncio.run(story())


def fault(bench: Bench, asked: RestoringMessage) -> str:
    world, claim_id, package, _ = bench
    judge = world.houses["tpa"].adjudicator
    assert judge is not None
    return restoring_fault(judge.ports, claim_id, claim_of(world, claim_id), package, asked)


def claim_of(world: World, claim_id: str) -> ClaimState:
    found = read_claim(world.network.state.read, claim_id)
    assert found is not None
    return found


def test_nothing_is_taken_back_without_a_reversal(bench: Bench) -> None:
    world, claim_id, _, asked = bench
    assert not is_reversed(world.houses["tpa"].ports, claim_of(world, claim_id))
    assert fault(bench, asked) == "NOTHING_REVERSED"


CHANGES: list[tuple[str, Callable[[RestoringMessage], RestoringMessage]]] = [
    ("ok", lambda asked: asked),
    ("NOTHING_REVERSED", lambda asked: replace(asked, policy_id="ab" * 16)),
    ("ACCOUNT_VERSION", lambda asked: replace(asked, account_in=asked.account_in | {"version": 7})),
    ("ACCOUNT_MISMATCH", lambda asked: replace(asked, account_in=asked.account_in | {"use": {}})),
    ("ACCOUNT_OUT", lambda asked: replace(asked, account_out=asked.account_out | {"use": asked.account_in["use"]})),
    ("ACCOUNT_OUT", lambda asked: replace(asked, account_out=asked.account_out | {"more": 1})),
    ("ACCOUNT_OUT", lambda asked: replace(asked, account_out={})),
    ("POOL_VERSION", lambda asked: replace(asked, pool_in=asked.pool_in | {"version": 7})),
    ("POOL_MISMATCH", lambda asked: replace(asked, pool_in=asked.pool_in | {"left_fen": 7})),
    ("POOL_OUT", lambda asked: replace(asked, pool_out=asked.pool_in | {"version": asked.pool_out["version"]})),
    ("POOL_OUT", lambda asked: replace(asked, pool_out=asked.pool_out | {"left_fen": 0})),
    ("POOL_OUT", lambda asked: replace(asked, pool_out={})),
]


@pytest.mark.parametrize(("code", "change"), CHANGES)
def test_the_next_version_is_computed_and_not_believed(
    bench: Bench, code: str, change: Callable[[RestoringMessage], RestoringMessage], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(restoring, "is_reversed", lambda *_: True)
    assert fault(bench, change(bench[3])) == code


def test_what_was_taken_back_leaves_the_account_as_it_was(bench: Bench) -> None:
    assert bench[3].account_out["use"] == {
        "prior_use": {},
        "family_deductible_used_fen": {},
        "lifetime_paid_fen": {},
        "used_invoices": [],
    }
    assert bench[3].account_out["reserved"] == []


def test_what_was_taken_back_is_left_of_the_loss_again(bench: Bench) -> None:
    taken, left = bench[3].pool_in, bench[3].pool_out
    assert [sum(item["paid_fen"].values()) for item in taken["invoices"]] == [105_334]
    assert [item["paid_fen"] for item in left["invoices"]] == [{}]
    assert left["left_fen"] - taken["left_fen"] == 105_334
