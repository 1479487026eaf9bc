"""Dossiers of claims off their straight way: each verifies, and one that leaves a step out does not."""

from typing import Any

import pytest
from msgspec.structs import replace

from contracts import bodies
from node.audit.build import Material, build_dossier
from node.audit.dossier import encode_dossier
from node.audit.report import AuditFailure
from node.audit.verify import Verification, read_trust, verify_dossier
from tests.support.claim_lives import STATUSES, Lives, make_lives
from tests.support.ledger_source import MemorySource

WAYS = {
    "asked": ("claim.request_evidence", "+case", "claim.adjudicate"),
    "suspended": ("claim.suspend", "claim.resume", "claim.adjudicate"),
    "four eyes": ("claim.review/open", "claim.review/release", "claim.adjudicate"),
    "investigated": ("claim.review/open", "claim.investigate", "claim.review/open", "claim.negotiate"),
    "awarded": ("claim.adjudicate", "claim.dispute", "claim.ruling/award", "claim.close"),
    "dismissed": ("claim.adjudicate", "claim.audit", "claim.dispute", "claim.ruling/dismiss"),
    "reopened": ("claim.adjudicate", "claim.close", "claim.reopen", "claim.accept", "claim.adjudicate"),
    "escalated": ("+late", "claim.escalate", "claim.adjudicate/substitute"),
    "given back": ("claim.adjudicate", "claim.withdraw"),
}


def tell(lives: Lives, way: tuple[str, ...]) -> str:
    customer, claim_id = lives.start()
    lives.accept(claim_id)
    lives.finish_case(customer)
    for action in way:
        if action == "+case":
            lives.finish_case(customer)
        elif action == "+late":
            lives.wait(6 * 86_400_000)
        else:
            assert lives.act(action, customer, claim_id).code == "ok", action
    return claim_id


def verify(lives: Lives, dossier: Any) -> Verification:
    def run(*_: Any) -> Any:
        raise AssertionError("nothing is disclosed")

    return verify_dossier(encode_dossier(dossier), read_trust(lives.genesis_bytes), run)


@pytest.mark.parametrize("name", WAYS)
def test_a_life_is_proved(name: str) -> None:
    lives = make_lives()
    claim_id = tell(lives, WAYS[name])
    dossier = build_dossier(MemorySource(lives), claim_id, Material())
    assert verify(lives, dossier).status == lives.status(claim_id)
    told = [item["kind"] for item in dossier.transactions]
    for action in (action for action in WAYS[name] if action.startswith("claim.")):
        assert action.partition("/")[0] in told


@pytest.mark.parametrize("status", STATUSES)
def test_a_claim_is_proved_as_it_stands(status: str) -> None:
    lives = make_lives()
    _, claim_id = lives.reach(status)
    assert verify(lives, build_dossier(MemorySource(lives), claim_id, Material())).status == status


def test_a_dispute_cannot_be_left_out() -> None:
    lives = make_lives()
    claim_id = tell(lives, WAYS["dismissed"])
    dossier = build_dossier(MemorySource(lives), claim_id, Material())
    kept = tuple(item for item in dossier.transactions if item["kind"] != "claim.dispute")
    with pytest.raises(AuditFailure):
        verify(lives, replace(dossier, transactions=kept))
    fewer = tuple(item for item in dossier.entries if item.entry.kind != "claim.dispute")
    with pytest.raises(AuditFailure) as caught:
        verify(lives, replace(dossier, transactions=kept, entries=fewer))
    assert caught.value.number in (4, 7)


def test_a_payout_of_each_attempt_is_shown() -> None:
    lives = make_lives()
    claim_id = tell(lives, WAYS["awarded"][:3])
    for payout_id in lives.claim(claim_id).payouts:
        lives.do("payout.order", bodies.PayoutOrder(payout_id, 1, "ab" * 32), "insurer")
    dossier = build_dossier(MemorySource(lives), claim_id, Material())
    heads = {head.key for head in dossier.heads}
    assert {f"payout/{item}" for item in lives.claim(claim_id).payouts} <= heads
    assert verify(lives, dossier).status == "DECIDED"
