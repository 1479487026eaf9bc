"""Files that are replaced whole: after a crash there is the old content or the new, never a part of either."""

import os
from pathlib import Path


def write_whole(path: Path, data: bytes) -> None:
    """Replace a file by `data`, durable on return. Raises OSError."""
    scratch = path.with_name(path.name + ".part")
    with open(scratch, "wb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())
    os.replace(scratch, path)
    descriptor = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
