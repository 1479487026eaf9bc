"""Key files under a passphrase: scrypt (RFC 7914) gives the key, AES-256-GCM seals, bound to the backup they belong to.

Knows bytes and a passphrase. Must not know where key files lie. Must always hold: only files of the closed list enter
or leave, and no finality key is on it; no error repeats a passphrase or a secret.
"""

import base64
import binascii
import os
import re
from pathlib import Path
from typing import Annotated, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt as ScryptKdf
from msgspec import Meta, Struct

from ledger.crypto.keys import MAX_KEY_FILE, read_secret_file
from ledger.encoding import decode_as, encode
from ledger.errors import DecodeError
from node.backups.archive import MAX_SEALED_BYTES, Scrypt, Subject
from node.errors import SnapshotRefused

LOG_N: Final = 17
"""128 MB and some tenths of a second for each guess."""
MIN_PASSPHRASE: Final = 12
"""Bytes; shorter ones are guessed in spite of scrypt."""
KEY_FILE: Final = re.compile(
    r"\A(?:(?:signing|envelope|note)\.json|transport-(?:certificate|key)\.pem|vault\.key|operator\.token"
    r"|invoice-[A-Za-z0-9._-]{1,64}-\d{4}\.json)\Z"
)
"""The files that a backup takes. Not finality keys, waiting or retired keys, guards."""


class _Keys(Struct, frozen=True, forbid_unknown_fields=True):
    files: dict[str, Annotated[str, Meta(max_length=2 * MAX_KEY_FILE)]]


def read_passphrase(path: Path) -> bytes:
    """The first line of a file of mode 0600. Raises KeyFileError, SnapshotRefused `passphrase`."""
    line = read_secret_file(path).split(b"\n", 1)[0].strip()
    if len(line) < MIN_PASSPHRASE:
        raise SnapshotRefused("passphrase", f"{path}: a passphrase has at least {MIN_PASSPHRASE} bytes, on one line")
    return line


def seal_keys(
    files: dict[str, bytes], passphrase: bytes, subject: Subject, *, log_n: int = LOG_N
) -> tuple[Scrypt, bytes]:
    """Parameters for the manifest, and ciphertext."""
    parameters = Scrypt(log_n, 8, 1, os.urandom(32).hex(), os.urandom(12).hex())
    plain = encode(_Keys({name: base64.b64encode(data).decode("ascii") for name, data in files.items()}))
    return parameters, _cipher(parameters, passphrase).encrypt(bytes.fromhex(parameters.nonce), plain, encode(subject))


def open_keys(parameters: Scrypt, sealed: bytes, passphrase: bytes, subject: Subject) -> dict[str, bytes]:
    """The key files by name. Raises SnapshotRefused `passphrase`, `keys`."""
    try:
        plain = _cipher(parameters, passphrase).decrypt(bytes.fromhex(parameters.nonce), sealed, encode(subject))
    except InvalidTag:
        raise SnapshotRefused(
            "passphrase", "the keys do not open: another passphrase, or a manifest that was changed"
        ) from None
    return decode_keys(plain)


def decode_keys(plain: bytes) -> dict[str, bytes]:
    """What was sealed. Raises SnapshotRefused `keys`."""
    try:
        found = decode_as(plain, _Keys, limit=MAX_SEALED_BYTES).files
        files = {name: base64.b64decode(text, validate=True) for name, text in found.items()}
    except (DecodeError, binascii.Error, ValueError):
        raise SnapshotRefused("keys", "the sealed keys are not what a backup holds") from None
    if not all(KEY_FILE.match(name) for name in files):
        raise SnapshotRefused("keys", "a key file is sealed that no backup holds")
    return files


def _cipher(parameters: Scrypt, passphrase: bytes) -> AESGCM:
    kdf = ScryptKdf(
        salt=bytes.fromhex(parameters.salt), length=32, n=2**parameters.log_n, r=parameters.r, p=parameters.p
    )
    return AESGCM(kdf.derive(passphrase))
