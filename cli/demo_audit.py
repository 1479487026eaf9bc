"""The demonstration's auditor: a process of its own that is given dossiers and the genesis, and nothing else.

Knows how `claimnode audit verify` is called and what its answers look like. Must not know the network. Always true:
the auditor is given no key, no database and no address, and a dossier counts as verified only when its process said
so, under a genesis that is trusted.
"""

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec

START_S: Final = 60.0
VERIFY_S: Final = 10.0
"""One dossier takes a tenth of a second; an auditor that hangs has verified nothing."""


def verify_dossiers(files: Mapping[str, Path], genesis: Path) -> dict[str, bool]:
    """Whether each dossier holds, by the key it was given under."""
    if not files:
        return {}
    answers = _run_auditor("".join(f"{path}\n" for path in files.values()), genesis, START_S + VERIFY_S * len(files))
    good = {str(answer.get("file")) for answer in answers if answer.get("ok") is True and answer.get("trusted") is True}
    return {key: str(path) in good for key, path in files.items()}


def _run_auditor(names: str, genesis: Path, timeout_s: float) -> list[dict[str, object]]:
    """What the auditor's process wrote, line by line; nothing if it did not end in time."""
    command = [sys.executable, "-m", "cli.main", "audit", "verify", "--lines", "-", "--trust", str(genesis), "--json"]
    try:
        done = subprocess.run(command, input=names.encode(), capture_output=True, timeout=timeout_s, check=False)
    except subprocess.TimeoutExpired:
        return []
    answers = []
    for line in done.stdout.splitlines():
        try:
            answer = msgspec.json.decode(line)
        except msgspec.DecodeError:
            continue
        if isinstance(answer, dict):
            answers.append(answer)
    return answers
