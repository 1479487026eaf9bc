"""How far below the last block bodies may go, and what holds pruning back.

Knows heights and times of a chain; must not know claims (needed) nor rows (ledger.pruning). Must always hold: blocks of
the replay window stay whole, so that a snapshot can be made; so do all blocks above the oldest state map that is kept,
so that a start and every retained height find their state; so does the last block.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from ledger.errors import StoreError
from ledger.transactions import MAX_LIFETIME_MS
from node.chain import Chain
from node.statepages import RETAINED_HEIGHTS, StatePages

MAP_EVERY: Final = RETAINED_HEIGHTS // 4
"""Heights between two writings of the state map on a node that prunes: pruning lags behind by at most so many."""


@dataclass(frozen=True, slots=True)
class Kept:
    """What stays whole whoever asks for less. Other values than these are for tests."""

    window_ms: int = MAX_LIFETIME_MS
    """Block time before the last block: the replay window, which a snapshot brings along as blocks."""
    heights: int = RETAINED_HEIGHTS
    """For which proofs of state are made."""


@dataclass(frozen=True, slots=True)
class Limit:
    """Bodies may go up to `height`; `held_by` is what would be hurt by more: `wanted` if nothing is."""

    height: int
    held_by: str


def find_limit(chain: Chain, wanted: int, kept: Kept, floors: Sequence[tuple[str, int]] = ()) -> Limit:
    """The highest height up to which bodies may go, at most `wanted`. `floors`: (name, height) of who still reads the
    blocks above that height. Raises StoreError `damaged`.
    """
    found = [("wanted", wanted), ("replay_window", _before_window(chain, kept.window_ms))]
    found += [("last_block", chain.height - 1), ("retained_heights", chain.height - kept.heights), *floors]
    name, height = min(found, key=lambda item: item[1])
    return Limit(max(height, 0), name)


def mapped_height(chain: Chain, kept: Kept) -> int:
    """The newest written state map that no retained height lies below; 0 for none."""
    found = chain.store.map.root(max(0, chain.height - kept.heights))
    return found[0] if found else 0


def write_map(chain: Chain, height: int) -> None:
    """Write the state map as of a height whole. For a chain that nobody commits to meanwhile; a running node writes its
    map as it goes (MAP_EVERY). Raises StoreError `unknown_height`, `pruned`, `damaged`.
    """
    pages, state_map, top = StatePages(chain.store), chain.map_at(height), None
    while top is None:
        record, nodes = pages.record(state_map, height)
        chain.store.change(partial(chain.store.map.write, record=record)).commit()
        pages.remember(record, nodes)
        top = record.top


def _before_window(chain: Chain, window_ms: int) -> int:
    """The newest height whose block is older than the window; times ascend with heights."""
    oldest, low, high = chain.final.time_ms - window_ms, 0, chain.height
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if _time_of(chain, middle) < oldest else (low, middle - 1)
    return low


def _time_of(chain: Chain, height: int) -> int:
    """A block below a snapshot's window is not known, and older."""
    try:
        return chain.store.spine(height).time_ms
    except StoreError as error:
        if error.code != "pruned":
            raise
        return -1
