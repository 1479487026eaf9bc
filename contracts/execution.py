"""Blocks against state: what a proposer builds, what everybody else re-executes before believing it.

A block is executed on the state after its parent and carries the roots of the result, so two nodes either agree
on everything or know which root differs. Pure: the parent state is an argument, signatures are checked by a
function that is passed in, time is in the block. Must always hold: `build_block` and `execute_block` run the same
code, and a block built by the first is accepted by the second on the same parent.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache

from contracts.genesis import Genesis, decode_genesis, genesis_hash
from contracts.kinds import prepare
from contracts.limits import Budget, check_transaction
from contracts.membership import MIN_VALIDATORS, check_genesis, genesis_values, validator_set
from contracts.operations import BlockContext, Electorate
from contracts.receipts import Receipt, receipts_root
from contracts.states import encode_state, state_key
from contracts.transition import BlockRun
from contracts.validators import first_validators, read_validators
from ledger.blocks import Block, Header, encode_block, header_hash, transactions_root
from ledger.certificates import ValidatorSet
from ledger.errors import DecodeError, InvalidBlock, InvalidTransaction
from ledger.merkle import Frontier, leaf_hash
from ledger.state import Reader, Versioned, map_key, map_value
from ledger.statemap import StateMap
from ledger.transactions import SignedTransaction, decode_transaction

__all__ = [
    "ChainState",
    "Decoder",
    "ExecutedBlock",
    "Verifier",
    "build_block",
    "check_roots",
    "compare_changes",
    "execute_block",
    "genesis_state",
    "reexecute_block",
    "validator_set",
]

Verifier = Callable[[SignedTransaction], None]
"""Checks every signature of a transaction; raises InvalidTransaction."""
Decoder = Callable[[bytes], SignedTransaction]
MAX_PASSED_OVER = 2_000
"""Candidates that do not fit before a proposer stops looking: it has a leader's time limit to keep."""
ROOTS = ("tx_root", "receipts_root", "log_size", "log_root", "state_root", "next_validator_set_hash")
"""Header fields that execution gives, in the order in which they depend on each other."""


@dataclass(frozen=True, slots=True)
class ChainState:
    """State after a block (or genesis), on which the next one executes.

    `read` looks through the overlays of blocks that are not final to the final state. `is_recent` says whether
    a transaction id stands in the last 48 hours of this ancestry. Whoever keeps a chain replaces both by readers
    of its own once a block is final, else they grow by one level with each block. `validators` vote on the next
    block.
    """

    genesis: Genesis
    chain: bytes
    header: Header | None
    header_hash: bytes
    height: int
    time_ms: int
    read: Reader
    state_map: StateMap
    frontier: Frontier
    is_recent: Callable[[str], bool]
    validators: ValidatorSet


@dataclass(frozen=True, slots=True)
class ExecutedBlock:
    """A block with all that follows from it. `entries` are the log leaves' data; [0] is the parent header hash."""

    block: Block
    encoded: bytes
    header_hash: bytes
    transactions: tuple[SignedTransaction, ...]
    receipts: tuple[Receipt, ...]
    entries: tuple[bytes, ...]
    changes: dict[str, Versioned]
    after: ChainState


def genesis_state(genesis_bytes: bytes, *, min_validators: int = MIN_VALIDATORS) -> ChainState:
    """The state at height 0. Raises DecodeError for a bad document, GenesisError listing every fault of membership.

    The first state's entries name leaf 0 of the log, which is the genesis hash itself.
    """
    genesis = decode_genesis(genesis_bytes)
    check_genesis(genesis, min_validators=min_validators)
    chain = genesis_hash(genesis_bytes)
    origin = leaf_hash(chain)
    state = {
        state_key(type(value), identifier): Versioned(version=1, entry=origin, value=encode_state(value))
        for identifier, value in genesis_values(genesis)
    }
    return ChainState(
        genesis=genesis,
        chain=chain,
        header=None,
        header_hash=chain,
        height=0,
        time_ms=genesis.time_ms,
        read=state.get,
        state_map=StateMap().update({map_key(key): map_value(item) for key, item in state.items()}),
        frontier=Frontier(),
        is_recent=lambda tx_id: False,
        validators=first_validators(genesis),
    )


def build_block(parent: ChainState, candidates: Iterable[SignedTransaction], *, time_ms: int) -> ExecutedBlock:
    """The proposer's block: candidates in their order, without those that do not fit, are expired or were used.

    The signatures of candidates were checked when they were admitted. Raises InvalidBlock `time`.
    """
    run = _begin(parent, time_ms)
    limits = run.context.limits
    budget = Budget(limits)
    taken: set[str] = set()
    passed_over = 0
    for candidate in candidates:
        if passed_over >= MAX_PASSED_OVER or not budget.has_room_for_writes(run.writes):
            break
        prepared = prepare(candidate)
        if candidate.tx_id in taken or parent.is_recent(candidate.tx_id) or budget.exceeded(prepared):
            passed_over += 1
            continue
        try:
            check_transaction(prepared, limits, parent.genesis.network, time_ms)
            run.apply(prepared)
        except InvalidTransaction:
            passed_over += 1
            continue
        taken.add(candidate.tx_id)
        budget.take(prepared)
    return _finish(parent, run, taken)


def execute_block(
    parent: ChainState, block: Block, verify: Verifier, decode: Decoder = decode_transaction
) -> ExecutedBlock:
    """Re-execute a block on its parent: for votes, sync and audit.

    Raises InvalidBlock (`network`, `epoch`, `height`, `parent`, `time`, `validator_set`, a limit, `replay`,
    `root_mismatch`) or InvalidTransaction. Cheap checks come before signatures, signatures before execution.
    """
    executed = reexecute_block(parent, block, verify, decode)
    check_roots(block.header, executed.block.header)
    return executed


