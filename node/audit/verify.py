"""Verifying a dossier: twelve numbered checks, the first that fails ends it.

Needs the file, the trusted genesis and a way to run claim programs; no network, no database, no clock.
"""

from collections.abc import Sequence
from typing import Any

from msgspec import Struct

from contracts.errors import ContractError
from contracts.execution import ChainState, genesis_state
from contracts.states import ClaimState, read_case, read_claim
from ledger.certificates import verify_finality
from ledger.errors import LedgerError
from ledger.notes import VerifierKey
from node.audit.disclosure import Amount, ProgramRunner, check_disclosure
from node.audit.epochs import FinalityCheck
from node.audit.history import History, check_history
from node.audit.replay_claim import Replayed, replay_claim
from node.audit.report import TITLES, AuditFailure, Check
from node.audit.witnessed import Witnessing, check_witnessed


class Verification(Struct, frozen=True):
    """A dossier that holds: its lines, the claim's status on the ledger, and the explanation if it was re-run."""

    checks: tuple[Check, ...]
    claim_id: str
    insurer: str
    status: str
    height: int
    header_hash: str
    trace: tuple[dict[str, Any], ...]
    results: tuple[dict[str, Any], ...]
    amounts: tuple[Amount, ...]
    witness: Witnessing


def read_trust(genesis_bytes: bytes) -> ChainState:
    """The state of a trusted genesis. Raises AuditFailure 2."""
    try:
        return genesis_state(genesis_bytes)
    except (LedgerError, ContractError) as error:
        raise AuditFailure(2, error.code, f"the trusted genesis: {error.detail}") from None


def verify_dossier(
    data: bytes,
    start: ChainState,
    run: ProgramRunner,
    finality: FinalityCheck = verify_finality,
    witnesses: Sequence[VerifierKey] = (),
) -> Verification:
    """All checks against a trusted genesis (`read_trust`). Raises AuditFailure: the first that does not hold.

    `witnesses`: whose cosignatures the reader trusts.
    """
    history = check_history(data, start, finality)
    witness = check_witnessed(history.dossier, start, witnesses)
    replayed = replay_claim(history, start)
    claim = read_claim(lambda key: replayed.current.get(key) or start.read(key), history.dossier.claim_id)
    if claim is None or claim.insurer != history.dossier.insurer:
        raise AuditFailure(8, "insurer", "the file names another insurer than the claim")
    _check_heads(history, claim, replayed, start)
    disclosure = check_disclosure(history, replayed, start, run)
    header = history.dossier.anchor.header
    return Verification(
        checks=(*_history_lines(history, replayed), *disclosure.checks),
        claim_id=history.dossier.claim_id,
        insurer=claim.insurer,
        status=claim.status,
        height=header.height,
        header_hash=history.dossier.anchor.certificate.digest or "",
        trace=disclosure.trace,
        results=disclosure.results,
        amounts=disclosure.amounts,
        witness=witness,
    )


def _check_heads(history: History, claim: ClaimState, replayed: Replayed, start: ChainState) -> None:
    """Everything of the claim's life is shown to its end, not only the claim."""
    case = read_case(lambda key: replayed.current.get(key) or start.read(key), claim.case_id)
    needed = {f"case/{claim.case_id}", f"consent/{claim.consent_id}"}
    needed |= {f"policy/{item.policy_id}" for item in claim.policies}
    needed |= {f"payout/{item}" for item in claim.payouts}
    needed |= {f"record/{item}" for item in case.records} if case else set()
    missing = sorted(needed - {head.key for head in history.dossier.heads})
    if missing:
        raise AuditFailure(7, "missing_head", f"nothing proves that {missing[0]} is shown to its latest version")


def _history_lines(history: History, replayed: Replayed) -> list[Check]:
    dossier = history.dossier
    signers = bin(int(dossier.anchor.certificate.signers, 16)).count("1")
    details = {
        1: f"version {dossier.v}",
        2: f"genesis {history.chain.hex()[:16]}",
        3: f"height {dossier.anchor.header.height}, {signers} validators",
        4: f"{len(dossier.headers)} headers",
        5: f"{len(dossier.entries)} entries",
        6: f"{len(dossier.transactions)} transactions",
        7: f"{len(dossier.heads)} objects",
        8: f"{len(replayed.operations)} operations",
    }
    return [Check(number=number, title=TITLES[number], outcome="proved", detail=details[number]) for number in details]
