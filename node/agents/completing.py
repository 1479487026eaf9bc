"""When a commission completes a case, and when once more: a claim asks for evidence or was reopened.

Knows claims of a case and the versions of its loss pool that a commission made. Must not know documents. Must always
hold (as the ledger): while a claim stands decided, its evidence stays as it is; a completion begins the loss anew.
"""

from typing import Any, Final

from contracts.cases.openings import Opening
from contracts.commitments import commit
from contracts.identifiers import derive_pool_id
from contracts.states import CaseState, RecordState, read_claim, read_consent, read_pool, read_record
from ledger.state import Reader
from node.agents.hospitalbook import HospitalBook
from node.agents.mail import post, seal_parcel
from node.agents.ports import Ports

ASKS_AGAIN: Final = frozenset({"claim.reopened", "claim.evidence_requested"})
"""Events after which a complete case may be completed again."""


def is_asked_again(read: Reader, case: CaseState) -> bool:
    """Whether a claim of a complete case asks for evidence or was reopened, and none stands decided."""
    known = [claim for name in case.claims if (claim := read_claim(read, name)) is not None]
    if any(claim.decided_ms is not None and claim.status != "WITHDRAWN" for claim in known):
        return False
    return any(
        claim.status == "EVIDENCE_PENDING" or (claim.attempt > 1 and claim.status == "EVIDENCE_COMPLETE")
        for claim in known
    )


def next_version(read: Reader, case_id: str) -> int:
    """The version that the pool gets with a completion."""
    state = read_pool(read, derive_pool_id(case_id))
    return 0 if state is None else state.version + 1


def keep_pool(ports: Ports, pool: Opening) -> None:
    """Keep an opening that a completion names, whether the ledger takes it or not."""
    ports.vault.put_secret(f"pool/{pool['pool_id']}/{pool['version']}", pool)


def deliver_pool(ports: Ports, case_id: str, case: CaseState) -> str:
    """The pool's opening, with the proofs of the invoice locks, to every insurer of the case and the hospital; once for
    each version that was made here. The code of what came of it."""
    pool, version = _made_pool(ports, case_id)
    consent = read_consent(ports.ledger.final.read, case.consent_id)
    if pool is None or consent is None:
        return "completed_elsewhere"
    if _is_unsent(ports, case_id, version):
        insurers = [item.participant for item in consent.grantees if item.rank is not None]
        readers = [*insurers, *sorted({state.hospital for state in _evidence(ports, case)})]
        envelope = seal_parcel(ports, "pool", case_id, {"pool": pool, "locks": _locks(ports, case)}, readers)
        post(ports, "pool", case_id, case_id, envelope, readers)
        ports.vault.put_secret(f"pool-sent/{case_id}", version)
        if version == 0:
            HospitalBook(ports).count(case_id, case)
    return "complete"


def _made_pool(ports: Ports, case_id: str) -> tuple[Any, int]:
    """(the opening made here of the ledger's version, that version); what the case was first completed with if insurers
    took from the pool since."""
    pool_id = derive_pool_id(case_id)
    state = read_pool(ports.ledger.final.read, pool_id)
    made = None if state is None else ports.vault.get_secret(f"pool/{pool_id}/{state.version}")
    if state is not None and made is not None and commit("pool-version", made) == state.commit:
        return made, state.version
    return ports.vault.get_secret(f"pool/{pool_id}/0"), 0


def _is_unsent(ports: Ports, case_id: str, version: int) -> bool:
    if version > 0:
        return version > (ports.vault.get_secret(f"pool-sent/{case_id}") or 0)
    return not ports.vault.parcels("pool", case_id, sender=ports.me)


def _evidence(ports: Ports, case: CaseState) -> list[RecordState]:
    found = (read_record(ports.ledger.final.read, record_id) for record_id in case.records)
    return [state for state in found if state is not None]


def _locks(ports: Ports, case: CaseState) -> dict[str, dict[str, str]]:
    locks = {}
    for record_id, state in zip(case.records, _evidence(ports, case), strict=True):
        kept = ports.vault.get_secret(f"invoice/{state.nullifier}") if state.nullifier else None
        if kept is not None and state.nullifier is not None:
            locks[record_id] = {"nullifier": state.nullifier, "signature": kept["signature"]}
    return locks
