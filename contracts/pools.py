"""The next version of a case's loss pool that no verdict makes: an outcome is taken out again.

Knows versions; never what was paid: that is inside the commitment, and co-adjudicators computed it from the version
before (contracts/cases/pools). Must always hold: a version is consumed once, by a verdict or by a restoration, so that
whoever decides next counts with what really is left.
"""

from msgspec.structs import replace

from contracts.errors import Refusal
from contracts.identifiers import derive_pool_id
from contracts.operations import Operation
from contracts.states import PoolState


def restore_pool(operation: Operation, case_id: str, version: int, commit: str) -> str:
    """The pool without an outcome that was withdrawn, failed for good or was reversed (protocol rule 4); its id.

    The caller has judged the outcome and who endorsed. Insurers behind may have their claims reopened; each waits for
    the ranks before it as ever. Refused `POOL_MISMATCH`, `POOL_VERSION`.
    """
    pool_id = derive_pool_id(case_id)
    pool = operation.require(PoolState, pool_id, "POOL_MISMATCH")
    if pool.version != version:
        raise Refusal("POOL_VERSION", f"the loss pool is at version {pool.version}", pool_id)
    operation.put(pool_id, replace(pool, version=version + 1, commit=commit))
    operation.emit("pool.restored", pool_id)
    return pool_id
