"""Set up this clone and run it: the only file that works before anything is installed.

    python3 cli/bootstrap.py demo [options of claimnode demo]
    python3 cli/bootstrap.py test [options of pytest]

Knows the standard library, the two lock files and the folder `.venv` of the clone. Must not import a
dependency or another file of the project. Always true: every package that is installed has a hash in a lock
file and needs no compiler, the system's Python stays untouched, standard output belongs to the command that
is run, and a second call starts at once.
"""

from __future__ import annotations

import sys

if __name__ == "__main__":
    del sys.path[0]  # the folder of this script: its modules must not stand in for the standard library's

import hashlib
import os
import subprocess
from pathlib import Path

OLDEST = (3, 11)
ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
LOCKS = {"demo": "requirements.lock", "test": "requirements-dev.lock"}
"""What each command needs. The second set contains the first, version by version."""
LEFT_OUT = ("PYTHONHOME", "PYTHONPATH", "PIP_USER", "PIP_TARGET", "PIP_PREFIX", "PIP_REQUIRE_VIRTUALENV")
"""Settings of the caller that would let packages end up somewhere else than in `.venv`."""
VENV_ADVICE = (
    "install your system's package for it and run again "
    "(Debian, Ubuntu: apt install python3-venv; others: a Python from python.org has it)"
)


class SetUpError(Exception):
    """One line for the person at the terminal: what, where, what to do."""


def main(arguments: list[str]) -> int:
    """Set up what the command needs, then become that command. Exit code 2: wrong use, 3: set-up failed."""
    if sys.version_info < OLDEST:
        return _complain("Python {}.{} or newer is needed, this is {}.{}".format(*OLDEST, *sys.version_info[:2]), 2)
    if not arguments or arguments[0] not in LOCKS:
        return _complain("usage: python3 cli/bootstrap.py demo|test [options]", 2)
    command, options = arguments[0], arguments[1:]
    try:
        ensure_environment(LOCKS[command])
    except SetUpError as error:
        return _complain(str(error), 3)
    if command == "demo":
        return _become([str(_venv_python()), "-m", "cli.main", "demo", *options])
    os.chdir(ROOT)
    return _become([str(_venv_python()), "-m", "pytest", *options])


def ensure_environment(lock: str) -> None:
    """Make `.venv` hold everything in `lock` and the project itself. Does nothing when it already does."""
    if is_current(lock):
        return
    _say(f"setting up {VENV} from {lock}, once; this takes about a minute")
    if not _runs(_venv_python()):
        _make_venv()
    _install(ROOT / lock)
    _link_project()
    (VENV / f"{lock}.installed").write_text(stamp(lock), encoding="ascii")


def is_current(lock: str) -> bool:
    """Whether `lock`, or the larger set that contains it, is what was installed last."""
    larger = LOCKS["test"]
    return any(_read(VENV / f"{name}.installed") == stamp(name) for name in {lock, larger})


def stamp(lock: str) -> str:
    """What `.venv` was made from: the lock file, this clone's place and this Python."""
    content = hashlib.sha256((ROOT / lock).read_bytes()).hexdigest()
    return "{} {}.{} {}".format(content, *sys.version_info[:2], hashlib.sha256(os.fsencode(ROOT)).hexdigest())


def _make_venv() -> None:
    """A virtual environment; without pip inside where this Python lacks ensurepip (Debian without python3-venv)."""
    with_pip = [sys.executable, "-m", "venv", "--clear", str(VENV)]
    if _has_module("ensurepip") and _call(with_pip) == 0:
        return
    if not _has_module("venv") or _call([*with_pip, "--without-pip"]) != 0:
        raise SetUpError(f"this Python ({sys.executable}) makes no virtual environment: {VENV_ADVICE}")


def _install(lock: Path) -> None:
    """Packages by hash, wheels only, exactly as listed."""
    wanted = ["install", "--require-hashes", "--no-deps", "--only-binary=:all:", "-r", str(lock)]
    quiet = [] if sys.stderr.isatty() else ["--quiet"]
    settings = ["--disable-pip-version-check", "--no-input", *quiet]
    if _call([*_pip(), *settings, *wanted]) != 0:
        raise SetUpError(
            f"the packages of {lock.name} were not installed (pip said why above); "
            "check the way to your package index and run again: what is there already is kept"
        )


def _pip() -> list[str]:
    """The environment's own pip, else this Python's, told to work on the environment."""
    if _call([str(_venv_python()), "-c", "import pip"], silent=True) == 0:
        return [str(_venv_python()), "-m", "pip"]
    if _call([sys.executable, "-c", "import pip"], silent=True) == 0:
        return [sys.executable, "-m", "pip", "--python", str(_venv_python())]
    raise SetUpError(f"there is no pip in {VENV} and none in {sys.executable}: {VENV_ADVICE}")


def _link_project() -> None:
    """Put the project on the environment's path, and the command `claimnode` beside its Python."""
    probe = "import sysconfig; print(sysconfig.get_path('purelib'))"
    site = subprocess.run(
        [str(_venv_python()), "-c", probe], env=_environment(), capture_output=True, text=True, check=True
    )
    (Path(site.stdout.strip()) / "claimnode.pth").write_text(f"{ROOT}\n", encoding="utf-8")
    if os.name == "posix":
        script = _venv_python().parent / "claimnode"
        script.write_text(f'#!/bin/sh\nexec "{_venv_python()}" -m cli.main "$@"\n', encoding="utf-8")
        script.chmod(0o755)
    else:
        script = _venv_python().parent / "claimnode.cmd"
        script.write_text(f'@"{_venv_python()}" -m cli.main %*\r\n', encoding="utf-8")


def _venv_python() -> Path:
    return VENV / ("bin/python" if os.name == "posix" else "Scripts/python.exe")


def _runs(python: Path) -> bool:
    probe = "import sys; sys.exit(sys.version_info[:2] != ({}, {}))".format(*sys.version_info[:2])
    return python.exists() and _call([str(python), "-c", probe], silent=True) == 0


def _has_module(name: str) -> bool:
    return _call([sys.executable, "-c", f"import {name}"], silent=True) == 0


def _call(command: list[str], *, silent: bool = False) -> int:
    """Exit code of a child process. What it prints goes to standard error, or nowhere."""
    out = subprocess.DEVNULL if silent else sys.stderr
    try:
        return subprocess.run(command, env=_environment(), stdout=out, stderr=out, check=False).returncode
    except OSError:
        return 127


def _become(command: list[str]) -> int:
    if os.name == "posix":
        os.execve(command[0], command, _environment())
    return subprocess.run(command, env=_environment(), check=False).returncode


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name not in LEFT_OUT}


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii")
    except OSError:
        return ""


def _say(text: str) -> None:
    sys.stderr.write(f"bootstrap: {text}\n")


def _complain(text: str, code: int) -> int:
    _say(text)
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
