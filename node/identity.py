"""Who this node is: its participant id and the secrets in the key files of its folder.

Knows the names of the files. Must not know what a key is used for, nor whether it is registered. Must always
hold: a secret is read from a file that only its owner can read, and appears in no repr, message or log line.
"""

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from ledger.crypto import ed25519
from ledger.crypto.keys import (
    KeyPair,
    TlsIdentity,
    generate_key,
    generate_tls_identity,
    load_key,
    read_secret_file,
    save_key,
    write_secret_file,
)

KEYS = "keys"
SIGNING = "signing.json"
FINALITY = "finality.json"
ENVELOPE = "envelope.json"
NOTE = "note.json"
TRANSPORT_CERTIFICATE = "transport-certificate.pem"
TRANSPORT_KEY = "transport-key.pem"
_INVOICE = re.compile(r"\Ainvoice-([A-Za-z0-9._-]+)-(\d{4})\.json\Z")


@dataclass(frozen=True, slots=True)
class Identity:
    """One participant's secrets. `finality` is None on a node that never votes; `invoice` is a commission's."""

    participant: str
    signing: KeyPair
    finality: KeyPair | None
    envelope: KeyPair
    note: KeyPair
    transport: TlsIdentity
    transport_files: tuple[Path, Path]
    invoice: dict[tuple[str, int], KeyPair] = field(default_factory=dict)

    @property
    def key_id(self) -> str:
        """Id of the signing key, as transactions name it."""
        return ed25519.key_id(self.signing.public)

    @property
    def vote_key_id(self) -> str:
        """Id of the pair of keys that votes are signed with, 16 hexadecimal digits: another one when either changes."""
        return vote_key_id(self.signing.public, b"" if self.finality is None else self.finality.public)


def vote_key_id(signing: bytes, finality: bytes) -> str:
    """The id of a pair of public keys; `finality` is empty where there is none."""
    return hashlib.sha256(signing + finality).hexdigest()[:16]


def load_identity(folder: Path, participant: str) -> Identity:
    """Read every key file below `folder`/keys. Raises KeyFileError, naming the file and what to do."""
    keys = folder / KEYS
    certificate, key = keys / TRANSPORT_CERTIFICATE, keys / TRANSPORT_KEY
    finality = keys / FINALITY
    return Identity(
        participant=participant,
        signing=load_key(keys / SIGNING, "ed25519"),
        finality=load_key(finality, "bls12-381") if finality.exists() else None,
        envelope=load_key(keys / ENVELOPE, "x25519"),
        note=load_key(keys / NOTE, "ed25519"),
        transport=TlsIdentity(read_secret_file(certificate), read_secret_file(key)),
        transport_files=(certificate, key),
        invoice=_load_invoice_keys(keys),
    )


def create_identity(
    folder: Path, participant: str, *, validator: bool, invoice: Iterable[tuple[str, int]] = ()
) -> Identity:
    """Make fresh key files below `folder`/keys and load them. `invoice` lists (region, issue year).

    Raises KeyFileError `exists`: a key is never overwritten.
    """
    keys = folder / KEYS
    keys.mkdir(mode=0o700, parents=True, exist_ok=True)
    save_key(keys / SIGNING, generate_key("ed25519"))
    if validator:
        save_key(keys / FINALITY, generate_key("bls12-381"))
    save_key(keys / ENVELOPE, generate_key("x25519"))
    save_key(keys / NOTE, generate_key("ed25519"))
    tls = generate_tls_identity(participant)
    write_secret_file(keys / TRANSPORT_CERTIFICATE, tls.certificate_pem)
    write_secret_file(keys / TRANSPORT_KEY, tls.key_pem)
    for region, year in invoice:
        save_key(keys / invoice_name(region, year), generate_key("bls12-381"))
    return load_identity(folder, participant)


def invoice_name(region: str, year: int) -> str:
    """File name of a commission's invoice key."""
    return f"invoice-{region}-{year:04d}.json"


def _load_invoice_keys(keys: Path) -> dict[tuple[str, int], KeyPair]:
    found = {}
    for path in sorted(keys.iterdir()):
        match = _INVOICE.match(path.name)
        if match:
            found[match[1], int(match[2])] = load_key(path, "bls12-381")
    return found
