"""A program as the ledger knows it: its files, their order, its identity.

Knows file names and sizes, the canonical bundle and its hash. Must not know the language inside the files.
Always true: two bundles have the same hash exactly if they have the same language level, the same file names
and the same bytes in them; a bundle holds `program.star`, which is read last.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from contracts.machine.errors import ProgramRefused
from contracts.machine.language import ENTRY_FILE, LANGUAGE, MAX_FILES, MAX_SOURCE_BYTES
from ledger.crypto.hashing import tagged_hex
from ledger.encoding import encode

PROGRAM_TAG: Final = "contract-program"
_FILE_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,63}\.star")


@dataclass(frozen=True, slots=True)
class ProgramBundle:
    """The checked files of one program, as (name, source) in the order in which they are read."""

    files: tuple[tuple[str, str], ...]

    @property
    def source(self) -> str:
        """All files as one text; line numbers are those of `place_of`."""
        return "".join(source for _, source in self.files)

    def place_of(self, line: int) -> str | None:
        """`file line n` for a line of `source`, counted from 1; None beyond the last file."""
        for name, source in self.files:
            length = source.count("\n")
            if line <= length:
                return f"{name} line {line}"
            line -= length
        return None


def build_bundle(files: Mapping[str, str]) -> ProgramBundle:
    """The bundle of these files. Raises ProgramRefused (`files`, `too_large`, `text`)."""
    if ENTRY_FILE not in files or len(files) > MAX_FILES:
        raise ProgramRefused("files", f"a program has {ENTRY_FILE} and at most {MAX_FILES} files")
    for name, source in files.items():
        if _FILE_NAME.fullmatch(name) is None:
            raise ProgramRefused("files", "file names are lower-case words ending in .star")
        _check_text(name, source)
    if sum(len(source.encode("utf-8")) for source in files.values()) > MAX_SOURCE_BYTES:
        raise ProgramRefused("too_large", f"more than {MAX_SOURCE_BYTES} bytes of source")
    ordered = sorted(files, key=lambda name: (name == ENTRY_FILE, name))
    return ProgramBundle(tuple((name, files[name]) for name in ordered))


def encode_bundle(bundle: ProgramBundle) -> bytes:
    """Canonical bytes of a bundle: what a proposal carries and what is hashed."""
    return encode({"language": LANGUAGE, "files": dict(bundle.files)})


def program_hash(bundle: ProgramBundle) -> str:
    """The identity of a program: 64 hexadecimal digits."""
    return tagged_hex(PROGRAM_TAG, encode_bundle(bundle))


def _check_text(name: str, source: str) -> None:
    """One spelling of line ends and white space, so that what a person reads is what is hashed."""
    try:
        source.encode("utf-8")
    except UnicodeEncodeError:
        raise ProgramRefused("text", f"{name}: is no Unicode text") from None
    if not source.endswith("\n"):
        raise ProgramRefused("text", f"{name}: ends without a line end")
    for line, text in enumerate(source.split("\n"), start=1):
        if any(not letter.isprintable() for letter in text):
            raise ProgramRefused("text", f"{name} line {line}: a tab or another invisible character")
