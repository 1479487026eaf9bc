"""Final blocks that mean nothing, for tests of the store."""

from ledger.merkle import leaf_hash
from ledger.state import Versioned
from ledger.storetables import FinalBlockRecord

CHAIN = bytes(range(32))


def plain_record(height: int, *, entries: int = 2) -> FinalBlockRecord:
    """Block `height` with so many log entries; every block before it has as many."""
    made = tuple(b"entry %d %d" % (height, at) for at in range(entries))
    leaves = tuple(leaf_hash(item) for item in made)
    return FinalBlockRecord(
        height=height,
        view=height + 3,
        time_ms=1_000 * height,
        header_hash=height.to_bytes(32, "big"),
        block=b"block %d" % height,
        certificate=b"certificate",
        receipts=b"[]",
        transactions=(height.to_bytes(32, "little"),),
        first_leaf=entries * (height - 1),
        entries=made,
        leaves=leaves,
        peaks=(leaves[0],),
        changes={"claim/a": Versioned(height, leaves[0], b"%d" % height)},
    )
