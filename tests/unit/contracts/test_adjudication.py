"""claim.adjudicate: every field of a statement is compared with state, and the right parties signed."""

from typing import Any

import pytest
from msgspec import structs

from contracts.bodies import ClaimAdjudicate, ConsentRevoke
from contracts.genesis import Parameters
from contracts.identifiers import derive_pool_id, derive_product_hash
from contracts.statements import Delivery, SignedStatement
from contracts.states import read_account, read_claim, read_payout, read_pool
from contracts.tokens import Grantee
from tests.support.network_builder import (
    CONTRACT_TWO_HASH,
    DAY_MS,
    HOUR_MS,
    MEMBERS,
    PROGRAM,
    PROGRAM_TWO,
    TABLES_HASH,
    Network,
    make_genesis,
    make_hex,
    make_member,
    make_participant,
    make_program,
    make_signing_key,
)


def ready(**changes: Any) -> tuple[Network, str]:
    network = Network()
    _, claim_id = network.ready_claim(network.commit_policy(**changes).policy_id)
    return network, claim_id


def code_of(network: Network, body: ClaimAdjudicate, author: str = "insurer") -> str:
    return network.do("claim.adjudicate", body, author).code


def test_a_verdict_moves_claim_account_pool_and_payouts_together() -> None:
    network = Network()
    policies = [network.commit_policy(), network.commit_policy()]
    customer, claim_id = network.ready_claim(*(item.policy_id for item in policies))
    body = network.make_adjudication(claim_id)
    receipt = network.do("claim.adjudicate", body, "insurer")
    topics = [event.topic for event in receipt.results[0].events]
    assert topics == ["claim.decided", "payout.authorised", "payout.authorised"]
    claim = read_claim(network.state.read, claim_id)
    pool = read_pool(network.state.read, derive_pool_id(customer.case_id))
    assert claim is not None
    assert pool is not None
    assert (claim.status, claim.decided_ms) == ("DECIDED", network.now_ms)
    assert claim.payouts == tuple(network.payout_id(claim_id, item.policy_id) for item in policies)
    assert (pool.version, pool.commit) == (2, body.statements[1].statement.pool_commit_out)
    for policy, signed in zip(policies, body.statements, strict=True):
        account = read_account(network.state.read, policy.account_id)
        payout = read_payout(network.state.read, network.payout_id(claim_id, policy.policy_id))
        assert account is not None
        assert payout is not None
        assert (account.version, account.commit) == (1, signed.statement.account_commit_out)
        assert (account.cause, account.lease) == (f"claim/{claim_id}", None)
        assert (payout.status, payout.insurer, payout.attempt) == ("AUTHORISED", "insurer", 0)
        assert payout.result_commit == signed.statement.result_commit
    assert code_of(network, body) == "WRONG_STATE"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"network": "another.net"}, "NETWORK_MISMATCH"),
        ({"claim_id": make_hex("other")}, "CLAIM_MISMATCH"),
        ({"attempt": 0}, "ATTEMPT_MISMATCH"),
        ({"attempt": 2}, "ATTEMPT_MISMATCH"),
        ({"consent_id": make_hex("other")}, "CONSENT_MISMATCH"),
        ({"evidence_root": make_hex("other")}, "EVIDENCE_MISMATCH"),
        ({"payee_commit": make_hex("other")}, "PAYEE_MISMATCH"),
        ({"delivered": (Delivery(make_hex("x"), make_hex("y")),)}, "DELIVERY_MISSING"),
        ({"account_id": make_hex("other", 16)}, "ACCOUNT_MISMATCH"),
        ({"account_version_in": 1}, "ACCOUNT_VERSION"),
        ({"pool_id": make_hex("other")}, "POOL_MISMATCH"),
        ({"pool_version_in": 1}, "POOL_VERSION"),
        ({"contract_hash": CONTRACT_TWO_HASH}, "CONTRACT_NOT_PINNED"),
        ({"tables_hash": make_hex("other")}, "PRODUCT_MISMATCH"),
        ({"policy_id": make_hex("other", 16)}, "POLICY_SET_INCOMPLETE"),
    ],
)
def test_each_field_is_checked_against_state(changes: dict[str, Any], code: str) -> None:
    network, claim_id = ready()
    claim = read_claim(network.state.read, claim_id)
    assert claim is not None
    statement = structs.replace(network.make_statement(claim_id, claim.policies[0].policy_id), **changes)
    body = ClaimAdjudicate(claim_id, (network.sign_statement(statement, "insurer", "tpa"),))
    before = network.state.state_map.root
    assert code_of(network, body) == code
    assert network.state.state_map.root == before, "a refused verdict leaves state untouched"


