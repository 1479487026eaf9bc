"""What the documents say is what the program does: commands, examples, set-up commands, example configuration."""

import re
from pathlib import Path

import click
import pytest

from cli.main import COMMANDS, claimnode
from cli.network_config import load_network_config

ROOT = Path(__file__).resolve().parents[2]
PAGES = [
    ROOT / "README.md",
    *(ROOT / name / "README.md" for name in ("ledger", "consensus", "contracts", "node", "cli")),
]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def leaves(command: click.Command, path: tuple[str, ...]) -> list[tuple[tuple[str, ...], click.Command]]:
    """Every command that does something, with its words."""
    if not isinstance(command, click.Group):
        return [(path, command)]
    context = click.Context(command)
    found = [(name, command.get_command(context, name)) for name in command.list_commands(context)]
    return [leaf for name, sub in found if sub is not None for leaf in leaves(sub, (*path, name))]


ALL = leaves(claimnode, ("claimnode",))


@pytest.mark.parametrize(("path", "command"), ALL, ids=[" ".join(path) for path, _ in ALL])
def test_every_command_has_help_with_an_example(path: tuple[str, ...], command: click.Command) -> None:
    text = command.get_help(click.Context(command, info_name=" ".join(path)))
    assert "Example: claimnode" in text
    assert " ".join(path) in re.sub(r"\s+", " ", text)


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_readme_names_every_command(name: str) -> None:
    assert f"`claimnode {name} " in README


def test_readme_gives_exactly_two_setup_commands() -> None:
    block = README.split("## Two commands")[1].split("```sh")[1].split("```")[0]
    commands = [line.split("#")[0].split() for line in block.strip().splitlines()]
    assert [words[:2] for words in commands] == [["python3", "cli/bootstrap.py"]] * 2
    assert [words[2] for words in commands] == ["demo", "test"]


def test_links_in_documents_lead_somewhere() -> None:
    broken = []
    for page in [
        ROOT / "README.md",
        *(ROOT / name / "README.md" for name in ("ledger", "consensus", "contracts", "node", "cli")),
    ]:
        for target in re.findall(r"\]\(([^)#]+)\)", page.read_text(encoding="utf-8")):
            if "://" not in target and not (page.parent / target).exists():
                broken.append(f"{page.relative_to(ROOT)}: {target}")
    assert not broken


def test_example_configurations_load() -> None:
    files = sorted((ROOT / "network-config").rglob("network.toml"))
    assert files
    for path in files:
        assert load_network_config(path).participants


def test_documents_speak_of_the_project_alone() -> None:
    words = re.compile(r"\b(issue #?\d+|ticket|sprint|session \d|TODO|FIXME)\b", re.IGNORECASE)
    pages = [path for path in ROOT.rglob("*.md") if ".venv" not in path.parts]
    assert not [str(path.relative_to(ROOT)) for path in pages if words.search(path.read_text(encoding="utf-8"))]
