"""The demonstration's auditor: a process of its own that is given dossiers and the genesis, and nothing else.

Knows how `claimnode audit verify` is called and what its answer looks like. Must not know the network. Always true:
the auditor is given no key, no database and no address, and a dossier counts as verified only when its
process said so.
"""

import subprocess
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import msgspec

AT_ONCE: Final = 2
"""Auditor processes at the same time: one for each core of a small machine."""
VERIFY_S: Final = 120.0


def verify_dossiers(files: Mapping[str, Path], genesis: Path) -> dict[str, bool]:
    """Whether each dossier holds, by the key it was given under."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        verdicts = pool.map(lambda file: verify_dossier(file, genesis), files.values())
        return dict(zip(files, verdicts, strict=True))


def verify_dossier(file: Path, genesis: Path) -> bool:
    """One auditor process over one dossier. A process that hangs or breaks has verified nothing."""
    command = [sys.executable, "-m", "cli.main", "audit", "verify", str(file), "--trust", str(genesis), "--json"]
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=VERIFY_S, check=False)
    except subprocess.TimeoutExpired:
        return False
    if done.returncode != 0:
        return False
    try:
        answer = msgspec.json.decode(done.stdout)
    except msgspec.DecodeError:
        return False
    return isinstance(answer, dict) and answer.get("ok") is True and answer.get("trusted") is True