def test_a_statement_is_valid_up_to_and_with_its_last_millisecond() -> None:
    network, claim_id = ready()
    body = network.make_adjudication(claim_id, valid_until=network.now_ms + 1_000)
    transaction = network.sign("claim.adjudicate", body, "insurer")
    late = network.sign("claim.adjudicate", body, "insurer")
    other, other_claim = ready()
    assert other_claim == claim_id, "two networks told the same story are the same"
    other.wait(1_001)
    assert other.run(late).receipts[0].code == "STATEMENT_EXPIRED"
    assert network.run(transaction).receipts[0].code == "ok"


def test_delivery_to_others_too_is_fine() -> None:
    network, claim_id = ready()
    claim = read_claim(network.state.read, claim_id)
    assert claim is not None
    mailbox = network.customers[claim.consent_id].consent.mailbox_key
    deliveries = (Delivery(make_hex("x"), make_hex("y")), Delivery(mailbox, make_hex("z")))
    assert code_of(network, network.make_adjudication(claim_id, delivered=deliveries)) == "ok"


def test_exactly_one_statement_for_each_policy() -> None:
    network = Network()
    policies = [network.commit_policy(), network.commit_policy()]
    _, claim_id = network.ready_claim(*(item.policy_id for item in policies))
    body = network.make_adjudication(claim_id)
    first, second = body.statements
    for statements in ((first,), (first, first), (first, second, second)):
        assert code_of(network, ClaimAdjudicate(claim_id, statements)) == "POLICY_SET_INCOMPLETE"
    assert code_of(network, ClaimAdjudicate(claim_id, (second, first))) == "POOL_VERSION"
    same = network.make_adjudication(claim_id, pool_version_in=0)
    assert code_of(network, same) == "POOL_VERSION"
    assert code_of(network, body) == "ok"


def test_who_submits_and_when() -> None:
    network = Network()
    policy = network.commit_policy()
    customer = network.grant(policy.policy_id)
    records = network.publish(customer, "discharge", "invoice")
    claim_id = network.claim_id(customer)
    assert code_of(network, network.make_adjudication(claim_id)) == "WRONG_STATE"
    network.accept(claim_id)
    assert code_of(network, network.make_adjudication(claim_id)) == "WRONG_STATE"
    network.complete(customer, records)
    body = network.make_adjudication(claim_id)
    assert code_of(network, body, "insurer-two") == "NOT_THE_INSURER"
    assert code_of(network, body, "tpa") == "NOT_THE_INSURER"
    unknown = structs.replace(body, claim_id=make_hex("unknown"))
    assert code_of(network, unknown) == "CLAIM_UNKNOWN"
    assert code_of(network, body) == "ok"


def test_a_revoked_or_expired_consent_stops_the_verdict_and_keeps_what_was_authorised() -> None:
    network = Network()
    policy, other_policy = network.commit_policy(), network.commit_policy()
    customer, claim_id = network.ready_claim(policy.policy_id)
    decided_customer, decided = network.ready_claim(other_policy.policy_id)
    network.adjudicate(decided)
    for item in (customer, decided_customer):
        network.do("consent.revoke", ConsentRevoke(item.consent_id, None, item.slip), "hospital")
    assert code_of(network, network.make_adjudication(claim_id)) == "CONSENT_REVOKED"
    network.pay(network.payout_id(decided, other_policy.policy_id))


def test_an_expired_consent_stops_the_verdict() -> None:
    network = Network()
    policy = network.commit_policy()
    customer = network.grant(policy.policy_id, exp_ms=network.now_ms + HOUR_MS)
    records = network.publish(customer, "discharge", "invoice")
    network.accept(network.claim_id(customer))
    network.complete(customer, records)
    network.wait(HOUR_MS)
    assert code_of(network, network.make_adjudication(network.claim_id(customer))) == "CONSENT_EXPIRED"


