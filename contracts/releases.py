"""Claim contracts on the ledger: releases are proposed, pass by vote, supersede one another and are withdrawn.

Knows bytes, hashes, owners and days; never what a program does or whether its examples hold: that each node finds out
for itself before it votes. Must always hold: a release is in force from a day that was known `contract_notice_days`
before, a line has one owner and no two releases in force at once, and no release that passed is ever forgotten.
"""

from typing import Any, cast

from msgspec import to_builtins
from msgspec.structs import replace

from contracts.bodies import (
    MAX_RELEASE_BYTES,
    ContractRelease,
    ContractWithdrawn,
    GovernancePropose,
    GovernanceWithdraw,
)
from contracts.catalogue import (
    ALL,
    DAY_MS,
    OPEN,
    DraftState,
    LinesState,
    LineState,
    LineVersion,
    OpenProposal,
    OpenProposalsState,
    ProductState,
    ReleaseTextState,
    day_start,
    pin_versions,
)
from contracts.errors import Refusal
from contracts.identifiers import derive_product_hash, derive_tables_hash
from contracts.machine.bundle import PROGRAM_TAG
from contracts.machine.language import LANGUAGE
from contracts.operations import Operation
from contracts.states import PolicyState, ProgramState, ProposalState
from contracts.versions import PinnedVersion
from ledger.crypto.hashing import tagged_hex
from ledger.encoding import decode
from ledger.errors import DecodeError

MAX_OPEN = 4
"""Open proposals about claim contracts of one author: their texts stand in state until they are over."""
MAX_VERSIONS = 100
"""Releases of one line: one a month for eight years. A claim pins those of its look-back."""
MAX_EXAMPLES = 200
"""Examples of one release: every node runs them all before it votes."""
MAX_AHEAD_MS = 732 * DAY_MS
"""How far ahead a release may begin: a slip of the pen must not close a line for a century."""
TEXTS = ("program", "tables", "examples")


def is_about_contracts(changes: tuple[Any, ...]) -> bool:
    """Whether a proposal, as a body or as state keeps it, is about a claim contract."""
    tags = {item["change"] if isinstance(item, dict) else type(item).__struct_config__.tag for item in changes}
    return any(str(tag).startswith("contract.") for tag in tags)


def keep_draft(operation: Operation, proposal_id: str, item: GovernancePropose) -> dict[str, Any]:
    """Check a proposal about a claim contract and keep its texts. Returns the change without them, for the proposal."""
    if len(item.changes) != 1:
        raise Refusal("CHANGES_MIXED", "a claim contract stands alone in its proposal", proposal_id)
    change = item.changes[0]
    open_now = _sweep(operation)
    if sum(one.author == operation.author for one in open_now) >= MAX_OPEN:
        raise Refusal("PROPOSALS_OPEN", f"{MAX_OPEN} proposals of {operation.author} are open", operation.author)
    kept: dict[str, Any] = to_builtins(change)
    if isinstance(change, ContractRelease):
        operation.require_role("insurer")
        _check_texts(change)
        _check_place(operation, change, operation.author)
        for name in TEXTS:
            del kept[name]
        operation.put(proposal_id, DraftState(change.program, change.tables, change.examples))
    else:
        _find_version(operation, cast("ContractWithdrawn", change).product_hash)
    epoch = operation.electorate.validators.epoch
    added = OpenProposal(proposal_id, operation.author, epoch, item.expires_ms)
    operation.put(OPEN, OpenProposalsState((*open_now, added)))
    return kept


def apply_passed(operation: Operation, proposal_id: str, proposal: ProposalState) -> None:
    """The deciding vote: the release enters its line, or leaves force. Raises Refusal where state moved on."""
    kept = proposal.changes[0]
    if kept["change"] == "contract.release":
        draft = operation.require(DraftState, proposal_id, "PROPOSAL_OVER")
        change = ContractRelease(
            **{name: value for name, value in kept.items() if name != "change"},
            program=draft.program,
            tables=draft.tables,
            examples=draft.examples,
        )
        _check_place(operation, change, proposal.author)
        _release(operation, proposal_id, proposal.author, change)
    else:
        _withdraw(operation, kept["product_hash"], kept["reason"])
    _close(operation, proposal_id)


def apply_withdraw(operation: Operation, item: GovernanceWithdraw) -> str:
    """`governance.withdraw`: the author takes an open proposal about a claim contract back."""
    proposal = operation.require(ProposalState, item.proposal_id, "PROPOSAL_UNKNOWN")
    if proposal.author != operation.author:
        raise Refusal("NOT_THE_AUTHOR", f"it was made by {proposal.author}", item.proposal_id)
    if not is_about_contracts(proposal.changes):
        raise Refusal("CHANGES_MIXED", "only proposals about claim contracts can be taken back", item.proposal_id)
    if proposal.passed_height is not None or operation.time_ms > proposal.expires_ms:
        raise Refusal("PROPOSAL_OVER", "nothing more can be decided about it", item.proposal_id)
    operation.put(item.proposal_id, replace(proposal, expires_ms=0))
    _close(operation, item.proposal_id)
    operation.emit("governance.withdrawn", item.proposal_id)
    return item.proposal_id


