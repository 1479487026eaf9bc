"""What ordering noticed about others and about itself, kept for people: evidence, blame, the reason of a halt.

Files stand beside the ledger; log lines carry ids and codes only. Bounded, so that a traitor cannot fill the disk.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from consensus.effects import Evidence
from ledger.certificates import Certificate
from ledger.encoding import encode
from node.ordering.evidence import EvidenceFile


class Reports:
    """Writer of those files and lines."""

    def __init__(self, folder: Path, log: Any, tell: Callable[[str, str], None]) -> None:
        """`tell` gives each blame to whoever keeps the scores of peers."""
        self._tell = tell
        self._folder = folder
        self._log = log
        self.evidence = EvidenceFile(folder, log)
        self.blamed: dict[tuple[str, str], int] = {}
        """(peer, code) -> how often."""

    def blame(self, peer: str, code: str) -> None:
        """A peer sent what no correct node sends. Logged the 1st, 2nd, 4th, 8th ... time."""
        count = self.blamed[peer, code] = self.blamed.get((peer, code), 0) + 1
        if count & (count - 1) == 0:
            self._log.warning("peer_blamed", peer=peer, code=code, times=count)
        self._tell(peer, code)

    def keep_evidence(self, found: Evidence) -> None:
        """Two contradicting statements of one validator."""
        self.evidence.keep(found)

    def keep_halt(self, code: str, detail: str, certificates: Sequence[Certificate]) -> None:
        """Why this node stopped, with the certificates that show it."""
        self._log.critical("halted", code=code, detail=detail)
        if certificates:
            listed = [msgspec.to_builtins(item) for item in certificates]
            report = {"code": code, "detail": detail, "certificates": listed}
            (self._folder / f"halt-{code}.json").write_bytes(encode(report))