@pytest.mark.parametrize(
    ("signers", "code"),
    [
        (("insurer",), "CO_ADJUDICATOR_MISSING"),
        (("tpa",), "INSURER_SIGNATURE_MISSING"),
        (("insurer", "tpa-owned"), "CO_ADJUDICATOR_MISSING"),
        (("insurer", "commission"), "CO_ADJUDICATOR_MISSING"),
        (("insurer", "insurer-two"), "CO_ADJUDICATOR_MISSING"),
        (("insurer", "tpa"), "ok"),
        (("commission", "insurer", "tpa", "tpa-owned"), "ok"),
    ],
)
def test_who_must_sign(signers: tuple[str, ...], code: str) -> None:
    """`commission` is listed but not named by the consent for co-adjudicating; `insurer-two` is not listed."""
    network, claim_id = ready(co_adjudicators=("tpa", "tpa-owned", "commission"))
    assert code_of(network, network.make_adjudication(claim_id, signers)) == code


def test_a_threshold_counts_distinct_outsiders() -> None:
    network = Network()
    policy = network.commit_policy(co_adjudicators=("tpa", "auditor", "tpa-owned"), threshold=2)
    draft = network.make_consent([policy.policy_id]).consent
    grantees = (
        *draft.grantees,
        Grantee("auditor", ("co-adjudicate",), ("clinical",), None),
        Grantee("tpa-owned", ("co-adjudicate",), ("clinical",), None),
    )
    customer = network.grant(policy.policy_id, grantees=grantees)
    network.complete(customer, network.publish(customer, "discharge", "invoice"))
    claim_id = network.claim_id(customer)
    network.accept(claim_id)
    for signers in (("insurer", "tpa"), ("insurer", "tpa", "tpa-owned"), ("insurer", "auditor")):
        assert code_of(network, network.make_adjudication(claim_id, signers)) == "CO_ADJUDICATOR_MISSING"
    assert code_of(network, network.make_adjudication(claim_id, ("auditor", "insurer", "tpa"))) == "ok"


def test_false_swapped_and_disordered_signatures() -> None:
    network, claim_id = ready()
    (signed,) = network.make_adjudication(claim_id).statements
    insurer, tpa = signed.signatures
    stranger = make_member("stranger")

    def with_signatures(*signatures: Any) -> ClaimAdjudicate:
        return ClaimAdjudicate(claim_id, (SignedStatement(signed.statement, signatures),))

    swapped = structs.replace(insurer, signature=tpa.signature), structs.replace(tpa, signature=insurer.signature)
    other_statement = network.sign_statement(
        structs.replace(signed.statement, result_commit=make_hex("other")), "insurer", "tpa"
    ).signatures
    unknown_key = structs.replace(tpa, key_id=stranger.key_id)
    cases = [
        (swapped, "STATEMENT_SIGNATURE"),
        (other_statement, "STATEMENT_SIGNATURE"),
        ((insurer, unknown_key), "STATEMENT_SIGNATURE"),
        ((insurer, structs.replace(tpa, participant="tpa-owned")), "STATEMENT_SIGNATURE"),
        ((insurer, structs.replace(tpa, signature="00" * 64)), "STATEMENT_SIGNATURE"),
        ((tpa, insurer), "SIGNATURE_ORDER"),
        ((insurer, insurer, tpa), "SIGNATURE_ORDER"),
    ]
    for signatures, code in cases:
        assert code_of(network, with_signatures(*signatures)) == code


def test_a_key_that_is_not_active_counts_for_nothing() -> None:
    """The TPA's first key ends at height 7, its second begins at 9; statements are judged where they execute."""
    tpa_keys = (
        make_signing_key(make_member("tpa", 0)),
        make_signing_key(make_member("tpa", 1), until_height=7),
        make_signing_key(make_member("tpa", 2), from_height=9),
    )
    participants = [
        make_participant(name, keys=tpa_keys) if name == "tpa" else make_participant(name) for name in sorted(MEMBERS)
    ]
    network = Network(make_genesis(participants=participants))
    _, claim_id = network.ready_claim(network.commit_policy().policy_id)
    assert network.state.height == 5
    old, new = make_member("tpa", 1), make_member("tpa", 2)
    signed_early = network.make_adjudication(claim_id, ("insurer", old))
    network.wait(1_000)
    network.wait(1_000)
    assert code_of(network, signed_early) == "CO_ADJUDICATOR_MISSING"
    renewed = network.make_adjudication(claim_id, ("insurer", new))
    assert network.state.height == 8
    assert code_of(network, renewed) == "ok"


