"""The acceptance rules as a table: every kind of parcel between its right parties, mislabelled, and with a stranger."""

import asyncio
from dataclasses import dataclass
from typing import Any

import pytest
from msgspec import structs

from contracts.consentlife import ConsentLife
from contracts.holdstates import BatchState, GuaranteeState
from contracts.riskbodies import RiskSignal
from contracts.riskcontent import derive_signal_id
from contracts.states import ClaimState, ConsentState, decode_state, encode_state, read_claim
from ledger.crypto.envelopes import seal
from node.vault import Parcel
from node.vault.acceptance import SENDER_ROLES, judge_parcel
from node.vault.errors import ParcelRefused
from node.vault.parcels import KINDS, envelope_subject
from tests.support.agent_world import World, admission, discharge, envelope_pair, invoice
from tests.support.network_builder import Network

STRANGER = {"insurer": "insurer-two", "hospital": "hospital-two", "commission": "commission-east", "tpa": "tpa-owned"}
"""A participant of the same role that the consent does not name."""
GUARANTEE, BATCH = "d1" * 32, "d2" * 32
ROUTES = [
    ("record", "hospital", "insurer"),
    ("verdict", "commission", "hospital"),
    ("pool", "commission", "insurer"),
    ("payee", "tpa", "insurer"),
    ("account", "insurer", "commission"),
    ("adjudication", "insurer", "tpa"),
    ("signatures", "tpa", "insurer"),
    ("decision", "insurer", "hospital"),
    ("notice", "insurer", "hospital"),
    ("signal", "insurer", "tpa"),
    ("risk-notice", "insurer", "hospital"),
    ("settlement", "insurer", "commission"),
    ("closing", "insurer", "tpa"),
    ("closure", "tpa", "insurer"),
    ("restoring", "insurer", "tpa"),
    ("restored", "tpa", "insurer"),
    ("holding", "insurer", "tpa"),
    ("held", "tpa", "insurer"),
    ("draw", "insurer", "hospital"),
    ("draw", "insurer", "tpa"),
    ("batch", "hospital", "insurer"),
    ("batch", "hospital", "tpa"),
    ("batch-word", "tpa", "hospital"),
    ("batch-word", "tpa", "insurer"),
    ("batch-payment", "insurer", "hospital"),
]


@dataclass(frozen=True)
class Paid:
    """A paid claim, and what each kind of parcel can be about in it."""

    world: World
    subjects: dict[str, str]
    case_id: str
    digest: str


@pytest.fixture(scope="module")
def paid(tmp_path_factory: pytest.TempPathFactory) -> Paid:
    world = World(tmp_path_factory.mktemp("paid"))

    async def story() -> Any:
        wallet = await world.grant(await world.commit_policy())
        await world.publish(wallet, admission())
        await world.publish(wallet, discharge(), invoice())
        return wallet

    wallet = asyncio.run(story())
    claim = world.claim(wallet)
    vault = world.houses["hospital"].ports.vault
    record = vault.parcels_of_case("record", wallet.case_id)[0]
    kinds = ("account", "adjudication", "signatures", "decision", "notice", "closing", "closure")
    kinds += ("restoring", "restored", "holding", "held")
    by_claim = dict.fromkeys(kinds, world.claim_id(wallet))
    other = {"record": record.subject, "verdict": record.subject, "pool": wallet.case_id, "payee": wallet.consent_id}
    signal = signal_in(world.network, record.digest)
    other |= {"signal": signal, "risk-notice": signal, "settlement": claim.payouts[0]}
    other |= {"draw": GUARANTEE, "batch": BATCH, "batch-word": BATCH, "batch-payment": BATCH}
    return Paid(world, by_claim | other, wallet.case_id, record.digest)


