"""A claim that was paid and reopened: the difference is paid once, or comes back; account and pool keep one outcome."""

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from msgspec import structs

from contracts.cases.building import PolicyInput
from contracts.cases.checking import Mismatch, check_earlier
from contracts.cases.movements import outcome_effect, read_balance, sum_paid, sum_reserved
from contracts.claimbodies import ClaimReopen
from contracts.commitments import commit
from contracts.holdstates import read_recovery
from contracts.identifiers import derive_payout_id, derive_pool_id, derive_recovery_id
from contracts.states import read_account, read_payout, read_pool
from node.agents import earlier
from node.agents.earlier import with_earlier
from node.agents.gathering import Gathered, Missing
from node.agents.policies import HeldPolicy
from node.audit.build import build_dossier
from node.audit.dossier import Dossier, encode_dossier
from node.wallet import ConsentWallet
from node.wallet_claims import make_reopening
from tests.second_verifier import verifier
from tests.second_verifier.test_agreement import REFUSED, first_answer, native
from tests.support.agent_world import (
    World,
    admission,
    charges,
    discharge,
    invoice,
    standard_policy,
    standard_product,
)
from tests.support.ledger_source import MemorySource

ALLOWANCE, WHOLE = 30_000, 135_334
"""Within the waiting period an illness is paid the allowance of three days alone; an accident the expenses too."""
LESS: dict[str, Any] = {"cause": "illness"}
MORE: dict[str, Any] = {"cause": "accident"}


def late_cover() -> dict[str, Any]:
    tables = standard_product()
    tables["plans"]["STD"]["benefits"]["AL"]["waiting_days"] = 0
    terms = standard_policy("insurer")["terms"] | {"first_effective": "2021-11-24"}
    return {"terms": terms, "product": tables}


async def decided(
    world: World, first: dict[str, Any], *bills: tuple[str, dict[str, Any]]
) -> tuple[ConsentWallet, dict[str, Any], str]:
    certificate = await world.commit_policy(**late_cover())
    wallet = await world.grant(certificate)
    await world.publish(wallet, admission())
    records = await world.publish(wallet, discharge(**first), *(bills or [invoice()]), charges())
    await world.settle()
    assert world.claim(wallet).status == "DECIDED", world.detail(wallet)
    return wallet, certificate, records[0]


async def paid(
    world: World, first: dict[str, Any], *bills: tuple[str, dict[str, Any]]
) -> tuple[ConsentWallet, dict[str, Any], str]:
    wallet, certificate, record = await decided(world, first, *bills)
    assert await world.acknowledge(wallet) == 1
    assert world.claim(wallet).status == "CLOSED"
    return wallet, certificate, record


async def decide_again(world: World, wallet: ConsentWallet, replaced: str, other: dict[str, Any]) -> str:
    """The record that takes the place of the replaced one."""
    await reopen(world, wallet)
    hospital = world.houses["hospital"].hospital
    assert hospital is not None
    _, records = await hospital.publish_records(wallet.consent_id, [discharge(**other)], replaces=replaced)
    await world.settle()
    return records[0]


async def reopen(world: World, wallet: ConsentWallet) -> None:
    claim_id, attempt = world.claim_id(wallet), world.claim(wallet).attempt
    token, reason, _ = make_reopening(wallet, claim_id, attempt, "the cause is another", world._chance)
    assert world.network.do("claim.reopen", ClaimReopen(claim_id, reason, token), "hospital").code == "ok"
    await world.settle()


def ordered(world: World, wallet: ConsentWallet, policy_id: str, attempt: int) -> Any:
    payout_id = derive_payout_id(world.claim_id(wallet), policy_id, attempt)
    kept = world.houses["insurer"].ports.vault.get_secret(f"order/{payout_id}/1")
    return None if kept is None else kept["amount_fen"]


def books(world: World, wallet: ConsentWallet, certificate: dict[str, Any]) -> tuple[int, int, set[str]]:
    """(paid, reserved, payouts in the pool) by the openings of the ledger's versions."""
    read, vault = world.network.state.read, world.houses["insurer"].ports.vault
    account_id = certificate["account_id"]
    account = read_account(read, account_id)
    assert account is not None
    balance = read_balance(vault.need_secret(f"account/{account_id}/{account.version}"))
    agent = world.houses["insurer"].insurer
    assert agent is not None
    package = agent.decider.proposal(world.claim_id(wallet))
    pool = read_pool(read, derive_pool_id(wallet.case_id))
    assert package is not None
    assert pool is not None
    assert package.policies[0].pool_out["version"] == pool.version
    names = {name for item in package.policies[0].pool_out["invoices"] for name in item["paid_fen"]}
    return sum_paid(balance.use), sum_reserved(balance), names


