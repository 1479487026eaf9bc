"""A node that is no party holds nothing about anyone: names, ids, diagnoses and invoice numbers appear nowhere in it.

A real network on loopback runs one claim to its end. Then everything that node has is searched: its files, its log, and
every frame that crossed its edges before TLS. First something is planted on purpose, to show that the search finds it.
"""

import asyncio
from base64 import b64encode
from collections.abc import Iterable
from pathlib import Path

import pytest

from cli.episodes_documents import build_admission, build_charges, build_discharge, build_invoice
from cli.network_setup import parse_time
from contracts.identifiers import derive_claim_id
from contracts.states import read_claim, read_consent, read_participant, read_payout, read_policy
from node.wallet import (
    ConsentWallet,
    make_acknowledgement,
    make_consent,
    open_mail,
    seal_payee,
    standard_grantees,
)
from tests.support.live_network import LiveNetwork, live_network

pytestmark = pytest.mark.e2e
STRANGER = "insurer-b"
INVOICE_NUMBER = 8317264950
PATIENT = {"name": "金丝雀·卡纳丽", "id_number": "330106199003078829"}
ILLNESS = ("N84.000x917", "子宫内膜息肉样病变", "妇科")
CANARIES = (PATIENT["name"], PATIENT["id_number"], ILLNESS[0], ILLNESS[1], str(INVOICE_NUMBER))
YEAR_MS = 366 * 86_400_000


