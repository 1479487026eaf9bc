"""The command line as a whole: every command explained, nothing heavy loaded, every error one line and a code."""

import json
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from cli import main as main_module
from cli.errors import AnswerIsNo, CliError, NetworkFailure, describe_error
from cli.main import COMMANDS, claimnode
from cli.output import format_money
from cli.version import VERSION
from contracts.errors import TokenError
from ledger.errors import InvalidProof, KeyFileError

ROOT = Path(__file__).resolve().parents[3]


def walk(command: click.Command, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    yield path, command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            found = command.get_command(context, name)
            assert found is not None
            yield from walk(found, (*path, name))


ALL = list(walk(claimnode, ("claimnode",)))


@pytest.mark.parametrize(("path", "command"), ALL, ids=[" ".join(path) for path, _ in ALL])
def test_every_command_explains_itself_with_an_example(path: tuple[str, ...], command: click.Command) -> None:
    assert command.help
    assert "Example:" in command.help
    assert f"{' '.join(path)}" in command.help


@pytest.mark.parametrize(
    ("path", "command"),
    [(path, command) for path, command in ALL if not isinstance(command, click.Group)],
    ids=[" ".join(path) for path, command in ALL if not isinstance(command, click.Group)],
)
def test_every_command_that_answers_has_json(path: tuple[str, ...], command: click.Command) -> None:
    runs_until_stopped = path[1:] in {("network", "up"), ("node", "run"), ("witness", "run")}
    options = {option for parameter in command.params for option in parameter.opts}
    assert ("--json" in options) != runs_until_stopped


def test_no_option_takes_a_secret() -> None:
    options = {option for _, command in ALL for parameter in command.params for option in parameter.opts}
    assert not options & {"--token", "--secret", "--password", "--passphrase", "--key", "--seed", "--slip"}


def test_importing_any_command_loads_no_server() -> None:
    modules = sorted({source.module for source in COMMANDS.values()})
    code = (
        "import importlib, sys\n"
        f"for name in {modules!r}: importlib.import_module(name)\n"
        "heavy = {'fastapi', 'uvicorn', 'sqlalchemy', 'aiohttp', 'starlette'} & set(sys.modules)\n"
        "sys.exit(', '.join(sorted(heavy)) or 0)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_help_lists_every_command_without_importing_one() -> None:
    code = "import sys\nfrom cli.main import claimnode\ntry:\n    claimnode.main(['--help'])\nfinally:\n    "
    code += "print(sorted(name for name in sys.modules if name.startswith('cli.')), file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stderr.strip() == "['cli.errors', 'cli.main', 'cli.version']"
    for name, source in COMMANDS.items():
        assert f"  {name}" in done.stdout
        assert source.summary.split()[0] in done.stdout


def test_the_version_is_the_distributions() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["version"] == VERSION
    assert CliRunner().invoke(claimnode, ["--version"]).output == f"claimnode {VERSION}\n"


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (CliError("config", "two faults:\n one\n two"), 2, "config: two faults: one two"),
        (AnswerIsNo("no", "it does not hold"), 1, "no: it does not hold"),
        (NetworkFailure("unreachable", "nobody there"), 3, "unreachable: nobody there"),
        (InvalidProof("root", "another root"), 1, "root: another root"),
        (KeyFileError("missing", "no file"), 2, "missing: no file"),
        (TokenError("token_form", "three parts"), 2, "token_form: three parts"),
        (FileNotFoundError(2, "No such file or directory", "x.json"), 2, "x.json: No such file"),
    ],
)
def test_errors_become_one_line_and_a_code(error: Exception, code: int, line: str) -> None:
    described = describe_error(error)
    assert described is not None
    assert described[0].startswith(line)
    assert "\n" not in described[0]
    assert described[1] == code


def test_a_fault_of_the_program_is_not_dressed_up() -> None:
    assert describe_error(KeyError("x")) is None


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["nonsense"], 2, "No such command 'nonsense'"),
        (["keys", "new"], 2, "claimnode keys new --help"),
        (["network", "init", "nowhere.toml", "--out", "x"], 2, "nowhere.toml: No such file"),
        (["network", "up", "."], 2, "claimnode network init"),
        (["node", "run", "nowhere"], 2, "holds no node.toml"),
        (["keys", "show", "https://keys/1"], 2, "key_uri"),
    ],
)
def test_wrong_use_is_one_line(arguments: list[str], code: int, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT / "tests")
    result = CliRunner().invoke(claimnode, arguments)
    assert result.exit_code == code
    assert result.stdout == ""
    assert words in result.stderr
    assert result.stderr.startswith("claimnode: ")
    assert result.stderr.count("\n") == 1


def test_ctrl_c_is_no_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(main_module.click.Group, "invoke", interrupt)
    result = CliRunner().invoke(claimnode, ["keys", "show", "x"])
    assert result.exit_code == 130
    assert result.stderr.strip() == "claimnode: interrupted"


@pytest.mark.parametrize(
    ("amount", "text"), [(0, "0.00 CNY"), (5, "0.05 CNY"), (-1234567, "-12,345.67 CNY"), (200403, "2,004.03 CNY")]
)
def test_money_is_written_from_integers(amount: int, text: str) -> None:
    assert format_money(amount, "CNY") == text


def test_keys_are_made_shown_and_proved(tmp_path: Path) -> None:
    from contracts.identifiers import tagged_hash
    from ledger.crypto import bls, ed25519

    runner = CliRunner()
    for algorithm in ("ed25519", "bls12-381", "x25519"):
        path = tmp_path / f"{algorithm}.json"
        made = json.loads(runner.invoke(claimnode, ["keys", "new", algorithm, str(path), "--json"]).stdout)
        assert path.stat().st_mode & 0o777 == 0o600
        shown = json.loads(runner.invoke(claimnode, ["keys", "show", path.as_uri(), "--json"]).stdout)
        assert shown == made
        assert json.loads(path.read_text())["secret"] not in json.dumps(made)
    command = ["keys", "prove", str(tmp_path / "ed25519.json"), "--challenge", "fresh", "--json"]
    proof = json.loads(runner.invoke(claimnode, command).stdout)
    public, signature = bytes.fromhex(proof["public_key"]), bytes.fromhex(proof["proof"])
    ed25519.verify(public, tagged_hash("key-proof", b"fresh"), signature)
    proof = json.loads(runner.invoke(claimnode, ["keys", "prove", str(tmp_path / "bls12-381.json"), "--json"]).stdout)
    bls.verify_possession(bytes.fromhex(proof["public_key"]), bytes.fromhex(proof["proof"]))
    assert runner.invoke(claimnode, ["keys", "prove", str(tmp_path / "x25519.json")]).exit_code == 2
    assert runner.invoke(claimnode, ["keys", "prove", str(tmp_path / "ed25519.json")]).exit_code == 2
