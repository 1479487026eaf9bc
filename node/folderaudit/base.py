"""Where the replay of a store begins that has no whole blocks below a height: state as of that height, made again.

Knows rows and what proves them. Must always hold: every value stands in a log entry that names its digest, the entries
give the state root of the header there, and the log's peaks its log root; that the header is final is what the auditor
vouches for or what the certificates above say of the validators in that state.
"""

from dataclasses import replace

from contracts.execution import ChainState
from contracts.validators import read_validators
from ledger.blocks import Header, header_hash
from ledger.encoding import decode_as
from ledger.errors import LedgerError, StoreError
from ledger.merkle import Frontier
from ledger.rowreader import StoreRows
from ledger.state import Entry, Versioned, map_key, map_value, value_digest
from ledger.storetables import decode_changes
from ledger.transactions import MAX_LIFETIME_MS
from node.audit.replay import Start


def start_above(rows: StoreRows, genesis: ChainState, height: int) -> Start:
    """State after block `height`, above which all blocks are whole. Raises StoreError `base` (what does not hold)."""
    try:
        header = decode_as(rows.stub_header(height), Header)
        values = _values(rows, height)
        return _start(rows, genesis, header, values)
    except (LedgerError, ValueError, KeyError) as error:
        detail = getattr(error, "detail", type(error).__name__)
        raise StoreError("base", f"state as of height {height} cannot be made again: {detail}") from None


def _values(rows: StoreRows, height: int) -> dict[str, Versioned]:
    """What keys held then: today's value where no later block wrote, else what was kept of before."""
    changed: set[str] = set()
    for later in range(height + 1, rows.last() + 1):
        changed |= decode_changes(rows.body(later, "changes")).keys()
    values = {key: item for key, item, _ in rows.state_rows() if item is not None and key not in changed}
    values |= dict(rows.earlier_rows())
    for key, item in values.items():
        entry = decode_as(rows.kept_entry(item.entry), Entry)
        digest = next(write.digest for write in entry.writes if write.key == key)
        if digest != (None if item.value is None else value_digest(item.value).hex()):
            raise StoreError("damaged", f"the log entry of {key.split('/')[0]} names another value")
    return values


def _start(rows: StoreRows, genesis: ChainState, header: Header, values: dict[str, Versioned]) -> Start:
    spine = rows.spine(header.height)
    written = {map_key(key): None if item.value is None else map_value(item) for key, item in values.items()}
    frontier = Frontier(spine.first_leaf + spine.leaf_count, spine.peaks)
    frontier.check()
    state = replace(
        genesis,
        header=header,
        header_hash=header_hash(header),
        height=header.height,
        time_ms=header.time_ms,
        state_map=genesis.state_map.update(written),
        frontier=frontier,
        validators=read_validators(lambda key: values.get(key) or genesis.read(key), genesis.genesis),
    )
    for name, found, named in (
        ("header", header_hash(header).hex(), spine.header_hash.hex()),
        ("state", state.state_map.root.hex(), header.state_root),
        ("log", frontier.root.hex(), header.log_root),
        ("log size", frontier.size, header.log_size),
    ):
        if found != named:
            raise StoreError("damaged", f"the {name} is {found}, the header says {named}")
    return Start(state, values, _recent(rows, header))


def _recent(rows: StoreRows, header: Header) -> dict[str, int]:
    """Transactions of the replay window, which the blocks above must not hold again."""
    found: dict[str, int] = {}
    for height in range(header.height, 0, -1):
        try:
            row = rows.spine(height)
        except StoreError as error:
            if error.code != "missing":
                raise
            break  # below a snapshot's window
        if row.time_ms < header.time_ms - MAX_LIFETIME_MS:
            break
        found |= dict.fromkeys((tx_id.hex() for tx_id in row.transactions), row.time_ms)
    return found
