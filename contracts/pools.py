"""The next version of a case's loss pool that no verdict makes: an outcome is taken out again.

Knows versions; never what was paid: that is inside the commitment, and co-adjudicators computed it from the version
before (contracts/cases/pools). Must always hold: a version is consumed once, by a verdict or by a restoration, so that
whoever decides next counts with what really is left.
"""

from msgspec import UnsetType
from msgspec.structs import replace

from contracts.errors import Refusal
from contracts.identifiers import derive_pool_id
from contracts.operations import Operation
from contracts.states import CaseState, ClaimState, PoolState

DECIDED = frozenset({"DECIDED", "CLOSED"})


def restore_pool(operation: Operation, claim: ClaimState, version: int, commit: str) -> None:
    """The pool without an outcome of this claim that was withdrawn, failed for good or was reversed (protocol rule 4).

    The caller has judged the outcome and who endorsed. Refused `POOL_MISMATCH`, `POOL_VERSION`.
    """
    pool_id = derive_pool_id(claim.case_id)
    pool = operation.require(PoolState, pool_id, "POOL_MISMATCH")
    if pool.version != version:
        raise Refusal("POOL_VERSION", f"the loss pool is at version {pool.version}", pool_id)
    restored = replace(
        pool, version=version + 1, commit=commit, restored_rank=claim.rank, restored_ms=operation.time_ms
    )
    operation.put(pool_id, restored)
    operation.emit("pool.restored", pool_id)


def require_reopening_turn(operation: Operation, claim: ClaimState) -> None:
    """After a restoration the insurers behind reopen in rank order: each rank that stands decided has the time of an
    acceptance to reopen before the next one may. Refused `RANK_NOT_REACHED`; how they decide then is the clocks'."""
    pool = operation.get(PoolState, derive_pool_id(claim.case_id))
    if pool is None or isinstance(pool.restored_ms, UnsetType) or isinstance(pool.restored_rank, UnsetType):
        return
    turn = pool.restored_ms
    for other_id in operation.require(CaseState, claim.case_id, "CASE_UNKNOWN").claims:
        other = operation.require(ClaimState, other_id, "CLAIM_UNKNOWN")
        if not pool.restored_rank < other.rank < claim.rank or other.status not in DECIDED:
            continue
        if (other.decided_ms or 0) <= pool.restored_ms:
            turn += operation.block.parameters.accept_ms
            if operation.time_ms <= turn:
                raise Refusal("RANK_NOT_REACHED", f"rank {other.rank} may reopen before rank {claim.rank}", other_id)
