"""Signals between nodes: content to whom the case's consent names, a notice to the subject, an appeal, an end."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from contracts.bodies import ConsentRevoke
from contracts.risk.assessment import assess_hospital
from contracts.risk.parameters import DEFAULTS
from contracts.risk.records import HospitalCells
from contracts.risk.results import as_document
from contracts.riskbodies import RiskAppeal
from contracts.riskstates import ANSWER_MS, DAY_MS, read_signal
from contracts.risktokens import APPEAL_TYPE, AppealWord
from contracts.tokens import encode_token
from ledger.encoding import encode
from node.agents.mail import open_latest
from node.agents.signalling import SignalAgent, SignalRefused
from node.wallet import open_mail
from tests.support.agent_world import World, admission, discharge, invoice
from tests.support.network_builder import make_hex
from tests.support.risk_records import pair

BEDS = {"items": [{"name": "床位", "amount_fen": 1_000, "date": "2021-12-04", "category": "bed"}]}


def agent(world: World, name: str = "insurer") -> SignalAgent:
    found = world.houses[name].signals
    assert found is not None
    return found


def heard(world: World, name: str) -> list[dict[str, Any]]:
    return list(agent(world, name).signals()["items"])


async def graded(world: World) -> Any:
    wallet = await world.grant(await world.commit_policy())
    await world.publish(wallet, admission())
    await world.publish(wallet, discharge(), invoice(), ("charges", BEDS))
    return wallet


async def signalled(world: World, **changes: Any) -> tuple[Any, str]:
    wallet = await graded(world)
    signal_id = agent(world).signal_claim(world.claim_id(wallet), "INDICATED", **changes)
    await world.settle()
    return wallet, signal_id


@pytest.mark.parametrize("forgetful", [False, True], ids=["running", "restarted before every round"])
def test_content_reaches_the_parties_of_the_case_and_nobody_else(tmp_path: Path, forgetful: bool) -> None:
    world = World(tmp_path, risk=DEFAULTS, forgetful=forgetful)
    wallet, signal_id = asyncio.run(signalled(world))
    signal = read_signal(world.network.state.read, signal_id)
    assert signal is not None
    assert (signal.author, signal.status, signal.level) == ("insurer", "SIGNALLED", "INDICATED")
    (item,) = heard(world, "tpa")
    assert (item["author"], item["content"]["subject"]) == ("insurer", wallet.consent_id)
    assert [hit["rule"] for hit in item["content"]["hits"]] == ["RK09"]
    assert heard(world, "commission")
    assert heard(world, "insurer-two") == []
    public = b"".join(encode(item.content) for block in world.network.blocks for item in block.transactions)
    assert b"RK09" not in public


def test_the_insured_opens_the_notice_and_appeals_without_showing_who_they_are(tmp_path: Path) -> None:
    world = World(tmp_path, risk=DEFAULTS)

    async def story() -> tuple[Any, str, dict[str, Any]]:
        wallet, signal_id = await signalled(world)
        letters = world.houses["hospital"].mailroom.mail_of(wallet.consent_id)
        mail = [open_mail(wallet, bytes.fromhex(item["envelope"])) for item in letters]
        (notice,) = [item.content for item in mail if item.kind == "risk-notice"]
        return wallet, signal_id, notice

    wallet, signal_id, notice = asyncio.run(story())
    assert (notice["signal_id"], notice["reason_classes"]) == (signal_id, ["STAY"])
    assert "RK09" not in str(notice)
    word = AppealWord(1, world.network.genesis.network, signal_id, make_hex("why"), "00" * 16)
    token = encode_token(word, APPEAL_TYPE, bytes.fromhex(notice["appeal_seed"]))
    body = RiskAppeal(signal_id, make_hex("why"), token, None)
    assert world.network.do("risk.appeal", body, "hospital-two").code == "ok"
    assert wallet.consent_id.encode() not in encode(body)
    assert heard(world, "tpa")[0]["status"] == "APPEALED"
    world.network.wait(ANSWER_MS)
    assert heard(world, "tpa") == []


def test_an_expired_signal_is_shown_to_nobody(tmp_path: Path) -> None:
    world = World(tmp_path, risk=DEFAULTS)
    asyncio.run(signalled(world, days=2))
    assert heard(world, "tpa")
    world.network.wait(2 * DAY_MS)
    assert heard(world, "tpa") == []


def test_who_gave_it_takes_it_back(tmp_path: Path) -> None:
    world = World(tmp_path, risk=DEFAULTS)

    async def story() -> str:
        _, signal_id = await signalled(world)
        with pytest.raises(SignalRefused):
            agent(world, "tpa").withdraw(signal_id, "no")
        agent(world).withdraw(signal_id, "the hospital sent the missing list")
        await world.settle()
        return signal_id

    signal = read_signal(world.network.state.read, asyncio.run(story()))
    assert signal is not None
    assert signal.status == "WITHDRAWN"
    assert heard(world, "tpa") == []


def test_after_a_revocation_nothing_is_given_and_nothing_shown(tmp_path: Path) -> None:
    world = World(tmp_path, risk=DEFAULTS)

    async def story() -> Any:
        wallet, _ = await signalled(world)
        world.network.do("consent.revoke", ConsentRevoke(wallet.consent_id, None, wallet.slip), "hospital")
        return wallet

    wallet = asyncio.run(story())
    assert heard(world, "tpa") == []
    with pytest.raises(SignalRefused) as caught:
        agent(world).signal_claim(world.claim_id(wallet), "DOCUMENTED")
    assert caught.value.code == "no_consent"


def test_what_was_not_graded_or_not_hit_is_no_signal(tmp_path: Path) -> None:
    world = World(tmp_path, risk=DEFAULTS)

    async def story() -> Any:
        wallet = await world.grant(await world.commit_policy())
        await world.publish(wallet, admission())
        await world.publish(wallet, discharge(), invoice())
        return wallet

    plain = asyncio.run(story())
    for claim_id, days, code in (
        ("ab" * 32, 10, "not_graded"),
        (world.claim_id(plain), 10, "no_hit"),
    ):
        with pytest.raises(SignalRefused) as caught:
            agent(world).signal_claim(claim_id, "INDICATED", days)
        assert caught.value.code == code


def test_a_commission_signals_a_hospital_to_all_and_the_hospital_can_appeal(tmp_path: Path) -> None:
    world = World(tmp_path, risk=DEFAULTS)
    pairs = tuple(pair(name, heavy, 100) for name, heavy in (("a", 10), ("b", 10), ("c", 10), ("hospital", 60)))
    found = as_document(assess_hospital(HospitalCells("hospital", pairs), DEFAULTS))

    async def story() -> str:
        signal_id = agent(world, "commission").signal_hospital("hospital", found, "INDICATED", 30)
        await world.settle()
        return signal_id

    signal_id = asyncio.run(story())
    assert [heard(world, name)[0]["content"]["subject"] for name in ("insurer", "insurer-two", "tpa")] == [
        "hospital"
    ] * 3
    notice = open_latest(world.houses["hospital"].ports, "risk-notice", signal_id)
    assert notice is not None
    body = RiskAppeal(signal_id, make_hex("why"), None, notice["subject_salt"])
    assert world.network.do("risk.appeal", body, "hospital").code == "ok"
    with pytest.raises(SignalRefused):
        agent(world, "commission").signal_hospital("insurer", found, "INDICATED")
