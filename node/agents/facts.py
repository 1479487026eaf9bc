"""What final state says about one claim, read in one place for the insurer and its co-adjudicators."""

from functools import partial
from typing import Final

from contracts.cases.checking import LedgerFacts
from contracts.consentforce import find_bar, find_lapse
from contracts.deadlines import is_decision_late
from contracts.holdstates import read_holds
from contracts.identifiers import derive_pool_id
from contracts.states import (
    ClaimState,
    read_account,
    read_case,
    read_claim,
    read_consent,
    read_payout,
    read_policy,
    read_pool,
    read_record,
)
from ledger.state import Reader
from node.agents.ports import Ports
from node.errors import NodeError

SETTLED: Final = frozenset({"SETTLED_CLAIMED", "CONTESTED", "PAID", "PAID_UNCONTESTED", "RESTORED", "NOT_DUE"})
"""Payouts that the insurer says its bank booked, or whose money was all advanced before.
Only FAILED, after a contest, has a settlement that stands no more."""


class NotYet(NodeError):
    """This node's final state does not hold what is needed: `no_claim`, `not_complete`. Later blocks may."""


def require_claim(ports: Ports, claim_id: str) -> ClaimState:
    """The claim. Raises NotYet `no_claim`."""
    claim = read_claim(ports.ledger.final.read, claim_id)
    if claim is None:
        raise NotYet("no_claim", f"no claim {claim_id} in final state")
    return claim


def read_facts(ports: Ports, claim_id: str) -> LedgerFacts:
    """Everything the ledger says about a claim whose evidence is complete. Raises NotYet."""
    final = ports.ledger.final
    read = final.read
    claim = require_claim(ports, claim_id)
    consent, case = read_consent(read, claim.consent_id), read_case(read, claim.case_id)
    pool = read_pool(read, derive_pool_id(claim.case_id))
    if consent is None or case is None or pool is None or case.evidence_root is None:
        raise NotYet("not_complete", f"the evidence of claim {claim_id} is not complete")
    policies = {item.policy_id: read_policy(read, item.policy_id) for item in claim.policies}
    accounts = {item.account_id: read_account(read, item.account_id) for item in claim.policies}
    records = {record_id: read_record(read, record_id) for record_id in case.records}
    return LedgerFacts(
        network=final.genesis.network,
        time_ms=final.time_ms,
        claim_id=claim_id,
        claim=claim,
        consent=consent,
        case=case,
        pool=pool,
        policies={name: state for name, state in policies.items() if state is not None},
        accounts={name: state for name, state in accounts.items() if state is not None},
        records={name: state for name, state in records.items() if state is not None},
        is_settled=partial(is_settled, read),
        holds=read_holds(read, claim_id),
        payouts={name: state for name in claim.payouts if (state := read_payout(read, name)) is not None},
    )


def is_settled(read: Reader, payout_id: str) -> bool:
    """Whether the settlement of a payout is on the ledger: its reservation is captured from then on."""
    payout = read_payout(read, payout_id)
    return payout is not None and payout.status in SETTLED


def leased_to_another(ports: Ports, claim_id: str, account_id: str) -> bool:
    """Whether a live claim holds the account: asking for the lease now would only be refused `ACCOUNT_LEASED`.

    A lease lives until the decision, the end of the consent or the end of the decision clock (protocol rule 3).
    """
    final = ports.ledger.final
    account = read_account(final.read, account_id)
    if account is None or account.lease is None or account.lease == claim_id:
        return False
    holder = read_claim(final.read, account.lease)
    if holder is None or is_stopped(ports, holder) is not None:
        return False
    return not is_decision_late(final.genesis.parameters, holder, final.time_ms)


def is_stopped(ports: Ports, claim: ClaimState) -> str | None:
    """The code of a consent that is over, if an undecided claim can go no further for it."""
    consent = read_consent(ports.ledger.final.read, claim.consent_id)
    if consent is None or claim.decided_ms is not None:
        return None
    lapse = find_lapse(consent, ports.ledger.final.time_ms)
    return None if lapse == "CONSENT_NOT_YET" else lapse


def waits_for_consent(ports: Ports, claim: ClaimState) -> bool:
    """Whether an emergency reported this claim and nobody ratified it yet: nothing can be accepted or read."""
    consent = read_consent(ports.ledger.final.read, claim.consent_id)
    return consent is not None and find_bar(consent, ports.ledger.final.time_ms) == "CONSENT_UNRATIFIED"