@pytest.mark.parametrize("forgetful", [False, True], ids=["running", "restarted"])
def test_a_claim_that_was_paid_too_little_is_paid_the_difference_once(tmp_path: Path, forgetful: bool) -> None:
    world = World(tmp_path)

    async def story() -> Dossier:
        wallet, certificate, record = await paid(world, LESS)
        claim_id, policy_id = world.claim_id(wallet), certificate["policy_id"]
        assert ordered(world, wallet, policy_id, 1) == ALLOWANCE
        world.forgetful = forgetful
        await decide_again(world, wallet, record, MORE)
        assert world.claim(wallet).status == "DECIDED", world.detail(wallet)
        result = world.detail(wallet)["results"][0]
        assert (result["total_fen"], result["net_fen"]) == (WHOLE, WHOLE - ALLOWANCE)
        assert await world.acknowledge(wallet) == 1
        assert world.claim(wallet).status == "CLOSED"
        assert [ordered(world, wallet, policy_id, number) for number in (1, 2)] == [ALLOWANCE, WHOLE - ALLOWANCE]
        latest = derive_payout_id(claim_id, policy_id, 2)
        assert books(world, wallet, certificate) == (WHOLE, WHOLE, {latest})
        discloser = world.houses["insurer"].discloser
        return build_dossier(MemorySource(world.network), claim_id, discloser.dossier_material(claim_id))

    dossier, genesis = asyncio.run(story()), world.network.genesis_bytes
    answer = first_answer(encode_dossier(dossier), genesis)
    assert answer[2] == [9, 10, 11, 12]
    assert [result["advance_fen"] for result in answer[3]] == [ALLOWANCE]
    with pytest.raises(verifier.Refused, match="not understood"):
        verifier.verify(encode_dossier(dossier), genesis, native)
    (shown,) = dossier.policies
    assert shown.earlier is not None
    for told in (None, shown.earlier | {"effect": shown.earlier["effect"] | {"prior_use": {}}}):
        other = structs.replace(dossier, policies=(structs.replace(shown, earlier=told),))
        assert first_answer(encode_dossier(other), genesis) == REFUSED


def test_what_was_paid_too_much_becomes_a_recovery(tmp_path: Path) -> None:
    world = World(tmp_path)

    async def story() -> None:
        wallet, certificate, record = await paid(world, MORE)
        claim_id, policy_id = world.claim_id(wallet), certificate["policy_id"]
        await decide_again(world, wallet, record, LESS)
        result = world.detail(wallet)["results"][0]
        assert (result["net_fen"], result["recoverable_fen"]) == (0, WHOLE - ALLOWANCE)
        recovery_id = derive_recovery_id(claim_id, policy_id, 2)
        recovery = read_recovery(world.network.state.read, recovery_id)
        assert recovery is not None
        assert recovery.status == "OPEN"
        opening = world.houses["insurer"].ports.vault.need_secret(f"recovery/{recovery_id}")
        assert opening["amount_fen"] == WHOLE - ALLOWANCE
        assert world.claim(wallet).status == "CLOSED"
        payout = read_payout(world.network.state.read, derive_payout_id(claim_id, policy_id, 2))
        assert payout is not None
        assert payout.status == "NOT_DUE"
        assert books(world, wallet, certificate)[0] == ALLOWANCE

    asyncio.run(story())


def test_each_attempt_is_measured_against_the_one_before(tmp_path: Path) -> None:
    world = World(tmp_path)

    async def story() -> None:
        wallet, certificate, record = await paid(world, LESS)
        results = []
        for other in (MORE, LESS):
            record = await decide_again(world, wallet, record, other)
            results.append(world.detail(wallet)["results"][0])
            await world.acknowledge(wallet)
            assert world.claim(wallet).status == "CLOSED"
        more = WHOLE - ALLOWANCE
        assert [(one["net_fen"], one["recoverable_fen"]) for one in results] == [(more, 0), (0, more)]
        assert books(world, wallet, certificate)[0] == ALLOWANCE

    asyncio.run(story())