def test_rank_two_decides_after_rank_one() -> None:
    network = Network()
    mine, theirs = network.commit_policy(), network.commit_policy("insurer-two")
    customer = network.grant(mine.policy_id, theirs.policy_id)
    network.complete(customer, network.publish(customer, "admission", "discharge", "invoice"))
    first, second = network.claim_id(customer), network.claim_id(customer, "insurer-two")
    network.accept(first)
    network.accept(second, "insurer-two")
    early = network.make_adjudication(second, ("insurer-two", "tpa"))
    receipt = network.do("claim.adjudicate", early, "insurer-two")
    assert (receipt.code, receipt.results[0].subject) == ("RANK_NOT_REACHED", first)
    network.adjudicate(first)
    assert code_of(network, early, "insurer-two") == "POOL_VERSION"
    network.adjudicate(second, "insurer-two")
    pool = read_pool(network.state.read, derive_pool_id(customer.case_id))
    assert pool is not None
    assert pool.version == 2


def test_a_rank_whose_clock_ran_out_loses_its_turn() -> None:
    network = Network(make_genesis(parameters=Parameters(decide_ms=DAY_MS)))
    policies = [network.commit_policy(), network.commit_policy("insurer-two")]
    customer = network.grant(*(item.policy_id for item in policies))
    network.complete(customer, network.publish(customer, "discharge", "invoice"))
    complete_ms = network.now_ms
    second = network.claim_id(customer, "insurer-two")
    network.accept(second, "insurer-two")
    body = network.make_adjudication(second, ("insurer-two", "tpa"), valid_until=network.now_ms + 9 * DAY_MS)
    last_moment = network.sign("claim.adjudicate", body, "insurer-two", expires_time=network.now_ms + 2 * DAY_MS)
    after = network.sign("claim.adjudicate", body, "insurer-two", expires_time=network.now_ms + 2 * DAY_MS)
    assert network.run(last_moment, time_ms=complete_ms + DAY_MS).receipts[0].code == "RANK_NOT_REACHED"
    assert network.run(after, time_ms=complete_ms + DAY_MS + 1).receipts[0].code == "ok"
    late = network.claim_id(customer)
    network.accept(late)
    network.adjudicate(late)


def test_three_ranks_each_have_their_own_clock() -> None:
    from contracts.adjudication import _check_rank
    from contracts.errors import Refusal
    from contracts.states import CaseState, ClaimState

    def claim(rank: int, decided_ms: int | None) -> ClaimState:
        return ClaimState(
            "case", "consent", "i", rank, "FILED", (), 1, 0, None, None, decided_ms, None, None, ()
        )  # fmt: skip

    class View:
        def __init__(self, time_ms: int, first: int | None, second: int | None) -> None:
            self.time_ms = time_ms
            self.block = type("Block", (), {"parameters": Parameters(decide_ms=100)})
            self.values = {
                "case": CaseState("consent", "COMPLETE", ("a", "b", "c"), 0, 1_000, (), None),
                "a": claim(1, first),
                "b": claim(2, second),
                "c": claim(3, None),
            }

        def require(self, kind: type, identifier: str, code: str) -> Any:
            return self.values[identifier]

    def blocker(time_ms: int, first: int | None, second: int | None) -> str | None:
        try:
            _check_rank(View(time_ms, first, second), claim(3, None))  # type: ignore[arg-type]
        except Refusal as refusal:
            return refusal.subject
        return None

    assert blocker(1_100, None, None) == "a"
    assert blocker(1_101, None, None) == "b", "the second clock starts where the first ran out"
    assert blocker(1_200, None, None) == "b"
    assert blocker(1_201, None, None) is None
    assert blocker(1_150, 1_040, None) is None
    assert blocker(1_140, 1_040, None) == "b", "an early decision starts the next clock early"
    assert blocker(1_001, 1_000, 1_001) is None
    assert blocker(1_250, 1_250, None) is None, "a late decision of the first does not hold up the third"


def test_a_later_program_needs_a_policy_that_commits_to_it() -> None:
    network = Network(make_genesis(programs=[make_program(PROGRAM), make_program(PROGRAM_TWO)]))
    both = [
        network.commit_policy(),
        network.commit_policy(product_hash=derive_product_hash(CONTRACT_TWO_HASH, TABLES_HASH)),
    ]
    for policy, code in zip(both, ("PRODUCT_MISMATCH", "ok"), strict=True):
        _, claim_id = network.ready_claim(policy.policy_id)
        assert code_of(network, network.make_adjudication(claim_id, contract_hash=CONTRACT_TWO_HASH)) == code
