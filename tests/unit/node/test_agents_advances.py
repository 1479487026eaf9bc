"""Money during a stay, by itself: advances on interim records, their offset at the decision, and what is recovered."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from contracts.cases.movements import read_balance, sum_paid, sum_reserved
from contracts.claimbodies import ClaimWithdraw
from contracts.claimtokens import WITHDRAWAL_TYPE, Withdrawal
from contracts.holdstates import read_holds, read_recovery
from contracts.identifiers import derive_recovery_id
from contracts.states import read_account, read_payout
from contracts.tokens import encode_token
from node.audit.build import build_dossier
from node.audit.dossier import Dossier, encode_dossier
from node.wallet import ConsentWallet
from tests.second_verifier.test_agreement import REFUSED, first_answer
from tests.support.agent_world import World, admission, charges, discharge, invoice, standard_policy, standard_product
from tests.support.ledger_source import MemorySource

FIRST = "2021-12-03"


def interim(total: int, last: str = "2021-12-04", **more: Any) -> tuple[str, dict[str, Any]]:
    """The stay so far: a third from the pooled fund, nothing outside the catalogue."""
    stay = {"admission_date": FIRST, "discharge_date": last, "half_days": None, "institution_level": "3"}
    amounts = {
        "total_fen": total,
        "pooled_fund_fen": total // 3,
        "self_funded_fen": 0,
        "insurance_type": "employee",
        "institution_level": "3",
    }
    document = {"diagnoses": ["N84.000"], "first_onset": FIRST, "stay": stay, "charges": amounts}
    return "interim", document | more


def policy_with(**lanes: Any) -> dict[str, Any]:
    policy = standard_policy("insurer")
    tables = standard_product(review_threshold_fen=10_000_000)
    return {"terms": policy["terms"] | {"lanes": lanes}, "product": tables}


async def open_stay(world: World, **lanes: Any) -> tuple[dict[str, Any], ConsentWallet]:
    certificate = await world.commit_policy(**policy_with(**lanes))
    wallet = await world.grant(certificate)
    await world.publish(wallet, admission())
    return certificate, wallet


def advances(world: World, wallet: ConsentWallet) -> list[int]:
    """The amounts of the claim's advances."""
    vault = world.houses["insurer"].ports.vault
    known = read_holds(world.network.state.read, world.claim_id(wallet))
    return [vault.need_secret(f"hold/{item.hold_id}")["amount_fen"] for item in known]


def paid_fen(world: World, wallet: ConsentWallet) -> int:
    """Everything that reached the customer, in their own word."""
    claim, vault = world.claim(wallet), world.houses["insurer"].ports.vault
    holds = [item.hold_id for item in read_holds(world.network.state.read, world.claim_id(wallet))]
    total = 0
    for payout_id in (*holds, *claim.payouts):
        payout = read_payout(world.network.state.read, payout_id)
        if payout is not None and payout.status == "PAID":
            total += vault.need_secret(f"settlement/{payout_id}/{payout.attempt}")["amount_fen"]
    return total


def balance_of(world: World, certificate: dict[str, Any]) -> Any:
    state = read_account(world.network.state.read, certificate["account_id"])
    agent = world.houses["insurer"].insurer
    assert state is not None
    assert agent is not None
    return read_balance(agent.book.account(certificate["account_id"], state.version))


@pytest.mark.parametrize("forgetful", [False, True])
def test_two_advances_are_paid_during_the_stay_and_offset_at_discharge(tmp_path: Path, forgetful: bool) -> None:
    world = World(tmp_path, forgetful=forgetful)

    async def story() -> None:
        certificate, wallet = await open_stay(world, advance={"ratio_bp": 5000})
        await world.publish(wallet, interim(60_000))
        # would pay (60000 - 20000) x 80 % + 1 day x 10000 = 42000; half of it
        assert advances(world, wallet) == [21_000]
        assert sum_reserved(balance_of(world, certificate)) == 21_000
        assert await world.acknowledge(wallet) == 1
        await world.publish(wallet, interim(120_000, "2021-12-05"))
        # would pay 64000 + 20000 = 84000; half of it less what was advanced
        assert advances(world, wallet) == [21_000, 21_000]
        assert paid_fen(world, wallet) == 21_000, "the second one waits for the customer's word"
        assert await world.acknowledge(wallet) == 1
        await world.publish(wallet, discharge(), invoice(), charges())
        detail = world.detail(wallet)
        (result,) = detail["results"]
        assert (result["advance_fen"], result["net_fen"]) == (42_000, result["total_fen"] - 42_000)
        assert result["total_fen"] == 135_334, "as without any advance: limits and bases do not see it"
        assert await world.acknowledge(wallet) == 1
        assert paid_fen(world, wallet) == result["total_fen"]
        assert world.claim(wallet).status == "CLOSED"
        balance = balance_of(world, certificate)
        assert sum_reserved(balance) == result["total_fen"], "one reservation, that of the outcome"

    asyncio.run(story())