def test_the_payment_of_the_decision_before_is_finished_first(tmp_path: Path) -> None:
    world = World(tmp_path)

    async def story() -> None:
        wallet, certificate, record = await decided(world, LESS)
        await decide_again(world, wallet, record, MORE)
        assert world.claim(wallet).status == "EVIDENCE_COMPLETE"
        assert world.detail(wallet)["waiting_for"] == "MISSING_ACK"
        assert await world.acknowledge(wallet) == 1
        assert world.claim(wallet).status == "DECIDED", world.detail(wallet)
        assert await world.acknowledge(wallet) == 1
        policy_id = certificate["policy_id"]
        assert [ordered(world, wallet, policy_id, number) for number in (1, 2)] == [ALLOWANCE, WHOLE - ALLOWANCE]

    asyncio.run(story())


def test_another_claim_of_the_account_between_the_attempts_changes_nothing(tmp_path: Path) -> None:
    """Its decision captures the first attempt's reservation: both sides remember what that was."""
    world = World(tmp_path)

    async def story() -> None:
        wallet, certificate, record = await paid(world, LESS)
        other = await world.grant(certificate)
        await world.publish(other, admission())
        await world.publish(other, discharge(**LESS), invoice(9), charges())
        assert await world.acknowledge(other) == 1
        await decide_again(world, wallet, record, MORE)
        assert world.detail(wallet)["amount_fen"] == WHOLE - ALLOWANCE, world.detail(wallet)
        assert await world.acknowledge(wallet) == 1
        assert books(world, wallet, certificate)[0] == WHOLE + ALLOWANCE

    asyncio.run(story())


def red(bill: dict[str, Any], number: int) -> tuple[str, dict[str, Any]]:
    """The red invoice of a bill."""
    turned = {name: -value if name.endswith("_fen") else value for name, value in bill.items()}
    turned["items"] = [item | {"amount_fen": -item["amount_fen"]} for item in bill["items"]]
    reverses = {"code": bill["code"], "number": bill["number"]}
    return "invoice", turned | {"kind": "red", "number": f"{number:010d}", "reverses": reverses}


def test_a_red_invoice_of_one_of_two_makes_its_part_recoverable(tmp_path: Path) -> None:
    world = World(tmp_path)

    async def story() -> None:
        second = invoice(2, 60_000)
        wallet, certificate, _ = await paid(world, MORE, invoice(1), second)
        first_fen = world.detail(wallet)["amount_fen"]
        await world.publish(wallet, red(second[1], 3))
        await world.settle()
        assert world.claim(wallet).status == "CLOSED"
        await reopen(world, wallet)
        result = world.detail(wallet)["results"][0]
        assert (result["total_fen"], result["net_fen"]) == (WHOLE, 0), world.detail(wallet)
        recovery_id = derive_recovery_id(world.claim_id(wallet), certificate["policy_id"], 2)
        opening = world.houses["insurer"].ports.vault.need_secret(f"recovery/{recovery_id}")
        assert opening["amount_fen"] == first_fen - WHOLE == 28_000
        assert books(world, wallet, certificate)[0] == WHOLE
        assert world.claim(wallet).status == "CLOSED"

    asyncio.run(story())


def fact(payouts: dict[str, Any], recalled: Any) -> Any:
    """What the check looks at."""
    return SimpleNamespace(claim_id=CLAIM, claim=SimpleNamespace(attempt=2), payouts=payouts, recalled=recalled)


def stated(told: Any, *, reserved: bool) -> Any:
    """A policy of the second attempt whose account still has the first one's reservation, or not."""
    held = {"payout_id": FIRST, "expected_fen": 700, "effect": EFFECT}
    account = {"use": EFFECT, "reserved": [held] if reserved else []}
    return SimpleNamespace(policy_id=POLICY, earlier=told, account_in=account)


CLAIM, POLICY = "c1" * 32, "ab" * 16
FIRST = derive_payout_id(CLAIM, POLICY, 1)
EFFECT = outcome_effect({}, {"prior_use": {"2021": {"IP": {"paid_fen": 700}}}, "lifetime_paid_fen": {"IP": 700}})
RESULT = {"salt": "5a" * 32, "result": {"net_fen": 700, "total_fen": 700}}
EARLIER = {"payout_id": FIRST, "result": RESULT, "effect": EFFECT}
PAID_FIRST = {FIRST: SimpleNamespace(status="PAID", result_commit=commit("result", RESULT))}
ON_ITS_WAY = {FIRST: SimpleNamespace(status="ORDERED", result_commit=commit("result", RESULT))}
LESSER = outcome_effect({}, {"prior_use": {"2021": {"IP": {"paid_fen": 1}}}, "lifetime_paid_fen": {"IP": 1}})


