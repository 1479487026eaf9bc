"""Deadlines of claims on block time, judged by the next transaction; and `claim.escalate`, which says that one is over.

Insurers decide in the consent's order: the first clock starts when the case is complete, each further one when the
rank before decided, was withdrawn or timed out; pauses of a claim move its own deadline and so the clocks behind it
(protocol rules 4 and 6). Must always hold: nothing here needs a timer, and an escalation changes no status: it lets the
arbiter's signature stand for the silent one.
"""

from collections.abc import Iterable

from msgspec import UNSET
from msgspec.structs import replace

from contracts.claimbodies import ClaimEscalate
from contracts.claimlife import PLAIN, ClaimLife, Escalation, elapsed_ms, fold_clock, paused_ms
from contracts.claimtokens import ESCALATION_TYPE, EscalationRequest
from contracts.claimwords import read_word
from contracts.errors import Refusal
from contracts.genesis import Parameters
from contracts.lifecycle import next_status
from contracts.operations import Operation
from contracts.policies import list_outside
from contracts.states import CaseState, ClaimState, ConsentState, PayoutState, PolicyState

CUSTOMER = "customer"
UNPAID = frozenset({"AUTHORISED", "ORDERED", "FAILED"})
"""Payouts of which the insurer has not even said that they are settled."""


def limit_ms(parameters: Parameters, life: ClaimLife) -> int:
    """Time to decide: longer where the claim was declared complex."""
    return parameters.complex_ms if life.is_complex else parameters.decide_ms


def is_decision_late(parameters: Parameters, claim: ClaimState, time_ms: int) -> bool:
    """Whether more time than the network gives was counted since the claim was ready."""
    counted = elapsed_ms(claim.lived, claim.ready_ms, time_ms, parameters.pause_ms)
    return counted > limit_ms(parameters, claim.lived)


def find_turn(operation: Operation, claim: ClaimState) -> tuple[int, str | None]:
    """(when this rank's clock started, the claim of an earlier rank that still has its turn)."""
    case = operation.require(CaseState, claim.case_id, "CASE_UNKNOWN")
    known = ((name, operation.require(ClaimState, name, "CLAIM_UNKNOWN")) for name in case.claims)
    return turn_of(known, claim.rank, case.complete_ms or 0, operation.block.parameters, operation.time_ms)


def turn_of(
    claims: Iterable[tuple[str, ClaimState]], rank: int, turn: int, parameters: Parameters, time_ms: int
) -> tuple[int, str | None]:
    """`find_turn` for whoever has a case's claims in the order of rank; `turn` is when the case was complete."""
    for claim_id, other in claims:
        if other.rank >= rank:
            break
        deadline = turn_deadline(parameters, other, turn, time_ms)
        done_ms = other.closed_ms if other.status == "WITHDRAWN" else other.decided_ms
        if done_ms is None and time_ms <= deadline:
            return turn, claim_id
        turn = max(turn, min(deadline, done_ms or deadline))
    return turn, None


def turn_deadline(parameters: Parameters, claim: ClaimState, turn: int, time_ms: int) -> int:
    """Last block time of a claim's turn that began at `turn`; what was reopened begins anew."""
    life = claim.lived
    start = max(turn, claim.ready_ms or 0) if claim.attempt > 1 else turn
    return start + limit_ms(parameters, life) + paused_ms(life, time_ms, parameters.pause_ms)


def apply_escalate(operation: Operation, body: ClaimEscalate) -> str:
    """`claim.escalate`: a deadline is over, in the word of a party or of the customer (protocol rule 6)."""
    claim = operation.require(ClaimState, body.claim_id, "CLAIM_UNKNOWN")
    by = _read_caller(operation, body, claim)
    status = next_status("claim", claim.status, "claim.escalate", body.claim_id)
    life = claim.lived
    if any(item.deadline == body.deadline for item in life.escalations):
        raise Refusal("ESCALATED_ALREADY", f"{body.deadline} was escalated before", body.claim_id)
    if not _is_over(operation, claim, body.deadline):
        raise Refusal("ESCALATION_EARLY", f"the time for {body.deadline} is not over", body.claim_id)
    said = (*life.escalations, Escalation(body.deadline, by, operation.time_ms))
    put_claim(operation, body.claim_id, replace(claim, status=status), replace(life, escalations=said))
    operation.emit("claim.escalated", body.claim_id)
    return body.claim_id


def put_claim(operation: Operation, claim_id: str, claim: ClaimState, life: ClaimLife | None = None) -> None:
    """Write a claim with its clock paused or running as its status says."""
    lived = fold_clock(life or claim.lived, claim.status, claim.ready_ms, operation.time_ms)
    operation.put(claim_id, replace(claim, life=UNSET if lived == PLAIN else lived))


def is_escalated(claim: ClaimState, *deadlines: str) -> bool:
    """Whether one of these deadlines was escalated in this attempt."""
    return any(item.deadline in deadlines for item in claim.lived.escalations)


def _read_caller(operation: Operation, body: ClaimEscalate, claim: ClaimState) -> str:
    """Who says that the deadline is over: the customer by token, else a party; the insurer of co-signers alone."""
    if body.token is not None:
        word, _ = read_word(operation, body.token, ESCALATION_TYPE, EscalationRequest, body.claim_id)
        if word.deadline != body.deadline:
            raise Refusal("CLAIM_MISMATCH", f"the customer named {word.deadline}", body.claim_id)
        return CUSTOMER
    author = operation.author
    if author == claim.insurer and body.deadline == "co_sign":
        return author
    consent = operation.require(ConsentState, claim.consent_id, "CONSENT_MISSING")
    if author != claim.insurer and (author in consent.hospitals or _is_judge(operation, claim, consent)):
        return author
    raise Refusal("NOT_A_PARTY", f"{author} cannot escalate {body.deadline} of this claim", body.claim_id)


def _is_judge(operation: Operation, claim: ClaimState, consent: ConsentState) -> bool:
    """A co-adjudicator of one of the policies, or the endorsing commission, as the consent names them."""
    if consent.grants(operation.author, "endorse"):
        return True
    policies = [operation.require(PolicyState, item.policy_id, "POLICY_UNKNOWN") for item in claim.policies]
    listed = any(operation.author in list_outside(operation, policy) for policy in policies)
    return listed and consent.grants(operation.author, "co-adjudicate")


def _is_over(operation: Operation, claim: ClaimState, deadline: str) -> bool:
    """Whether the block is past the last millisecond of this deadline, for what is not done yet."""
    time_ms, parameters = operation.time_ms, operation.block.parameters
    if deadline == "settle":
        late = time_ms - parameters.settle_ms
        payouts = [operation.require(PayoutState, name, "PAYOUT_UNKNOWN") for name in claim.payouts]
        return any(item.status in UNPAID and item.authorised_ms < late for item in payouts)
    if claim.status == "DECIDED":
        return False
    if deadline == "accept":
        return claim.accepted_ms is None and time_ms > claim.reported_ms + parameters.accept_ms
    case = operation.require(CaseState, claim.case_id, "CASE_UNKNOWN")
    turn, blocker = find_turn(operation, claim)
    if case.complete_ms is None or blocker is not None:
        return False
    until = turn_deadline(parameters, claim, turn, time_ms)
    if deadline == "co_sign":
        until += parameters.co_sign_ms - limit_ms(parameters, claim.lived)
    return time_ms > until