def pin_release(operation: Operation, policy: PolicyState, earliest_ms: int) -> tuple[PinnedVersion, ...]:
    """What may decide a claim that is reported now under a policy of the insurer's own release; else nothing."""
    product = operation.get(ProductState, policy.product_hash)
    if product is None or product.owner != policy.insurer:
        return ()
    line = operation.require(LineState, product.line, "PRODUCT_UNKNOWN")
    offset = operation.block.parameters.utc_offset_minutes
    return pin_versions(line, policy.product_hash, earliest_ms, operation.time_ms, offset)


def is_withdrawn(operation: Operation, insurer: str, product_hash: str) -> bool:
    """Whether this is a release of the insurer's own that was taken out of force."""
    product = operation.get(ProductState, product_hash)
    if product is None or product.owner != insurer:
        return False
    return _find_version(operation, product_hash, live=False).withdrawn_ms is not None


def _check_texts(change: ContractRelease) -> None:
    """Three canonical texts with the hashes that are stated, and no more of them than a node stores for good."""
    size = sum(len(getattr(change, name).encode("utf-8", "surrogatepass")) for name in TEXTS)
    if size > MAX_RELEASE_BYTES:
        raise Refusal("RELEASE_TOO_LARGE", f"{size} bytes, at most {MAX_RELEASE_BYTES}")
    program, tables, examples = (_read_text(change, name) for name in TEXTS)
    _check_program(change, program)
    if not isinstance(tables, dict) or tables.get("product_code") != change.product_code:
        raise Refusal("RELEASE_FORM", "the tables are no product of this code")
    if not isinstance(examples, list) or not all(isinstance(one, dict) for one in examples):
        raise Refusal("RELEASE_FORM", "the examples are no list of objects")
    if not 0 < len(examples) <= MAX_EXAMPLES:
        raise Refusal("RELEASE_FORM", f"{len(examples)} examples; 1 to {MAX_EXAMPLES} show what the contract pays")
    if derive_tables_hash(tables) != change.tables_hash:
        raise Refusal("RELEASE_HASH", "the tables have another hash", change.tables_hash)


def _read_text(change: ContractRelease, name: str) -> Any:
    try:
        return decode(getattr(change, name).encode("utf-8"), limit=MAX_RELEASE_BYTES)
    except (DecodeError, UnicodeEncodeError):
        raise Refusal("RELEASE_FORM", f"{name}: no canonical JSON text") from None


def _check_program(change: ContractRelease, program: Any) -> None:
    """The form of a bundle and its hash. Its letters are not judged: that depends on a version of Unicode, and nodes
    must agree."""
    files = program.get("files") if isinstance(program, dict) else None
    closed = isinstance(files, dict) and program.keys() == {"files", "language"} and program["language"] == LANGUAGE
    if not closed or not files or not all(isinstance(source, str) for source in files.values()):
        raise Refusal("RELEASE_FORM", "the program is no bundle of files")
    if tagged_hex(PROGRAM_TAG, change.program.encode("utf-8")) != change.contract_hash:
        raise Refusal("RELEASE_HASH", "the program has another hash", change.contract_hash)


def _check_place(operation: Operation, change: ContractRelease, owner: str) -> None:
    """The release is new, supersedes the newest of a line of its owner, and begins in time."""
    product_hash = derive_product_hash(change.contract_hash, change.tables_hash)
    if operation.has(ProductState, product_hash):
        raise Refusal("PRODUCT_EXISTS", "this program with these tables is a release already", product_hash)
    earliest = 0
    if change.supersedes is not None:
        line = _superseded_line(operation, change.supersedes, owner)
        earliest = line.versions[-1].active_from_ms + 1
    _check_notice(operation, change.effective_ms, earliest)


def _superseded_line(operation: Operation, product_hash: str, owner: str) -> LineState:
    product = operation.require(ProductState, product_hash, "PRODUCT_UNKNOWN")
    if product.owner != owner:
        raise Refusal("PRODUCT_OWNER", f"the release is one of {product.owner}", product_hash)
    line = operation.require(LineState, product.line, "PRODUCT_UNKNOWN")
    newest = line.versions[-1].product_hash
    if newest != product_hash:
        raise Refusal("PRODUCT_SUPERSEDED", "a later release takes its place; supersede that one", newest)
    if len(line.versions) >= MAX_VERSIONS:
        raise Refusal("LINE_FULL", f"the line has {MAX_VERSIONS} releases; begin another", product_hash)
    return line