def with_billing(paid: Paid) -> Any:
    """The final state, a drawn guarantee of the claim in it and a batch."""
    claim_id = paid.subjects["account"]
    claim = read_claim(paid.world.network.state.read, claim_id)
    assert claim is not None
    drawn = GuaranteeState(
        claim_id=claim_id,
        policy_id=claim.policies[0].policy_id,
        insurer="insurer",
        hospital="hospital",
        consent_id=claim.consent_id,
        commit="ab" * 32,
        status="DRAWN",
        issued_ms=1,
        valid_to_ms=2,
        draw_commit="ab" * 32,
        drawn_ms=1,
        batch_id=BATCH,
    )
    fields = {"sequence": 1, "from_ms": 1, "to_ms": 2, "totals_commit": "ab" * 32, "lines": (), "submitted_ms": 1}
    parties = {"hospital": "hospital", "insurer": "insurer", "reviewer": "tpa"}
    batch = BatchState(**fields, **parties, status="SUBMITTED", settlement_commit=None)  # type: ignore[arg-type]
    added = {f"guarantee/{GUARANTEE}": drawn, f"batch/{BATCH}": batch}

    def read(key: str) -> Any:
        found = paid.world.network.state.read(key)
        if key not in added:
            return found
        sample = paid.world.network.state.read(f"claim/{claim_id}")
        assert sample is not None
        return structs.replace(sample, value=encode_state(added[key]))

    return read


def signal_in(network: Network, digest: str) -> str:
    """The insurer's risk signal with a ciphertext of this digest."""
    body = RiskSignal("ab" * 32, "cd" * 32, "INDICATED", network.now_ms + 10**9, "ef" * 32, (digest,))
    assert network.do("risk.signal", body, "insurer").code == "ok"
    return derive_signal_id(network.genesis.network, "insurer", body.content_commit)


def judge(paid: Paid, kind: Any, sender: str, receiver: str, **changes: Any) -> str:
    subject = changes.get("subject", paid.subjects[kind])
    keys = [envelope_pair(receiver).public]
    envelope = seal(b"{}", network="test.claims", subject=envelope_subject(kind, subject), recipients=keys)
    case_id = changes.get("case_id", None if kind == "payee" or kind.startswith("batch") else paid.case_id)
    state = paid.world.network.state
    time_ms = changes.get("time_ms", state.time_ms)
    return judge_parcel(
        changes.get("read", with_billing(paid)),
        time_ms,
        sender,
        receiver,
        Parcel(kind, subject, case_id, envelope),
        paid.digest,
    )


def code_of(*arguments: Any, **changes: Any) -> str:
    with pytest.raises(ParcelRefused) as caught:
        judge(*arguments, **changes)
    return caught.value.code


def test_every_kind_has_a_rule_and_a_route() -> None:
    assert set(KINDS) == set(SENDER_ROLES) == {kind for kind, _, _ in ROUTES}


@pytest.mark.parametrize(("kind", "sender", "receiver"), ROUTES)
def test_the_right_parties_exchange_a_parcel(paid: Paid, kind: str, sender: str, receiver: str) -> None:
    assert judge(paid, kind, sender, receiver) == "ready"
    assert judge(paid, kind, sender, receiver, subject="ab" * 32) == "pending", "its block may be on the way"


@pytest.mark.parametrize(("kind", "sender", "receiver"), ROUTES)
def test_a_parcel_under_another_case_is_refused(paid: Paid, kind: str, sender: str, receiver: str) -> None:
    assert code_of(paid, kind, sender, receiver, case_id="ab" * 32) == "subject"


@pytest.mark.parametrize(("kind", "sender", "receiver"), ROUTES)
def test_a_stranger_is_sent_nothing(paid: Paid, kind: str, sender: str, receiver: str) -> None:
    assert code_of(paid, kind, sender, STRANGER[receiver]) == "no_party"


@pytest.mark.parametrize(("kind", "sender", "receiver"), [route for route in ROUTES if route[0] != "payee"])
def test_a_stranger_sends_nothing(paid: Paid, kind: str, sender: str, receiver: str) -> None:
    assert code_of(paid, kind, STRANGER[sender], receiver) in ("no_party", "not_author")


