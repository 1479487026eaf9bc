"""The snapshots that a node keeps: which heights, their manifests and chunks, and which go when there are too many.

Knows the folder data/snapshots with one folder for each height; must not know who asks or when one is made. Must always
hold: a folder under a height's name is whole; one that is being made or removed begins with a dot and is never listed.
"""

import os
import shutil
from pathlib import Path
from typing import Final

from msgspec import Struct

from ledger.blocks import header_hash
from ledger.encoding import decode_as
from ledger.errors import LedgerError
from node.errors import SnapshotRefused
from node.snapshots.manifest import MAX_MANIFEST_BYTES, Manifest
from node.snapshots.sources import FolderSource

SNAPSHOTS: Final = "snapshots"
"""Folder below data/."""
MAX_LISTED: Final = 100
"""As many as `[snapshots] keep` allows."""


class Held(Struct, frozen=True):
    """One snapshot as it is listed. `bytes` counts its chunks."""

    height: int
    header_hash: str
    rows: int
    chunks: int
    bytes: int


class Shelf:
    """The folder of one node. Reads only, but for `remove_old` and `remove_broken`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._held: dict[int, Held] = {}

    def place(self, height: int) -> Path:
        """Where the snapshot of a height lies or will lie."""
        return self._folder / str(height)

    def heights(self) -> list[int]:
        """The heights of whole snapshots, the newest first."""
        try:
            names = os.listdir(self._folder)
        except FileNotFoundError:
            return []
        found = (name for name in names if name.isascii() and name.isdigit() and str(int(name)) == name)
        return sorted(map(int, found), reverse=True)[:MAX_LISTED]

    def listed(self) -> list[Held]:
        """What is here, the newest first; one that goes at this moment, or is damaged, is left out."""
        heights = self.heights()
        self._held = {height: held for height, held in self._held.items() if height in heights}
        for height in heights:
            if height not in self._held:
                try:
                    self._held[height] = _describe(self.manifest(height))
                except (SnapshotRefused, LedgerError):
                    continue
        return [self._held[height] for height in heights if height in self._held]

    def manifest(self, height: int) -> bytes:
        """The manifest's bytes. Raises SnapshotRefused `source`."""
        return FolderSource(self.place(height)).manifest()

    def chunk(self, height: int, number: int) -> bytes:
        """A chunk's bytes. Raises SnapshotRefused `source`."""
        return FolderSource(self.place(height)).chunk(number)

    def remove_old(self, keep: int) -> None:
        """Remove all but the newest `keep`. Raises OSError."""
        for height in self.heights()[keep:]:
            going = self._folder / f".{height}.old"
            shutil.rmtree(going, ignore_errors=True)
            os.replace(self.place(height), going)
            shutil.rmtree(going)

    def remove_broken(self) -> None:
        """Remove what a process that died left behind; nobody may be making a snapshot. Raises OSError."""
        if self._folder.is_dir():
            for path in self._folder.iterdir():
                if path.name.startswith("."):
                    shutil.rmtree(path)


def _describe(data: bytes) -> Held:
    manifest = decode_as(data, Manifest, limit=MAX_MANIFEST_BYTES)
    return Held(
        height=manifest.header.height,
        header_hash=header_hash(manifest.header).hex(),
        rows=manifest.rows,
        chunks=len(manifest.chunks),
        bytes=sum(chunk.size for chunk in manifest.chunks),
    )
