"""Every kind of transaction under every state of a consent, by every role: each cell's answer stands once, as data.

States: `none` (the ledger has no such consent), `not_yet`, `in_force`, `narrowed` (in force, but it names neither this
hospital nor anybody for anything but a report), `unratified` (an emergency), `revoked`, `expired`. A cell is a receipt
code. What was authorised stands: payouts read `ok` whatever became of the consent.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest
from msgspec import structs

from contracts import bodies
from contracts.consentbodies import ConsentDelegate
from contracts.consentlife import ConsentLife
from contracts.kinds import KINDS
from contracts.states import ConsentState, decode_state, encode_state
from tests.support.consents import make_ratification, make_rekeying
from tests.support.network_builder import DAY_MS, YEAR_MS, Customer, Network, make_hex

ROLES = ("hospital", "commission", "insurer", "tpa", "auditor")
STATES = ("none", "not_yet", "in_force", "narrowed", "unratified", "revoked", "expired")

Row = tuple[str, ...]
NO_ROLE: Row = ("ROLE_MISSING",) * len(STATES)
NOT_ITS_OWN: Row = ("NOT_THE_INSURER",) * len(STATES)
STANDS: Row = ("ok",) * len(STATES)
EARLY: Row = ("LAPSE_EARLY",) * len(STATES)
TOKEN: Row = ("CONSENT_MISSING", "ok", "ok", "ok", "ok", "ok", "ok")
"""The customer's own word on money counts under every consent that there is."""
SLIP: Row = ("CONSENT_MISSING", "ok", "ok", "ok", "ok", "CONSENT_REVOKED", "ok")
REKEY: Row = ("CONSENT_MISSING", "ok", "ok", "ok", "ok", "CONSENT_REVOKED", "CONSENT_EXPIRED")
RATIFY: Row = (
    "CONSENT_MISSING", "WRONG_STATE", "WRONG_STATE", "WRONG_STATE", "ok", "CONSENT_REVOKED", "CONSENT_EXPIRED",
)  # fmt: skip


def needs(in_force: str, narrowed: str, unratified: str = "CONSENT_UNRATIFIED") -> Row:
    """A row of what needs a consent in force."""
    return (
        "CONSENT_MISSING", "CONSENT_NOT_YET", in_force, narrowed, unratified, "CONSENT_REVOKED", "CONSENT_EXPIRED",
    )  # fmt: skip


def rows(others: Row, **special: Row) -> dict[str, Row]:
    """One row for each role, `special` ones by name."""
    return dict.fromkeys(ROLES, others) | special


MATRIX: dict[str, dict[str, Row]] = {
    "consent.revoke": rows(SLIP),
    "consent.delegate": rows(
        needs("NOT_GRANTED", "NOT_GRANTED"),
        commission=needs("DELEGATION_PARTY", "DELEGATION_PARTY"),
        insurer=needs("ok", "ok"),
        tpa=needs("DELEGATION_WIDER", "ok"),
    ),
    "consent.ratify": rows(RATIFY),
    "consent.rekey": rows(REKEY),
    "record.publish": rows(NO_ROLE, hospital=needs("ok", "HOSPITAL_NOT_LISTED", unratified="ok")),
    "record.endorse": rows(NO_ROLE, commission=needs("ok", "NOT_GRANTED")),
    "claim.accept": rows(NOT_ITS_OWN, insurer=needs("ok", "ok")),
    "claim.adjudicate": rows(
        NOT_ITS_OWN,
        insurer=needs("ok", "NOT_GRANTED"),
        commission=needs("ESCALATION_MISSING", "ESCALATION_MISSING"),
    ),
    "claim.close": rows(NOT_ITS_OWN, insurer=STANDS),
    "payout.order": rows(NOT_ITS_OWN, insurer=STANDS),
    "payout.settle": rows(NOT_ITS_OWN, insurer=STANDS),
    "payout.fail": rows(NOT_ITS_OWN, insurer=STANDS),
    "payout.ack": rows(TOKEN),
    "payout.contest": rows(TOKEN),
    "payout.lapse": rows(EARLY),
}
"""Kind -> role -> the code under each of STATES. Read it as the answer; the code is made to agree with it."""
ELSEWHERE = {
    "consent.grant": "there is no consent before it: test_consent, test_consent_bases",
    "account.amend": "co-adjudicators that the consent names endorse it; the insured's token needs it in force: "
    "test_accounts",
    "claim.": "how a claim goes on after a decision, or by its customer's word: test_claim_life and its neighbours",
    "guarantee.": "money between participants under a claim: test_holds",
    "advance.": "money between participants under a claim: test_holds",
    "recovery.": "money owed back: test_holds",
    "batch.": "totals of payments: test_batches",
    "risk.": "about participants' own signals: test_risk_signals",
    "policy.": "about no consent",
    "governance.": "about no consent",
    "consensus.": "about no consent",
}
"""Other kinds (or beginnings of their names), and why they have no rows here."""


@dataclass(frozen=True)
class Stage:
    """A chain at some point of a claim's life, and what the cells are about."""

    network: Network
    customer: Customer
    records: list[bodies.PublishedRecord]
    policy_id: str
    kept: tuple[Any, dict[str, Any], set[str]]

    @property
    def claim_id(self) -> str:
        return self.network.claim_id(self.customer)

    @property
    def payout_id(self) -> str:
        return self.network.payout_id(self.claim_id, self.policy_id)