@pytest.mark.parametrize(
    ("code", "payouts", "told", "reserved", "recalled"),
    [
        (None, PAID_FIRST, EARLIER, True, {}),
        (None, PAID_FIRST, EARLIER, False, {FIRST: EFFECT}),
        (None, PAID_FIRST, EARLIER, False, None),
        (None, {}, None, False, {}),
        ("EARLIER_SET", {}, EARLIER, True, {}),
        ("EARLIER_SET", PAID_FIRST, None, True, {}),
        ("EARLIER_SET", PAID_FIRST, EARLIER | {"payout_id": "00" * 32}, True, {}),
        ("EARLIER_SET", PAID_FIRST, EARLIER | {"more": 1}, True, {}),
        ("EARLIER_SET", PAID_FIRST, EARLIER | {"result": RESULT | {"result": {"net_fen": 0}}}, True, {}),
        ("EARLIER_UNPAID", ON_ITS_WAY, EARLIER, True, {}),
        ("EARLIER_UNKNOWN", PAID_FIRST, EARLIER, False, {}),
        ("EARLIER_EFFECT", PAID_FIRST, EARLIER | {"effect": LESSER}, True, {}),
        ("EARLIER_EFFECT", PAID_FIRST, EARLIER | {"effect": LESSER}, False, {FIRST: EFFECT}),
    ],
)
def test_what_the_attempt_before_gave_is_checked(
    code: str | None, payouts: Any, told: Any, reserved: bool, recalled: Any
) -> None:
    facts, item = fact(payouts, recalled), stated(told, reserved=reserved)
    if code is None:
        check_earlier(facts, item)
        return
    with pytest.raises(Mismatch) as caught:
        check_earlier(facts, item)
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("status", "kept", "code"),
    [
        ("PAID", EARLIER, None),
        ("AUTHORISED", EARLIER, "EARLIER_UNPAID"),
        ("RESTORED", EARLIER, "EARLIER_RESTORED"),
        ("PAID", None, "EARLIER_ELSEWHERE"),
        ("PAID", EARLIER | {"result": RESULT | {"salt": "5b" * 32}}, "EARLIER_ELSEWHERE"),
    ],
)
def test_the_insurer_waits_until_the_attempt_before_is_done_with(status: str, kept: Any, code: str | None) -> None:
    payouts = {FIRST: SimpleNamespace(status=status, result_commit=PAID_FIRST[FIRST].result_commit)}
    secrets = {f"outcome/{CLAIM}/1": {POLICY: kept} if kept else None}
    ports: Any = SimpleNamespace(vault=SimpleNamespace(get_secret=secrets.get))
    held = HeldPolicy(PolicyInput(POLICY, {}, {}, {}), "00" * 32)
    gathered = Gathered((), {}, {}, (held,))
    if code is None:
        assert with_earlier(ports, fact(payouts, None), gathered).policies[0].policy.earlier == EARLIER
        return
    with pytest.raises(Missing) as caught:
        with_earlier(ports, fact(payouts, None), gathered)
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("status", "reason", "goes_on"),
    [("AUTHORISED", "00", True), ("AUTHORISED", None, False), ("ORDERED", None, True), ("PAID", "00", False)],
)
def test_after_a_reversal_nothing_more_of_the_decision_before_is_ordered(
    status: str, reason: str | None, goes_on: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    payout = SimpleNamespace(status=status, result_commit=PAID_FIRST[FIRST].result_commit)
    monkeypatch.setattr(earlier, "read_payout", lambda read, payout_id: payout if payout_id == FIRST else None)
    ports: Any = SimpleNamespace(ledger=SimpleNamespace(final=SimpleNamespace(read=None)))
    item = SimpleNamespace(policy_id=POLICY, result=RESULT)
    package: Any = SimpleNamespace(claim_id=CLAIM, attempt=1, policies=(item,))
    claim: Any = SimpleNamespace(attempt=2, lived=SimpleNamespace(reason_commit=reason))
    found: Any = earlier.find_unpaid(ports, claim, package)
    assert found == ((FIRST, payout, item) if goes_on else None)