def test_what_was_advanced_beyond_the_decision_becomes_a_recovery(tmp_path: Path) -> None:
    world = World(tmp_path)

    async def story() -> None:
        certificate, wallet = await open_stay(world, advance={"ratio_bp": 10_000})
        await world.publish(wallet, interim(300_000))
        assert advances(world, wallet) == [170_000]
        assert await world.acknowledge(wallet) == 1
        await world.publish(wallet, discharge(), invoice(), charges())
        (result,) = world.detail(wallet)["results"]
        assert (result["net_fen"], result["recoverable_fen"]) == (0, 170_000 - 135_334)
        recovery_id = derive_recovery_id(world.claim_id(wallet), certificate["policy_id"], 1)
        recovery = read_recovery(world.network.state.read, recovery_id)
        assert recovery is not None
        assert recovery.status == "OPEN"
        opened = world.houses["insurer"].ports.vault.need_secret(f"recovery/{recovery_id}")
        assert opened["amount_fen"] == 34_666
        assert paid_fen(world, wallet) - opened["amount_fen"] == result["total_fen"], "money in is money out"
        assert world.claim(wallet).status == "CLOSED", "nothing more is due"

    asyncio.run(story())


def test_what_the_rule_does_not_allow_is_left_for_the_decision(tmp_path: Path) -> None:
    world = World(tmp_path)

    async def story() -> None:
        _, closed = await open_stay(world)
        await world.publish(closed, interim(60_000))
        assert advances(world, closed) == [], "the terms say nothing of advances"

    asyncio.run(story())


def test_what_was_advanced_for_a_withdrawn_claim_comes_back(tmp_path: Path) -> None:
    world = World(tmp_path)

    async def story() -> None:
        certificate, wallet = await open_stay(world, advance={"ratio_bp": 5000})
        await world.publish(wallet, interim(60_000))
        await world.acknowledge(wallet)
        assert sum_reserved(balance_of(world, certificate)) == 21_000
        claim_id, network = world.claim_id(wallet), world.network.genesis.network
        word = Withdrawal(1, network, wallet.consent_id, claim_id, 1, "00" * 16)
        token = encode_token(word, WITHDRAWAL_TYPE, bytes.fromhex(wallet.seed))
        body = ClaimWithdraw(claim_id, token, None, None)
        assert world.network.do("claim.withdraw", body, "hospital").code == "ok"
        await world.settle()
        recovery_id = derive_recovery_id(claim_id, certificate["policy_id"], 1)
        recovery = read_recovery(world.network.state.read, recovery_id)
        assert recovery is not None
        assert recovery.status == "OPEN"
        opened = world.houses["insurer"].ports.vault.need_secret(f"recovery/{recovery_id}")
        assert opened["amount_fen"] == paid_fen(world, wallet) == 21_000
        balance = balance_of(world, certificate)
        assert (sum_reserved(balance), sum_paid(balance.use)) == (0, 0)

    asyncio.run(story())


def test_a_dossier_proves_a_decision_with_advances_and_refuses_one_that_hides_them(tmp_path: Path) -> None:
    world = World(tmp_path)

    async def story() -> Dossier:
        _, wallet = await open_stay(world, advance={"ratio_bp": 5000})
        await world.publish(wallet, interim(60_000))
        await world.acknowledge(wallet)
        await world.publish(wallet, discharge(), invoice(), charges())
        await world.acknowledge(wallet)
        claim_id = world.claim_id(wallet)
        material = world.houses["insurer"].discloser.dossier_material(claim_id)
        return build_dossier(MemorySource(world.network), claim_id, material)

    dossier, genesis = asyncio.run(story()), world.network.genesis_bytes
    answer = first_answer(encode_dossier(dossier), genesis)
    assert answer[2] == [9, 10, 11, 12]
    assert [result["advance_fen"] for result in answer[3]] == [21_000]
    hidden = structs.replace(dossier, policies=tuple(structs.replace(item, holds=()) for item in dossier.policies))
    assert first_answer(encode_dossier(hidden), genesis) == REFUSED
    (shown,) = dossier.policies
    told = ({**shown.holds[0], "would_pay_fen": 1}, *shown.holds[1:])
    other = structs.replace(dossier, policies=(structs.replace(shown, holds=told),))
    assert first_answer(encode_dossier(other), genesis) == REFUSED, "not the opening on the ledger"