def _check_notice(operation: Operation, effective_ms: int, earliest_ms: int) -> None:
    """The first day is a whole one, late enough for everybody to prepare, and not out of sight."""
    parameters = operation.block.parameters
    offset, now = parameters.utc_offset_minutes, operation.time_ms
    if day_start(effective_ms, offset) != effective_ms:
        raise Refusal("EFFECTIVE_DAY", f"{effective_ms} is not the start of a day")
    notice = day_start(now, offset) + parameters.notice_days * DAY_MS
    if effective_ms < notice:
        raise Refusal("NOTICE_SHORT", f"{parameters.notice_days} days of notice; not before {notice}")
    if effective_ms < earliest_ms:
        raise Refusal("EFFECTIVE_EARLY", "the release that it supersedes begins on that day or later")
    if effective_ms > now + MAX_AHEAD_MS:
        raise Refusal("EFFECTIVE_LATE", "more than two years ahead")


def _release(operation: Operation, proposal_id: str, owner: str, change: ContractRelease) -> None:
    product_hash = derive_product_hash(change.contract_hash, change.tables_hash)
    earlier: tuple[LineVersion, ...] = ()
    line_id = product_hash
    if change.supersedes is not None:
        line_id = operation.require(ProductState, change.supersedes, "PRODUCT_UNKNOWN").line
        earlier = _ended(_superseded_line(operation, change.supersedes, owner).versions, change.effective_ms)
    else:
        known = operation.get(LinesState, ALL)
        operation.put(ALL, LinesState((*(known.lines if known else ()), line_id)))
    version = LineVersion(
        product_hash,
        change.contract_hash,
        change.tables_hash,
        change.effective_ms,
        None,
        withdrawn_ms=None,
        reason=None,
    )
    operation.put(line_id, LineState(owner, (*earlier, version)))
    product = ProductState(
        owner=owner,
        product_code=change.product_code,
        title=change.title,
        contract_hash=change.contract_hash,
        tables_hash=change.tables_hash,
        line=line_id,
        supersedes=change.supersedes,
        proposal_id=proposal_id,
        passed_height=operation.block.height,
    )
    operation.put(product_hash, product)
    operation.put(product_hash, ReleaseTextState(change.program, change.tables, change.examples))
    if not operation.has(ProgramState, change.contract_hash):
        operation.put(change.contract_hash, ProgramState(change.contract_hash, LANGUAGE, change.effective_ms, None))
    operation.emit("contract.released", product_hash)


def _ended(versions: tuple[LineVersion, ...], start_ms: int) -> tuple[LineVersion, ...]:
    """The line with its newest release in force no longer than to the start of the next."""
    newest = versions[-1]
    until = start_ms if newest.active_until_ms is None else min(newest.active_until_ms, start_ms)
    return (*versions[:-1], replace(newest, active_until_ms=until))


def _withdraw(operation: Operation, product_hash: str, reason: str) -> None:
    """Out of force from now on. One that had not begun gives its days back to the release before it."""
    found = _find_version(operation, product_hash)
    line_id = operation.require(ProductState, product_hash, "PRODUCT_UNKNOWN").line
    line = operation.require(LineState, line_id, "PRODUCT_UNKNOWN")
    place = line.versions.index(found)
    now, begins, ends = operation.time_ms, found.active_from_ms, found.active_until_ms
    stop = max(begins, now if ends is None else min(now, ends))
    versions = list(line.versions)
    versions[place] = replace(found, active_until_ms=stop, withdrawn_ms=now, reason=reason)
    if now < begins and place > 0 and versions[place - 1].withdrawn_ms is None:
        versions[place - 1] = replace(versions[place - 1], active_until_ms=ends)
    operation.put(line_id, LineState(line.owner, tuple(versions)))
    operation.emit("contract.withdrawn", product_hash)


def _find_version(operation: Operation, product_hash: str, *, live: bool = True) -> LineVersion:
    product = operation.require(ProductState, product_hash, "PRODUCT_UNKNOWN")
    line = operation.require(LineState, product.line, "PRODUCT_UNKNOWN")
    found = next(item for item in line.versions if item.product_hash == product_hash)
    if live and found.withdrawn_ms is not None:
        raise Refusal("PRODUCT_WITHDRAWN", "the release was withdrawn", product_hash)
    return found


def _sweep(operation: Operation) -> tuple[OpenProposal, ...]:
    """Open proposals, with the texts of those that are over deleted."""
    known = operation.get(OpenProposalsState, OPEN)
    epoch = operation.electorate.validators.epoch
    left = []
    for item in known.proposals if known else ():
        if item.epoch == epoch and operation.time_ms <= item.expires_ms:
            left.append(item)
        elif operation.has(DraftState, item.proposal_id):
            operation.delete(DraftState, item.proposal_id)
    return tuple(left)


def _close(operation: Operation, proposal_id: str) -> None:
    """The proposal is over: its text is kept no longer."""
    left = tuple(item for item in _sweep(operation) if item.proposal_id != proposal_id)
    if operation.has(DraftState, proposal_id):
        operation.delete(DraftState, proposal_id)
    operation.put(OPEN, OpenProposalsState(left))