@pytest.mark.parametrize(("kind", "sender", "receiver"), ROUTES)
def test_another_role_sends_nothing(paid: Paid, kind: str, sender: str, receiver: str) -> None:
    assert code_of(paid, kind, "nobody", receiver) == "unknown_sender"
    others = [name for name in STRANGER if name not in SENDER_ROLES[kind]]
    assert {code_of(paid, kind, name, receiver) for name in others} <= {"role"}


def test_a_signal_that_is_over_or_has_another_ciphertext_does_not_move(paid: Paid) -> None:
    over = paid.world.network.now_ms + 10**9
    assert code_of(paid, "signal", "insurer", "tpa", time_ms=over) == "expired"
    network = paid.world.network
    other = signal_in_another(network)
    assert code_of(paid, "signal", "insurer", "tpa", subject=other) == "digest"


def signal_in_another(network: Network) -> str:
    body = RiskSignal("ab" * 32, "ce" * 32, "INDICATED", network.now_ms + 10**9, "ef" * 32, ("11" * 32,))
    assert network.do("risk.signal", body, "insurer").code == "ok"
    return derive_signal_id(network.genesis.network, "insurer", body.content_commit)


def test_a_signal_about_a_hospital_goes_to_those_who_may_signal_and_its_notice_to_hospitals(paid: Paid) -> None:
    assert judge(paid, "signal", "insurer", "insurer-two", case_id=None) == "ready"
    assert code_of(paid, "signal", "insurer", "hospital-two", case_id=None) == "no_party"
    assert judge(paid, "risk-notice", "insurer", "hospital-two", case_id=None) == "ready"
    assert code_of(paid, "risk-notice", "insurer", "insurer-two", case_id=None) == "no_party"


def test_after_the_consent_ended_no_record_moves(paid: Paid) -> None:
    assert code_of(paid, "record", "hospital", "insurer", time_ms=2**52) == "consent"


def altered(paid: Paid, consent: dict[str, Any], claim: dict[str, Any]) -> Any:
    """The final state with other fields in the consent and in the claim."""

    known = with_billing(paid)

    def read(key: str) -> Any:
        found = known(key)
        family = key.partition("/")[0]
        if found is None or family not in ("consent", "claim"):
            return found
        kind, changes = (ConsentState, consent) if family == "consent" else (ClaimState, claim)
        value = encode_state(structs.replace(decode_state(found.value or b"", kind), **changes))
        return structs.replace(found, value=value)

    return read


BILLING = {"draw", "batch", "batch-word", "batch-payment"}
GOES_ON = BILLING | {"verdict", "pool", "payee", "decision", "notice", "settlement", "risk-notice"}
"""What tells hospital and customer how things stand, and holds no document. Between insurer and adjudicators everything
stops with the consent while the claim is undecided."""


@pytest.mark.parametrize(("kind", "sender", "receiver"), ROUTES)
@pytest.mark.parametrize(
    ("consent", "code"),
    [
        ({"revoked_ms": 1}, "consent"),
        ({"exp_ms": 1}, "consent"),
        ({"nbf_ms": 2**50, "exp_ms": 2**51}, "consent_waits"),
        ({"life": ConsentLife(basis="emergency", ratify_by_ms=2**50)}, "consent_waits"),
        ({"life": ConsentLife(basis="emergency", ratify_by_ms=1)}, "consent"),
    ],
)
def test_without_a_consent_in_force_nothing_is_delivered_that_leads_to_a_decision(
    paid: Paid, kind: Any, sender: str, receiver: str, consent: dict[str, Any], code: str
) -> None:
    undecided, decided = altered(paid, consent, {"decided_ms": None}), altered(paid, consent, {})
    if kind in GOES_ON:
        assert judge(paid, kind, sender, receiver, read=undecided) == "ready"
    else:
        assert code_of(paid, kind, sender, receiver, read=undecided) == code
    if kind not in ("record", "signal"):
        assert judge(paid, kind, sender, receiver, read=decided) == "ready", "what was decided is brought to its end"
