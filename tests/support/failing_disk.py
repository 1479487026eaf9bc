"""A node's process whose fsync does what a file says: `python -m tests.support.failing_disk FOLDER`.

While FOLDER/fault holds `fail`, every fsync fails with EIO; with `slow S` it takes S seconds. The product has no such
door: this program replaces the functions of `os` and then runs the node as it is.
"""

import errno
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

from node.main import run_node

FAULT = "fault"


def spoiled(true: Callable[[int], None], fault: Path) -> Callable[[int], None]:
    def sync(fd: int) -> None:
        words = fault.read_text().split() if fault.exists() else []
        if words[:1] == ["fail"]:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        if words[:1] == ["slow"]:
            time.sleep(float(words[1]))  # the disk takes its time; nothing could be awaited instead
        true(fd)

    return sync


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    for name in ("fsync", "fdatasync"):
        setattr(os, name, spoiled(getattr(os, name), folder / FAULT))
    run_node(folder)
