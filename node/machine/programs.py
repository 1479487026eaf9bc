"""Claim programs that come with the package, and those in folders.

Knows where the files of a program are. Must not know the language in them. Always true: what is returned
has passed the checks of contracts.machine.bundle, nothing more.
"""

from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

from contracts.machine.bundle import ProgramBundle, build_bundle
from contracts.machine.conformance import Topic, build_topic
from contracts.machine.errors import ProgramRefused
from contracts.machine.language import MAX_FILES, MAX_SOURCE_BYTES


def standard_program() -> ProgramBundle:
    """The standard claim program of this version of the package."""
    return _read_bundle(files("contracts").joinpath("programs", "standard"))


def standard_examples() -> list[str]:
    """The JSON texts of the standard program's example cases, in the order of their names.

    Each is {"title", "worked", "input", "expected"}.
    """
    folder = files("contracts").joinpath("programs", "standard", "examples")
    found = sorted((entry for entry in folder.iterdir() if entry.name.endswith(".json")), key=lambda entry: entry.name)
    return [entry.read_text(encoding="utf-8") for entry in found]


def conformance_topics() -> dict[str, Topic]:
    """The conformance suite of the language level, by topic (contracts.machine.conformance)."""
    folder = files("contracts").joinpath("machine", "conformance")
    found = sorted((entry for entry in folder.iterdir() if entry.name.endswith(".json")), key=lambda entry: entry.name)
    return {entry.name.removesuffix(".json"): build_topic(entry.read_bytes()) for entry in found}


def read_program(folder: Path) -> ProgramBundle:
    """The program in a folder: program.star and the other *.star files beside it. Raises ProgramRefused."""
    if not folder.is_dir():
        raise ProgramRefused("files", f"{folder}: no folder with a program.star")
    return _read_bundle(folder)


def _read_bundle(folder: Traversable) -> ProgramBundle:
    entries = [entry for entry in folder.iterdir() if entry.name.endswith(".star")]
    if len(entries) > MAX_FILES:
        raise ProgramRefused("files", f"more than {MAX_FILES} files")
    return build_bundle({entry.name: _read_source(entry) for entry in entries})


def _read_source(entry: Traversable) -> str:
    with entry.open("rb") as stream:
        data: bytes = stream.read(MAX_SOURCE_BYTES + 1)
    if len(data) > MAX_SOURCE_BYTES:
        raise ProgramRefused("too_large", f"{entry.name}: more than {MAX_SOURCE_BYTES} bytes")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        raise ProgramRefused("text", f"{entry.name}: is not UTF-8") from None
