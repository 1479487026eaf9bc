"""Bearer tokens of a node's own staff and programs: made once, shown to nobody, kept as hashes.

Knows the token file of a node's folder and the scopes. Must not know routes or HTTP. Always true: a token is 32
random bytes and only its SHA-256 is stored (no guessing to slow down, so no password hash is needed), comparing
takes the same time for every token, and no function prints a token: it goes into a file of mode 0600.
"""

import hashlib
import hmac
import os
import secrets
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Final, Literal, TypeAlias, get_args

import msgspec
from msgspec import Meta, Struct

from ledger.crypto.keys import read_secret_file, write_secret_file
from ledger.encoding import schema_fault
from ledger.errors import KeyFileError
from ledger.types import Hex32, Name
from node.errors import ConfigError

Scope: TypeAlias = Literal[
    "submit",
    "read",
    "consent",
    "publish",
    "policy",
    "review",
    "dossier",
    "ledger",
    "metrics",
    "govern",
    "pay",
    "backtest",
    "report",
]
"""What a token may do: submit foreign transactions, read claims and payouts, relay customers' tokens, publish
records (hospital), commit policies (insurer), let a reviewed result stand (insurer), export dossiers (they hold
documents), read the ledger itself, read metrics, propose and vote in the participant's name, try a version of a product
on past claims (amounts without documents), read figures with sums of money, take payment files and bring the bank's
answers (insurer; they hold names and accounts)."""
ALL_SCOPES: Final[tuple[Scope, ...]] = get_args(Scope)
TOKEN_NAME: Final = "data/tokens.json"  # noqa: S105 - the name of a file
TOKEN_PREFIX: Final = "cn_"  # noqa: S105 - how every token starts
"""Lets a scanner of repositories and logs recognise a leaked token."""
TOKEN_BYTES: Final = 32
MAX_TOKENS: Final = 1_000
"""Tokens of one node; each request compares with all of them."""
MAX_FILE_BYTES: Final = 1024 * 1024


class TokenRecord(Struct, frozen=True, forbid_unknown_fields=True):
    """One token: who holds it, what it may do, the SHA-256 of its text."""

    name: Name
    scopes: Annotated[tuple[Scope, ...], Meta(min_length=1)]
    sha256: Hex32


class _TokenFile(Struct, frozen=True, forbid_unknown_fields=True):
    v: Annotated[int, Meta(ge=1, le=1)]
    tokens: Annotated[tuple[TokenRecord, ...], Meta(max_length=MAX_TOKENS)]


class Tokens:
    """The tokens of one node, read from its file; a changed file is read again at the next request."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stamp: tuple[int, int] | None = None
        self._records: tuple[TokenRecord, ...] = ()

    def find(self, token: str) -> TokenRecord | None:
        """Whose token this is, None if nobody's."""
        given = _digest(token)
        found = None
        for record in self._current():
            if hmac.compare_digest(record.sha256, given):
                found = record
        return found

    def _current(self) -> tuple[TokenRecord, ...]:
        try:
            status = self._path.stat()
        except FileNotFoundError:
            return ()
        stamp = status.st_mtime_ns, status.st_size
        if stamp != self._stamp:
            self._records = load_tokens(self._path)
            self._stamp = stamp
        return self._records


def create_token(folder: Path, *, name: str, scopes: Iterable[str], out: Path) -> TokenRecord:
    """Add a token to the node in `folder` and write its text to the new file `out` (0600).

    Raises ConfigError `token` (unknown scope, name taken, too many), KeyFileError `exists`, `io`.
    """
    path = folder / TOKEN_NAME
    records = load_tokens(path) if path.exists() else ()
    token = TOKEN_PREFIX + secrets.token_urlsafe(TOKEN_BYTES)
    try:
        record = msgspec.convert(
            {"name": name, "scopes": sorted(set(scopes)), "sha256": _digest(token)}, TokenRecord, strict=True
        )
    except msgspec.ValidationError as error:
        known = ", ".join(ALL_SCOPES)
        raise ConfigError("token", [(name, f"{error}; scopes are {known}")]) from None
    if any(item.name == name for item in records):
        raise ConfigError("token", [(name, f"{path} has a token of this name; revoke it or take another name")])
    if len(records) >= MAX_TOKENS:
        raise ConfigError("token", [(name, f"{path} holds {MAX_TOKENS} tokens; revoke those no longer used")])
    write_secret_file(out, token.encode("ascii") + b"\n")
    _store(path, (*records, record))
    return record


def revoke_token(folder: Path, name: str) -> None:
    """Forget a token; the running node refuses it from the next request on. Raises ConfigError `token`."""
    path = folder / TOKEN_NAME
    records = load_tokens(path) if path.exists() else ()
    left = tuple(record for record in records if record.name != name)
    if len(left) == len(records):
        raise ConfigError("token", [(name, f"{path} has no token of this name")])
    _store(path, left)


def load_tokens(path: Path) -> tuple[TokenRecord, ...]:
    """The tokens in a file. Raises ConfigError `token` for a file that is none."""
    data = path.read_bytes()
    try:
        if len(data) > MAX_FILE_BYTES:
            raise msgspec.ValidationError(f"{len(data)} bytes, at most {MAX_FILE_BYTES}")
        return msgspec.json.decode(data, type=_TokenFile).tokens
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ConfigError("token", [(str(path), f"no token file: {schema_fault(error)}")]) from None


def read_token_file(path: Path) -> str:
    """The token in a file of mode 0600, as the holder keeps it. Raises KeyFileError."""
    try:
        token = read_secret_file(path).decode("ascii").strip()
    except UnicodeDecodeError:
        token = ""
    if not token.startswith(TOKEN_PREFIX) or not token.isprintable() or " " in token:
        raise KeyFileError("format", f"{path} holds no access token; make one with claimnode node token new")
    return token


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()


def _store(path: Path, records: tuple[TokenRecord, ...]) -> None:
    path.parent.mkdir(mode=0o700, exist_ok=True)
    descriptor, scratch = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    with open(descriptor, "wb") as stream:
        stream.write(msgspec.json.format(msgspec.json.encode(_TokenFile(1, records)), indent=1) + b"\n")
        stream.flush()
        os.fsync(stream.fileno())
    os.replace(scratch, path)
