"""Setting up a clone: nothing is done twice, nothing lands outside, and every dead end says what to install."""

import hashlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

from cli import bootstrap

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(bootstrap, "ROOT", tmp_path)
    monkeypatch.setattr(bootstrap, "VENV", tmp_path / ".venv")
    for lock in bootstrap.LOCKS.values():
        (tmp_path / lock).write_text(f"# {lock}\n")
    (tmp_path / ".venv").mkdir()
    return tmp_path


def install(clone: Path, lock: str) -> None:
    (clone / ".venv" / f"{lock}.installed").write_text(bootstrap.stamp(lock))


def test_what_is_installed_is_not_installed_again(clone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not bootstrap.is_current("requirements.lock")
    install(clone, "requirements.lock")
    assert bootstrap.is_current("requirements.lock")
    assert not bootstrap.is_current("requirements-dev.lock")
    monkeypatch.setattr(bootstrap, "_call", lambda *_, **__: pytest.fail("nothing is to be done"))
    bootstrap.ensure_environment("requirements.lock")


def test_the_larger_set_serves_both_commands(clone: Path) -> None:
    install(clone, "requirements-dev.lock")
    assert bootstrap.is_current("requirements.lock")


def test_a_changed_lock_is_installed(clone: Path) -> None:
    install(clone, "requirements.lock")
    (clone / "requirements.lock").write_text("# other\n")
    assert not bootstrap.is_current("requirements.lock")


def pinned(lock: str) -> set[str]:
    return set(re.findall(r"^[a-z0-9-]+==\S+", (ROOT / lock).read_text(), re.MULTILINE))


def test_the_larger_set_contains_the_smaller_version_by_version() -> None:
    assert pinned("requirements.lock") < pinned("requirements-dev.lock")


def test_an_environment_without_pip_uses_that_of_the_system(clone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[list[str]] = []

    def call(command: list[str], *, silent: bool = False) -> int:
        calls.append(command)
        return int(command[0].startswith(str(clone)))

    monkeypatch.setattr(bootstrap, "_call", call)
    assert bootstrap._pip() == [sys.executable, "-m", "pip", "--python", str(bootstrap._venv_python())]


def test_no_pip_anywhere_says_what_to_install(clone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bootstrap, "_call", lambda *_, **__: 1)
    with pytest.raises(bootstrap.SetUpError, match="python3-venv"):
        bootstrap._pip()
    with pytest.raises(bootstrap.SetUpError, match="python3-venv"):
        bootstrap._make_venv()


def test_a_python_without_ensurepip_makes_an_environment_without_pip(
    clone: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[list[str]] = []
    monkeypatch.setattr(bootstrap, "_has_module", lambda name: name != "ensurepip")
    monkeypatch.setattr(bootstrap, "_call", lambda command, **_: calls.append(command) or 0)
    bootstrap._make_venv()
    assert [command[-1] for command in calls] == ["--without-pip"]


def test_packages_come_by_hash_and_as_wheels(clone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[list[str]] = []
    monkeypatch.setattr(bootstrap, "_call", lambda command, **_: calls.append(command) or 0)
    bootstrap._install(clone / "requirements.lock")
    assert {"--require-hashes", "--no-deps", "--only-binary=:all:"} <= set(calls[-1])


def test_the_callers_settings_do_not_redirect_pip(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_TARGET", "/elsewhere")
    monkeypatch.setenv("PYTHONPATH", "/elsewhere")
    environment = bootstrap._environment()
    assert "PIP_TARGET" not in environment
    assert "PYTHONPATH" not in environment


@pytest.mark.parametrize("arguments", [[], ["deploy"]])
def test_wrong_use_is_one_line(arguments: list[str]) -> None:
    command = [sys.executable, str(ROOT / "cli" / "bootstrap.py"), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr == "bootstrap: usage: python3 cli/bootstrap.py demo|test [options]\n"


def test_an_old_python_is_told_so(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(bootstrap.sys, "version_info", (3, 9, 1))
    assert bootstrap.main(["demo"]) == 2
    assert "Python 3.11 or newer is needed, this is 3.9" in capsys.readouterr().err


def test_a_failed_set_up_ends_before_the_command(clone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bootstrap, "_call", lambda *_, **__: 1)
    monkeypatch.setattr(bootstrap, "_become", lambda command: pytest.fail("must not run"))
    assert bootstrap.main(["demo"]) == 3


def test_the_stamp_binds_the_lock_file(clone: Path) -> None:
    digest = hashlib.sha256((clone / "requirements.lock").read_bytes()).hexdigest()
    assert bootstrap.stamp("requirements.lock").startswith(digest)