def reexecute_block(
    parent: ChainState, block: Block, verify: Verifier, decode: Decoder = decode_transaction
) -> ExecutedBlock:
    """`execute_block` but for the comparison of roots: what this node makes of the block (rule A7)."""
    header = block.header
    _check_header(parent, header)
    run = _begin(parent, header.time_ms)
    limits = run.context.limits
    budget = Budget(limits)
    taken: set[str] = set()
    plan = []
    for index, data in enumerate(block.transactions):
        prepared = prepare(_decode_at(index, data, decode))
        signed = prepared.signed
        check_transaction(prepared, limits, parent.genesis.network, header.time_ms)
        exceeded = budget.exceeded(prepared)
        if exceeded is not None:
            raise InvalidBlock(exceeded, f"transaction {index} exceeds it")
        if signed.tx_id in taken or parent.is_recent(signed.tx_id):
            raise InvalidBlock("replay", f"transaction {index} ({signed.tx_id}) is in this ancestry")
        taken.add(signed.tx_id)
        budget.take(prepared)
        plan.append(prepared)
    for prepared in plan:
        verify(prepared.signed)
    for prepared in plan:
        run.apply(prepared)
        if run.writes > limits.block_writes:
            raise InvalidBlock("block_writes", f"more than {limits.block_writes} keys written")
    return _finish(parent, run, taken)


def compare_changes(ours: dict[str, Versioned], theirs: dict[str, Versioned]) -> str | None:
    """The first state key (ascending) on which two executions of a block differ, None if they agree."""
    differing = (key for key in sorted(ours.keys() | theirs.keys()) if ours.get(key) != theirs.get(key))
    return next(differing, None)


@lru_cache(maxsize=8)
def _members_of(genesis: Genesis) -> tuple[str, ...]:
    return tuple(member.id for member in genesis.participants)


def _begin(parent: ChainState, time_ms: int) -> BlockRun:
    if time_ms <= parent.time_ms:
        raise InvalidBlock("time", f"{time_ms} is not after the parent's {parent.time_ms}")
    genesis = parent.genesis
    electorate = Electorate(parent.validators, _members_of(genesis), parent.chain, first_validators(genesis))
    context = BlockContext(genesis.network, parent.height + 1, time_ms, parent.read, electorate)
    return BlockRun(context, parent.header_hash)


def _check_header(parent: ChainState, header: Header) -> None:
    validators = parent.validators
    expected = (
        ("network", header.network, parent.genesis.network),
        ("height", header.height, parent.height + 1),
        ("parent", header.parent, parent.header_hash.hex()),
        ("epoch", header.epoch, validators.epoch),
        ("validator_set", header.validator_set_hash, validators.hash.hex()),
    )
    for code, stated, known in expected:
        if stated != known:
            raise InvalidBlock(code, f"the header says {stated}, it must be {known}")


def _decode_at(index: int, data: bytes, decode: Decoder) -> SignedTransaction:
    try:
        return decode(data)
    except (DecodeError, InvalidTransaction) as error:
        raise InvalidTransaction(error.code, f"transaction {index}: {error.detail}") from None


def _finish(parent: ChainState, run: BlockRun, taken: set[str]) -> ExecutedBlock:
    """Roots, header and the state after the block."""
    overlay = run.context.overlay
    frontier = parent.frontier.extend(leaf_hash(entry) for entry in run.entries)
    state_map = parent.state_map.update(dict(overlay.map_changes()))
    receipts = tuple(run.receipts)
    transactions = tuple(signed.encoded for signed in run.transactions)
    validators, following = parent.validators, read_validators(overlay.read, parent.genesis)
    header = Header(
        network=parent.genesis.network,
        epoch=validators.epoch,
        height=run.context.height,
        parent=parent.header_hash.hex(),
        time_ms=run.context.time_ms,
        tx_root=transactions_root(transactions).hex(),
        log_size=frontier.size,
        log_root=frontier.root.hex(),
        state_root=state_map.root.hex(),
        receipts_root=receipts_root(receipts).hex(),
        validator_set_hash=validators.hash.hex(),
        next_validator_set_hash=following.hash.hex(),
    )
    block = Block(header=header, transactions=transactions)
    digest = header_hash(header)
    ids = frozenset(taken)
    earlier = parent.is_recent
    after = ChainState(
        genesis=parent.genesis,
        chain=parent.chain,
        header=header,
        header_hash=digest,
        height=header.height,
        time_ms=header.time_ms,
        read=overlay.read,
        state_map=state_map,
        frontier=frontier,
        is_recent=lambda tx_id: tx_id in ids or earlier(tx_id),
        validators=following,
    )
    return ExecutedBlock(
        block=block,
        encoded=encode_block(block),
        header_hash=digest,
        transactions=tuple(run.transactions),
        receipts=receipts,
        entries=tuple(run.entries),
        changes=dict(overlay.changes),
        after=after,
    )


def check_roots(stated: Header, known: Header) -> None:
    """Raises InvalidBlock `root_mismatch`, naming the first root that differs."""
    for name in ROOTS:
        if getattr(stated, name) != getattr(known, name):
            detail = f"{name}: the header says {getattr(stated, name)}, execution gives {getattr(known, name)}"
            raise InvalidBlock("root_mismatch", detail)
