"""The process that makes one automatic snapshot beside its running node, and ends.

Knows the folder of its node, one line that it is told on standard input, and the lines that it answers. Must not know
when a snapshot is due. Must always hold: a snapshot is of exactly the height that was asked for, or there is none; if
its node dies before it was asked, it ends.

In: HEIGHT KEEP. Out: `ready` (before), `pinned` (the moment is held), then `done`; or `refused CODE`.
"""

import os
import sys
from pathlib import Path
from typing import Final

from contracts.genesis import genesis_hash
from ledger.errors import LedgerError
from ledger.storeview import StoreView
from node.config import load_config
from node.errors import NodeError
from node.snapshots.make import make_snapshot
from node.snapshots.shelf import SNAPSHOTS, Shelf
from node.storeurl import store_url

NICE_WAITING: Final = 5
"""Started beside a node that votes: it gives way, but hears its word within a block."""
NICE_MAKING: Final = 14
"""Added once the moment is held: nothing hurries any more. Together the lowest priority there is."""
MAX_LINE: Final = 64


def main() -> None:
    """Serve one request. Exits 0 also when the snapshot was refused: the answer says so."""
    os.nice(NICE_WAITING)
    try:
        _serve(Path(sys.argv[1]))
    except (NodeError, LedgerError) as error:
        _say(f"refused {error.code}")
    except OSError as error:
        _say(f"refused {'no_space' if error.errno == 28 else 'disk'}")  # ENOSPC


def _serve(folder: Path) -> None:
    url = store_url(folder, load_config(folder).store)
    genesis = (folder / "genesis.json").read_bytes()
    StoreView(url, genesis_hash(genesis)).close()  # what the first one costs is paid before it is urgent
    _say("ready")
    words = sys.stdin.readline(MAX_LINE).split()
    if len(words) != 2:
        return  # the node is gone
    height, keep = map(int, words)
    shelf = Shelf(folder / "data" / SNAPSHOTS)
    make_snapshot(url, genesis, shelf.place(height), height=height, on_pinned=_pinned)
    shelf.remove_old(keep)
    _say("done")


def _pinned() -> None:
    _say("pinned")
    os.nice(NICE_MAKING)


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
