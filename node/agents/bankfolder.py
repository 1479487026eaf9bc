"""The two folders between this node and a bank's software: `out` for orders, `in` for answers.

Knows files, not what is in them. Must always hold: a file in `out` is whole (written beside it, synced, renamed) and
never written over with other bytes; a file in `in` is moved to `in/read` or `in/refused` only after it was taken, so a
node that dies in between reads it again, which changes nothing.
"""

import os
from base64 import b32encode
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from contracts.cases.evidence import date_of
from contracts.execution import ChainState
from node.agents.filebank import BankTerms, FileBank, Written
from node.config import BANK_HELD, BankConfig
from node.errors import ConfigError, NodeError
from node.interop.iso20022.answers import read_answers
from node.interop.iso20022.errors import MessageError
from node.interop.iso20022.orders import read_party
from node.interop.iso20022.xmltext import MAX_BYTES
from node.vault import Vault

MAX_FILES: Final = 200
"""Files of `in` taken in one look; the rest is taken at the next."""
SUFFIX: Final = ".xml"


class BankFolder:
    """`folder` is made with `out` and `in`, readable by this user alone: orders hold names and accounts."""

    def __init__(self, folder: Path, bank: FileBank, held: Path) -> None:
        """`held`: while this file is there no new order leaves."""
        self.bank = bank
        self._held = held
        self._out, self._in = folder / "out", folder / "in"
        for path in (self._out, self._in, self._in / "read", self._in / "refused"):
            path.mkdir(mode=0o700, parents=True, exist_ok=True)

    def export(self, *, release: bool = False) -> Written | None:
        """The next batch, its file in `out`; None if no order waits. What a dead node left unwritten comes first.

        Raises NodeError `bank_held` after a restore, until somebody releases it who has brought the bank's answers.
        """
        if release:
            self._held.unlink(missing_ok=True)
        if self._held.exists():
            raise NodeError(
                "bank_held",
                "this vault came from a backup: orders that wait here may have left before. Bring the bank's "
                "statements since the backup (payout settle), see what is open, then payout export --release",
            )
        self.recover()
        written = self.bank.export()
        if written is not None:
            self._write(written)
        return written

    def recover(self) -> int:
        """Write the files of batches that were made just before the node died. Returns how many."""
        left = self.bank.unwritten()
        for written in left:
            self._write(written)
        return len(left)

    def take_files(self) -> list[dict[str, Any]]:
        """Read what lies in `in`: {file, ...FileBank.take} or {file, code, detail} of each, in the order of names."""
        found = sorted(path for path in self._in.iterdir() if path.is_file() and path.suffix.lower() == SUFFIX)
        return [self._take_file(path) for path in found[:MAX_FILES]]

    def _take_file(self, path: Path) -> dict[str, Any]:
        try:
            with path.open("rb") as file:
                answers = read_answers(file.read(MAX_BYTES + 1))
        except NodeError as error:
            self._move(path, "refused")
            return {"file": path.name, "code": error.code, "detail": error.detail}
        taken = self.bank.take(answers)
        self._move(path, "read")
        return {"file": path.name, "kind": answers.kind, **taken}

    def _move(self, path: Path, to: str) -> None:
        target, number = self._in / to / path.name, 1
        while target.exists():
            target, number = self._in / to / f"{path.stem}.{number}{path.suffix}", number + 1
        path.rename(target)

    def _write(self, written: Written) -> None:
        path = self._out / f"{written.message_id}{SUFFIX}"
        write_durably(path, written.data)
        self.bank.keep_written(written.message_id)


def open_bank(
    folder: Path, config: BankConfig, vault: Vault, final: Callable[[], ChainState], now_ms: Callable[[], int]
) -> BankFolder | None:
    """The bank of files that node.toml names, None for the demonstration bank. Raises ConfigError `config`."""
    if config.kind == "demo":
        return None
    given = config.model_dump(include={"name", "account", "agent_bic", "agent_clearing"})
    try:
        debtor = read_party(given, config.charset, "bank")
    except MessageError as error:
        raise ConfigError("config", [(error.path.replace("/", "."), error.detail)]) from None
    bank = FileBank(
        vault,
        BankTerms(debtor, config.version, config.charset),
        read=lambda: final().read,
        name_batch=lambda: "CN-" + b32encode(os.urandom(16)).decode("ascii").rstrip("="),
        now=lambda: _instant(now_ms()),
        today=lambda: date_of(final().time_ms, final().genesis.parameters.utc_offset_minutes),
    )
    return BankFolder(folder / config.folder, bank, folder / BANK_HELD)


def _instant(time_ms: int) -> str:
    return datetime.fromtimestamp(time_ms // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def write_durably(path: Path, data: bytes, sync: Callable[[int], None] = os.fsync) -> None:
    """The whole file, or none of it, also if the machine stops: synced beside its place, renamed, folder synced."""
    beside = path.with_name(f".{path.name}.part")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        sync(file.fileno())
    beside.rename(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        sync(folder)
    finally:
        os.close(folder)
