"""What is committed to for one outcome, and the statement that binds it: openings in, commitments out.

Every opening is a JSON object with its own random `salt`; the ledger holds only its commitment. Must not know the
vault or who reads what. Must always hold: a statement made here names the commitments of the openings beside it.

    terms          salt, policy_id, policy_no, insurer, relation, first_effective, periods, history,
                   excluded_icd_prefixes, currency, balance_owner, lanes (see lanes)
    account        salt, account_id, version, use, reserved
    pool           see pools
    payee          salt, and what the insurer's bank needs
    event date     salt, event_date
    result         salt, claim_id, policy_id, attempt, currency, result
    order          salt, payout_id, attempt, amount_fen, currency, end_to_end_id
    settlement     salt, payout_id, attempt, expected_fen, amount_fen, currency, account, booking_date, bank_reference

`reserved` lists the reservations that are part of `use` (movements.Reservation). Of a settlement `expected_fen` is what
the result leaves to be paid and `amount_fen` what was paid.
"""

from base64 import b32encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from contracts.cases.errors import CaseError
from contracts.cases.movements import Balance, encode_reserved
from contracts.commitments import commit
from contracts.statements import Delivery, OutcomeStatement
from ledger.crypto.hashing import tagged_hash

Opening: TypeAlias = dict[str, Any]
Salt: TypeAlias = Callable[[], str]
"""A fresh salt: 64 hexadecimal digits from the system's randomness."""

MACHINE: Final = "starlark-c1"
STATEMENT_LIFETIME_MS: Final = 24 * 3_600_000
"""A statement not on the ledger within a day is made again: accounts and pool may have moved."""
BALANCE_OWNERS: Final = ("insurer", "tpa", "employer")
"""Who keeps a policy's balance and so says what is paid in the end."""
END_TO_END_CHARS: Final = 35
"""Longest EndToEndId of ISO 20022 (Max35Text)."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """Openings of one policy's outcome in one claim."""

    policy_id: str
    account_in: Opening
    account_out: Opening
    pool_in: Opening
    pool_out: Opening
    event_date: Opening
    result: Opening


@dataclass(frozen=True, slots=True)
class StatementContext:
    """What the ledger says about a claim, and the program that decided it; the same for all its policies."""

    network: str
    claim_id: str
    attempt: int
    consent_id: str
    case_id: str
    evidence_root: str
    payee_commit: str
    contract_hash: str
    valid_until_ms: int


def balance_owner_of(terms: Mapping[str, Any]) -> str:
    """Who keeps the balance of a policy; the insurer where its terms do not say. Raises CaseError `DOCUMENT_FORM`."""
    owner = terms.get("balance_owner", BALANCE_OWNERS[0])
    if owner not in BALANCE_OWNERS:
        raise CaseError("DOCUMENT_FORM", f"balance_owner is one of {', '.join(BALANCE_OWNERS)}")
    return str(owner)


def open_account(account_id: str, version: int, balance: Balance, salt: str) -> Opening:
    """Opening of one version of a coverage account."""
    reserved = encode_reserved(balance)
    return {"salt": salt, "account_id": account_id, "version": version, "use": balance.use, "reserved": reserved}


def open_result(claim_id: str, policy_id: str, attempt: int, currency: str, result: Any, salt: str) -> Opening:
    """Opening of one policy's result, as the program gave it."""
    return {
        "salt": salt,
        "claim_id": claim_id,
        "policy_id": policy_id,
        "attempt": attempt,
        "currency": currency,
        "result": result,
    }


def build_statement(
    context: StatementContext, outcome: Outcome, tables_hash: str, delivered: tuple[Delivery, ...]
) -> OutcomeStatement:
    """The statement over one outcome's commitments."""
    return OutcomeStatement(
        v=1,
        network=context.network,
        claim_id=context.claim_id,
        attempt=context.attempt,
        policy_id=outcome.policy_id,
        account_id=outcome.account_in["account_id"],
        account_version_in=outcome.account_in["version"],
        account_commit_out=commit("account-version", outcome.account_out),
        pool_id=outcome.pool_in["pool_id"],
        pool_version_in=outcome.pool_in["version"],
        pool_commit_out=commit("pool-version", outcome.pool_out),
        evidence_root=context.evidence_root,
        consent_id=context.consent_id,
        contract_hash=context.contract_hash,
        tables_hash=tables_hash,
        machine=MACHINE,
        event_date_commit=commit("event-date", outcome.event_date),
        payee_commit=context.payee_commit,
        result_commit=commit("result", outcome.result),
        delivered=delivered,
        valid_until=context.valid_until_ms,
    )


def end_to_end_id(payout_id: str) -> str:
    """The bank's name of a payout, the same for all attempts (protocol rule 8): base32 of its hash, 32 characters."""
    return b32encode(tagged_hash("end-to-end-id", bytes.fromhex(payout_id))[:20]).decode("ascii")