def spellings(canary: str) -> list[bytes]:
    """The text as bytes, escaped, in hexadecimal, and in base64 at each of its three alignments."""
    raw = canary.encode()
    aligned = [b64encode(b"\0" * shift + raw)[-(-8 * shift // 6) : 8 * (shift + len(raw)) // 6] for shift in range(3)]
    escaped = canary.encode("ascii", "backslashreplace")
    return [raw, escaped, raw.hex().encode(), raw.hex().upper().encode(), *aligned]


def find_canaries(haystacks: Iterable[bytes]) -> set[str]:
    """Which canaries stand in any of these, in any spelling."""
    needles = {spelling: canary for canary in CANARIES for spelling in spellings(canary)}
    return {needles[needle] for hay in haystacks for needle in needles if needle in hay}


def contents(folder: Path) -> list[bytes]:
    """Every file below a folder, and its name."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return [path.read_bytes() for path in files] + [str(path.relative_to(folder)).encode() for path in files]


async def grant(network: LiveNetwork) -> ConsentWallet:
    """A policy at the insurer and the customer's consent for it."""
    insurer, hospital = network.nodes["insurer"], network.nodes["hospital"]
    benefit = {
        "type": "inpatient_expense",
        "scope": "social_only",
        "ratios": [{"ratio_bp": 9_000}],
        "deductible": {"type": "none", "amount_fen": 0},
        "waiting_days": 30,
    }
    product = {
        "product_code": "CANARY",
        "benefit_order": ["IP"],
        "plans": {"STD": {"annual_limit_fen": None, "covered_hospital_levels": None, "benefits": {"IP": benefit}}},
    }
    terms = {
        "policy_no": "GP-CANARY",
        "insurer": "insurer",
        "relation": "employee",
        "first_effective": "2020-01-01",
        "periods": [{"id": "2021", "start": "2020-01-01", "end": "2021-12-31", "plan": "STD"}],
        "history": [],
        "excluded_icd_prefixes": [],
    }
    tx_id, certificates = await insurer.roles.commit_policies(
        [
            {
                "terms": terms,
                "product": product,
                "co_adjudicators": ["tpa"],
                "threshold": 1,
                "escalation_to": "commission",
                "look_back_days": 0,
            }
        ]
    )
    assert (await insurer.node.outcome(tx_id, 30.0)).receipt.code == "ok"
    await network.until(lambda: read_policy(hospital.node.chain.final.read, certificates[0]["policy_id"]) is not None)
    now = hospital.node.clock.now_ms()
    wallet = make_consent(
        network=hospital.node.network,
        hospitals=["hospital"],
        grantees=standard_grantees(["insurer"], ["commission"], ["tpa"]),
        policy_ids=[certificates[0]["policy_id"]],
        payee={"holder": PATIENT["name"], "account": "6222-CANARY"},
        nbf_ms=now - 60_000,
        exp_ms=now + YEAR_MS,
    )
    await hospital.roles.house.relay_token(wallet.token)
    member = read_participant(hospital.node.chain.final.read, "insurer")
    assert member is not None
    hospital.roles.relay_payee(wallet.token, seal_payee(wallet, [member.envelope_key]))
    await network.until(lambda: read_consent(hospital.node.chain.final.read, wallet.consent_id) is not None)
    return wallet


async def run_claim(network: LiveNetwork) -> str:
    """One claim from consent to close; its id."""
    wallet = await grant(network)
    hospital = network.nodes["hospital"]
    first, last = "2021-12-03", "2021-12-06"
    bill = build_invoice(
        number=INVOICE_NUMBER,
        patient=PATIENT,
        admission_date=first,
        discharge_date=last,
        total_fen=486_250,
        pooled_fund_fen=231_180,
        self_funded_fen=32_400,
    )
    await hospital.roles.publish(wallet.consent_id, [("admission", build_admission(PATIENT, 1, first, ILLNESS))])
    claim_id = derive_claim_id(wallet.case_id, "insurer")
    read = lambda key: hospital.node.chain.final.read(key)  # noqa: E731
    await network.until(lambda: read_claim(read, claim_id) is not None)
    documents = [
        ("discharge", build_discharge(PATIENT, 1, first, last, ILLNESS, [bill])),
        ("invoice", bill),
        ("charges", build_charges(PATIENT, 1, [bill])),
    ]
    await hospital.roles.publish(wallet.consent_id, documents)
    await network.until(lambda: settled(network, claim_id))
    await acknowledge(network, wallet, claim_id)
    await network.until(lambda: status(network, claim_id) == "CLOSED")
    return claim_id


def status(network: LiveNetwork, claim_id: str) -> str | None:
    claim = read_claim(network.nodes[STRANGER].node.chain.final.read, claim_id)
    return claim.status if claim else None


def settled(network: LiveNetwork, claim_id: str) -> bool:
    read = network.nodes["hospital"].node.chain.final.read
    claim = read_claim(read, claim_id)
    payouts = [read_payout(read, payout_id) for payout_id in claim.payouts] if claim else []
    return bool(payouts) and all(payout and payout.status == "SETTLED_CLAIMED" for payout in payouts)


async def acknowledge(network: LiveNetwork, wallet: ConsentWallet, claim_id: str) -> None:
    hospital = network.nodes["hospital"]
    mail: list[dict[str, str]] = []

    def arrived() -> bool:
        mail[:] = [item for item in hospital.roles.mail_of(wallet.consent_id) if item["kind"] == "settlement"]
        return bool(mail)

    await network.until(arrived)
    for item in mail:
        opened = open_mail(wallet, bytes.fromhex(item["envelope"]))
        payout = read_payout(hospital.node.chain.final.read, opened.subject)
        assert payout is not None
        assert payout.settlement_commit is not None
        token = make_acknowledgement(wallet, opened.subject, payout.settlement_commit, opened.content)
        await hospital.roles.house.relay_token(token)


def test_search_finds_what_is_planted(tmp_path: Path) -> None:
    for number, spelling in enumerate(item for canary in CANARIES for item in spellings(canary)):
        (tmp_path / f"{number}.db").write_bytes(b"before" + spelling + b"after")
        assert find_canaries(contents(tmp_path)), spelling
        (tmp_path / f"{number}.db").unlink()
    assert not find_canaries(contents(tmp_path))
    for canary in CANARIES:
        for shift in range(3):
            assert find_canaries([b64encode(b"x" * shift + canary.encode() + b"yz")]) == {canary}


def test_a_stranger_holds_nothing_about_anyone(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    async def story() -> LiveNetwork:
        async with live_network(tmp_path / "network", base_ms=parse_time("2025-01-15")) as network:
            claim_id = await run_claim(network)
            await network.until(lambda: status(network, claim_id) == "CLOSED")
            return network

    network = asyncio.run(story())
    log = capfd.readouterr()
    stranger = [*contents(tmp_path / "network" / STRANGER), *network.frames[STRANGER]]
    assert len(network.frames[STRANGER]) > 20, "nothing was recorded at the stranger's edges"
    assert not find_canaries(stranger)
    assert not find_canaries([log.out.encode(), log.err.encode()])
    everywhere = [frame for name in network.nodes for frame in network.frames[name]]
    assert not find_canaries(everywhere), "between nodes a document travels as ciphertext only"
    for name in network.nodes:
        assert not find_canaries(contents(tmp_path / "network" / name)), (
            "at rest a document is ciphertext, at parties too"
        )
    assert find_canaries([*stranger, PATIENT["name"].encode()])
