"""What this machine can do, and what processes on it have used: the figures a result is divided by.

Knows clocks and the process table; must not know transactions of a network. Figures, never tests: nothing here
decides whether a run was good.
"""

import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from ledger.crypto import ed25519

THREADS = 2
MESSAGE_BYTES = 500
"""About one record.publish transaction."""
CHUNK = 50
"""Verifications between two looks at the clock."""


def measure_ed25519(seconds: float) -> float:
    """Verifications a second by the project's own verifier in two threads at once."""
    seed = bytes(range(32))
    public, message = ed25519.public_key(seed), bytes(MESSAGE_BYTES)
    signature = ed25519.sign(seed, message)

    def verify_until(end: float) -> int:
        done = 0
        while time.perf_counter() < end:
            for _ in range(CHUNK):
                ed25519.verify(public, message, signature)
            done += CHUNK
        return done

    start = time.perf_counter()
    with ThreadPoolExecutor(THREADS) as pool:
        done = sum(pool.map(verify_until, [start + seconds] * THREADS))
    return done / (time.perf_counter() - start)


def process_cpu_s(pid: int) -> float:
    """CPU seconds that a live process has used, user and system; 0.0 for one that is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / 100  # USER_HZ is 100 on every Linux
    except (FileNotFoundError, ProcessLookupError):
        return _ps_cpu_s(pid)


def _ps_cpu_s(pid: int) -> float:
    """The same from `ps`, where there is no /proc: [[dd-]hh:]mm:ss[.cc]."""
    try:
        shown = subprocess.run(["ps", "-o", "cputime=", "-p", str(pid)], capture_output=True, text=True)  # noqa: S603, S607
    except FileNotFoundError:
        return 0.0
    days, _, clock = shown.stdout.strip().rpartition("-")
    seconds = 0.0
    for part in clock.split(":") if clock else ():
        seconds = seconds * 60 + float(part)
    return seconds + 86_400 * int(days or 0)


def folder_bytes(folder: Path) -> int:
    """Bytes of all files below a folder."""
    return sum(item.stat().st_size for item in folder.rglob("*") if item.is_file())


def percentile(ascending: list[float], percent: float) -> float:
    """The value below which `percent` of 100 lie (nearest rank); 0.0 of nothing."""
    if not ascending:
        return 0.0
    rank = max(1, -(-len(ascending) * percent // 100))
    return ascending[min(len(ascending), int(rank)) - 1]
