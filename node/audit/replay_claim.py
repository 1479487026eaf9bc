"""Check 8: executing a claim's transactions again, each on the values that stood before it.

Values come from the genesis, from re-executed operations, and from carried values that a proved entry's digest binds.
Runs the ledger's own contract code; the result must be the very entries that the log holds.
"""

from dataclasses import dataclass, field
from typing import Any

from contracts.bodies import Decision
from contracts.errors import Refusal
from contracts.execution import ChainState
from contracts.kinds import Prepared, prepare
from contracts.operations import BlockContext, Operation, Speaker, read_active_key
from ledger.blocks import Header
from ledger.encoding import encode
from ledger.state import Entry, Versioned, value_digest
from ledger.transactions import SignedTransaction
from node.audit.history import History
from node.audit.report import AuditFailure

NUMBER = 8


@dataclass(slots=True)
class Replayed:
    """Bodies of the operations in log order, every value they wrote, and state as the claim's verdict found it."""

    operations: list[tuple[Entry, Any]] = field(default_factory=list)
    values: dict[tuple[str, int], bytes] = field(default_factory=dict)
    current: dict[str, Versioned] = field(default_factory=dict)
    before_verdict: dict[str, Versioned] | None = None
    verdict: Decision | None = None
    verdict_time_ms: int = 0


def replay_claim(history: History, start: ChainState) -> Replayed:
    """Re-execute everything. Raises AuditFailure 8 at the first difference."""
    replayed = Replayed()
    places = [(item.key, item.version) for item in history.dossier.carried]
    if places != sorted(set(places)):
        raise AuditFailure(NUMBER, "order", "carried values ascend by key and version without repeats")
    carried = {(item.key, item.version): encode(item.value) for item in history.dossier.carried}
    unused = set(carried)

    def read(key: str) -> Versioned | None:
        return replayed.current.get(key) or start.read(key)

    prepared = {tx_id: prepare(item) for tx_id, item in history.transactions.items()}
    for leaf, entry in history.leaves:
        if entry.tx_id in history.transactions:
            before = dict(replayed.current)
            writes = _execute(history, prepared[entry.tx_id], entry, read)
            _keep_verdict(history, replayed, entry, _item(prepared[entry.tx_id], entry), before)
            _record(replayed, leaf, entry, writes)
            replayed.operations.append((entry, _item(prepared[entry.tx_id], entry)))
        else:
            unused -= _carry(replayed, leaf, entry, carried)
    if unused:
        raise AuditFailure(NUMBER, "unbound_value", f"{min(unused)[0]} is carried without an entry")
    return replayed


def _execute(history: History, prepared: Prepared, entry: Entry, read: Any) -> dict[str, bytes | None]:
    header: Header = history.headers[entry.height]
    context = BlockContext(header.network, header.height, header.time_ms, read)
    code, writes = apply_step(context, prepared, entry.op)
    if code != entry.code:
        raise AuditFailure(NUMBER, "other_code", f"{entry.kind}: execution gives {code}, the log says {entry.code}")
    planned = context.overlay.planned(writes)
    if planned != entry.writes:
        differing = sorted(write.key for write in set(planned) ^ set(entry.writes))
        raise AuditFailure(NUMBER, "other_value", f"{entry.kind}: execution writes another value of {differing[0]}")
    return writes


def apply_step(context: BlockContext, prepared: Prepared, number: int) -> tuple[str, dict[str, bytes | None]]:
    """Result code and writes of one operation on the state of `context`. Raises AuditFailure 8 for one there is not."""
    content = prepared.signed.content
    if prepared.fault is not None:
        return prepared.fault, {}
    if read_active_key(context, content.author, content.key_id) is None:
        return "KEY_NOT_ACTIVE", {}
    if number >= len(prepared.steps):
        raise AuditFailure(NUMBER, "no_such_operation", f"{content.kind} has no operation {number}")
    operation = Operation(context, Speaker(content.author, _endorsers(context, prepared.signed)))
    handler, item = prepared.steps[number]
    try:
        handler(operation, item)
    except Refusal as refusal:
        return refusal.code, {}
    return "ok", operation.writes


def _endorsers(context: BlockContext, signed: SignedTransaction) -> frozenset[str]:
    return frozenset(
        item.participant
        for item in signed.content.endorsements
        if read_active_key(context, item.participant, item.key_id) is not None
    )


def _item(prepared: Prepared, entry: Entry) -> Any:
    return prepared.steps[entry.op][1] if entry.op < len(prepared.steps) else None


def _keep_verdict(history: History, replayed: Replayed, entry: Entry, item: Any, before: dict[str, Versioned]) -> None:
    mine = isinstance(item, Decision) and item.claim_id == history.dossier.claim_id
    if mine and entry.code == "ok" and item.statements:
        replayed.before_verdict, replayed.verdict = before, item
        replayed.verdict_time_ms = history.headers[entry.height].time_ms


def _record(replayed: Replayed, leaf: bytes, entry: Entry, writes: dict[str, bytes | None]) -> None:
    for write in entry.writes:
        value = writes[write.key]
        replayed.current[write.key] = Versioned(version=write.version, entry=leaf, value=value)
        if value is not None:
            replayed.values[(write.key, write.version)] = value


def _carry(
    replayed: Replayed, leaf: bytes, entry: Entry, carried: dict[tuple[str, int], bytes]
) -> set[tuple[str, int]]:
    found: set[tuple[str, int]] = set()
    for write in entry.writes:
        place = (write.key, write.version)
        value = carried.get(place)
        if value is None:
            continue
        if write.digest != value_digest(value).hex():
            raise AuditFailure(NUMBER, "other_value", f"{write.key} version {write.version} is not what was written")
        replayed.current[write.key] = Versioned(version=write.version, entry=leaf, value=value)
        replayed.values[place] = value
        found.add(place)
    if not found:
        raise AuditFailure(NUMBER, "unused_entry", f"an entry of {entry.kind} belongs to nothing in the file")
    return found