def make_stage(until: str) -> Stage:
    """`granted`, `published`, `accepted`, `complete`, `decided`, `ordered`, `settled` or `paid`."""
    network = Network()
    policy = network.commit_policy().policy_id
    customer = network.grant(policy, delegable=True)
    records: list[bodies.PublishedRecord] = []
    claim_id, payout_id = network.claim_id(customer), network.payout_id(network.claim_id(customer), policy)
    steps: list[tuple[str, Callable[[], Any]]] = [
        ("published", lambda: records.extend(network.publish(customer, "admission", "discharge", "invoice"))),
        ("accepted", lambda: network.accept(claim_id)),
        ("complete", lambda: network.complete(customer, records)),
        ("decided", lambda: network.adjudicate(claim_id)),
        ("ordered", lambda: network.do("payout.order", bodies.PayoutOrder(payout_id, 1, make_hex("order")), "insurer")),
        ("settled", lambda: network.do("payout.settle", _settle(payout_id), "insurer")),
        ("paid", lambda: network.do("payout.ack", bodies.PayoutAck(network.make_ack(payout_id)), "hospital")),
    ]
    if until != "granted":
        for name, step in steps:
            step()
            if name == until:
                break
    network.wait(DAY_MS)
    return Stage(network, customer, records, policy, (network.state, dict(network.store), set(network.recent)))


def _settle(payout_id: str) -> bodies.PayoutSettle:
    return bodies.PayoutSettle(payout_id, 1, make_hex("settlement"))


def put_state(stage: Stage, state: str) -> None:
    """The stage as it was, with its consent in this state."""
    network = stage.network
    before, store, recent = stage.kept
    network.store.clear()
    network.store.update(store)
    network.recent.clear()
    network.recent.update(recent)
    network.state = replace(before, read=network.state.read, is_recent=network.state.is_recent)
    key = f"consent/{stage.customer.consent_id}"
    found = network.store[key]
    assert found.value is not None
    consent = decode_state(found.value, ConsentState)
    if state == "none":
        network.store[key] = structs.replace(found, value=None)
        return
    only_report = tuple(structs.replace(item, purposes=("report",)) for item in consent.grantees)
    changes: dict[str, dict[str, Any]] = {
        "not_yet": {"nbf_ms": network.now_ms + DAY_MS},
        "in_force": {},
        "narrowed": {"hospitals": ("hospital-two",), "grantees": only_report},
        "unratified": {"life": ConsentLife(basis="emergency", delegable=True, ratify_by_ms=network.now_ms + YEAR_MS)},
        "revoked": {"revoked_ms": network.now_ms},
        "expired": {"exp_ms": network.now_ms},
    }
    value = encode_state(structs.replace(consent, **changes[state]))
    network.store[key] = structs.replace(found, value=value)


def build_delegate(stage: Stage) -> Any:
    until = stage.customer.consent.exp_ms - 1
    return ConsentDelegate(stage.customer.consent_id, "tpa-owned", ("report",), ("charges",), until)


def build_endorse(stage: Stage) -> Any:
    return bodies.RecordEndorse((stage.network.make_endorsement(stage.records[0]),), ())


BUILD: dict[str, tuple[str, Callable[[Stage], Any]]] = {
    "consent.revoke": ("granted", lambda s: bodies.ConsentRevoke(s.customer.consent_id, None, s.customer.slip)),
    "consent.delegate": ("granted", build_delegate),
    "consent.ratify": ("granted", lambda s: make_ratification(s.network, s.customer, "hospital")[0]),
    "consent.rekey": (
        "granted",
        lambda s: make_rekeying(s.network, s.customer.consent_id, "hospital", "commission"),
    ),
    "record.publish": (
        "granted",
        lambda s: bodies.RecordPublish((s.network.make_record(s.customer, "admission"),)),
    ),
    "record.endorse": ("published", build_endorse),
    "claim.accept": ("published", lambda s: s.network.make_accept(s.claim_id)),
    "claim.adjudicate": ("complete", lambda s: s.network.make_adjudication(s.claim_id)),
    "claim.close": ("paid", lambda s: bodies.ClaimClose(s.claim_id)),
    "payout.order": ("decided", lambda s: bodies.PayoutOrder(s.payout_id, 1, make_hex("order"))),
    "payout.settle": ("ordered", lambda s: _settle(s.payout_id)),
    "payout.fail": ("ordered", lambda s: bodies.PayoutFail(s.payout_id, 1, make_hex("bank"))),
    "payout.ack": ("settled", lambda s: bodies.PayoutAck(s.network.make_ack(s.payout_id))),
    "payout.contest": ("settled", lambda s: bodies.PayoutContest(s.network.make_contest(s.payout_id))),
    "payout.lapse": ("settled", lambda s: bodies.PayoutLapse(s.payout_id)),
}
"""Kind -> (stage, body)."""


@pytest.fixture(scope="module")
def stages() -> dict[str, Stage]:
    return {}


@pytest.mark.parametrize("kind", MATRIX)
def test_every_cell(kind: str, stages: dict[str, Stage]) -> None:
    until, build = BUILD[kind]
    stage = stages.setdefault(until, stages.get(until) or make_stage(until))
    found: dict[str, Row] = {}
    for role in ROLES:
        found[role] = tuple(_code(stage, kind, build, role, state) for state in STATES)
    assert found == MATRIX[kind]


def _code(stage: Stage, kind: str, build: Callable[[Stage], Any], role: str, state: str) -> str:
    put_state(stage, "in_force")
    body = build(stage)
    put_state(stage, state)
    return stage.network.do(kind, body, role).code


def test_every_kind_has_rows_or_a_reason() -> None:
    """Endpoints relay these kinds and nothing else, so what holds here holds for them."""
    left = [kind for kind in KINDS if kind not in MATRIX and not kind.startswith(tuple(ELSEWHERE))]
    assert not left, "give each new kind a row in MATRIX, or a reason in ELSEWHERE"
    assert MATRIX.keys() == BUILD.keys()
