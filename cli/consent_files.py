"""The files of `claimnode consent`: wallets, attestations, signed forms; and what came of a submission.

Knows files and outcomes. Must not know a command. Always true: a private file is read only if it is private.
"""

from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import msgspec

from cli.errors import AnswerIsNo, CliError, NetworkFailure
from contracts.consenttokens import Attestation
from ledger.crypto.keys import read_secret_file
from ledger.encoding import schema_fault
from node.consentwork import hash_form
from node.wallet import ConsentWallet, WalletError, decode_wallet

WAIT_S: Final = 30
"""How long a command waits for its transaction."""
MAX_FORM: Final = 64 * 2**20
"""Bytes of a signed form: a scan of many pages."""


def open_wallet(path: Path) -> ConsentWallet:
    """The wallet in a private file. Raises CliError `wallet`."""
    try:
        return decode_wallet(read_secret_file(path))
    except WalletError as error:
        raise CliError(error.code, f"{path}: {error.detail}") from None


def decode_attestation(data: bytes, place: str) -> Attestation:
    """What `claimnode consent attest` wrote. Raises CliError `attestation`, naming `place`."""
    try:
        return msgspec.json.decode(data, type=Attestation)
    except msgspec.ValidationError as error:
        raise CliError("attestation", f"{place}: {schema_fault(error)}") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise CliError("attestation", f"{place} is no attestation of `claimnode consent attest`") from None


def list_attestations(paths: Iterable[Path]) -> list[dict[str, Any]]:
    """The attestations in these files. Raises CliError `attestation`."""
    return [msgspec.to_builtins(decode_attestation(read_secret_file(path), str(path))) for path in paths]


def hash_form_file(path: Path | None) -> str | None:
    """The hash of a signed form. Raises CliError `form`."""
    if path is None:
        return None
    with open(path, "rb") as stream:
        data = stream.read(MAX_FORM + 1)
    if not data or len(data) > MAX_FORM:
        raise CliError("form", f"{path}: a signed form has 1 to {MAX_FORM} bytes")
    return hash_form(data)


def read_instant(text: str) -> datetime:
    """An ISO date or time; without a zone it is UTC. Raises CliError `time`."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise CliError("time", f"{text!r} is no ISO date or time; write 2025-01-06T08:00:00+08:00") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def require_final(outcome: dict[str, Any]) -> dict[str, Any]:
    """The outcome of a submission that became final and was accepted. Raises NetworkFailure, AnswerIsNo."""
    if outcome.get("status") != "final":
        detail = f"transaction {outcome['tx_id']} is not final after {WAIT_S} s; ask for it later"
        raise NetworkFailure("pending", detail)
    code = outcome["receipt"]["code"]
    if code != "ok":
        raise AnswerIsNo(code, f"the ledger refused transaction {outcome['tx_id']}")
    return outcome
