"""Key files of one node: made from the system's randomness, written once, readable by their owner alone.

A key file is canonical JSON {v, algorithm, public, secret}, mode 0600, written atomically and never over an
existing file. Loading refuses what others can read, and a public key that does not belong to its secret. No
function prints or returns a secret in a message, and the repr of a key hides it. Peers identify each other
by the hash of the TLS public key, so certificates are self-signed and never expire.
"""

import hashlib
import os
import stat
import tempfile
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final, Literal, TypeAlias, get_args

import msgspec
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from msgspec import Meta

from ledger.crypto import bls, ed25519
from ledger.crypto.wrapping import MLKEM768_SEED_BYTES, MLKEM768_X25519, X25519, wrap_public_key
from ledger.encoding import decode_as, encode
from ledger.errors import DecodeError, EnvelopeError, KeyFileError, SignatureError

VERSION: Final = 1
MAX_KEY_FILE = 16 * 2**10
"""Bytes: several times the largest key file (a hybrid envelope key, 3 kB) or PEM key."""

Algorithm: TypeAlias = Literal["ed25519", "bls12-381", "x25519", "mlkem768-x25519"]
_Hex: TypeAlias = Annotated[str, Meta(pattern=r"\A(?:[0-9a-f]{2}){1,2048}\Z")]


@dataclass(frozen=True, slots=True)
class KeyPair:
    """A key of `algorithm`; `secret` is a seed, scalar or private key and is never shown."""

    algorithm: Algorithm
    public: bytes
    secret: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class TlsIdentity:
    """A P-256 key and its self-signed certificate, both PEM."""

    certificate_pem: bytes
    key_pem: bytes = field(repr=False)


class _KeyFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    v: Annotated[int, Meta(ge=VERSION, le=VERSION)]
    algorithm: Algorithm
    public: _Hex
    secret: _Hex

    def __repr__(self) -> str:
        return f"_KeyFile(algorithm={self.algorithm!r}, public={self.public!r})"


def generate_key(algorithm: Algorithm) -> KeyPair:
    """A fresh key from the system's randomness."""
    if algorithm == "bls12-381":
        return key_from_secret(algorithm, bls.secret_key_from_seed(os.urandom(32)))
    return key_from_secret(algorithm, os.urandom(32 + MLKEM768_SEED_BYTES * (algorithm == "mlkem768-x25519")))


def key_from_secret(algorithm: Algorithm, secret: bytes) -> KeyPair:
    """The key pair of known secret bytes. Raises KeyFileError `secret`, `algorithm`."""
    try:
        return KeyPair(algorithm, _public_key(algorithm, secret), secret)
    except (SignatureError, EnvelopeError) as error:
        raise KeyFileError("secret", f"no {algorithm} secret: {error.detail}") from None


def save_key(path: Path, key: KeyPair) -> None:
    """Write a key file. Raises KeyFileError `exists` (a key is never overwritten), `io`."""
    record = _KeyFile(VERSION, key.algorithm, key.public.hex(), key.secret.hex())
    write_secret_file(path, encode(record))


def load_key(path: Path, algorithm: Algorithm) -> KeyPair:
    """Read a key file of `algorithm`.

    Raises KeyFileError `missing`, `permissions`, `format`, `algorithm` (a key of another kind), `mismatch`
    (public and secret do not belong together).
    """
    try:
        record = decode_as(read_secret_file(path), _KeyFile, limit=MAX_KEY_FILE)
    except DecodeError as error:
        raise KeyFileError("format", f"{path} is no key file ({error.code})") from None
    if record.algorithm != algorithm:
        raise KeyFileError("algorithm", f"{path} holds a key of {record.algorithm}, needed is {algorithm}")
    key = key_from_secret(algorithm, bytes.fromhex(record.secret))
    if key.public.hex() != record.public:
        raise KeyFileError("mismatch", f"in {path} the public key does not belong to the secret")
    return key


def generate_tls_identity(name: str) -> TlsIdentity:
    """A P-256 key with a self-signed certificate for the participant `name`.

    Peers compare the hash of the public key with the registry and ignore dates; the certificate says so by
    the "no well-defined expiry" date of RFC 5280 section 4.1.2.5.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    public = key.public_key()
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    identifier = x509.SubjectKeyIdentifier.from_public_key(public)
    usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH])
    builder = (
        x509.CertificateBuilder(issuer_name=subject, subject_name=subject, public_key=public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(datetime(2020, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(usage, critical=False)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(identifier, critical=False)
    )
    certificate = builder.sign(key, hashes.SHA256())
    return TlsIdentity(
        certificate.public_bytes(Encoding.PEM),
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
    )


def certificate_der(certificate_pem: bytes) -> bytes:
    """The DER form of one PEM certificate. Raises KeyFileError `format`."""
    try:
        return x509.load_pem_x509_certificate(certificate_pem).public_bytes(Encoding.DER)
    except (ValueError, UnsupportedAlgorithm):
        raise KeyFileError("format", "no PEM certificate") from None


def spki_hash(certificate: bytes) -> str:
    """SHA-256 of the public key info of a DER certificate (RFC 7469 section 2.4), 64 hexadecimal digits.

    What the registry holds of a peer: it survives renewal with the same key. Raises KeyFileError `format`.
    """
    try:
        public = x509.load_der_x509_certificate(certificate).public_key()
    except (ValueError, UnsupportedAlgorithm):
        raise KeyFileError("format", "no DER certificate with a key of a known kind") from None
    info = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(info).hexdigest()


def write_secret_file(path: Path, data: bytes) -> None:
    """Write `data` to a new file of mode 0600, whole or not at all, durable on return.

    Raises KeyFileError `exists`, `io`.
    """
    try:
        descriptor, scratch = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # mode 0600
        try:
            with open(descriptor, "wb") as stream:
                stream.write(data)
                stream.flush()
                os.fsync(stream.fileno())
            os.link(scratch, path)  # unlike a rename, fails when the name is taken
        finally:
            os.unlink(scratch)
        _sync_directory(path.parent)
    except FileExistsError:
        raise KeyFileError("exists", f"{path} exists; a key file is never overwritten") from None
    except OSError as error:
        raise KeyFileError("io", f"{path} was not written: {error.strerror}") from None


def read_secret_file(path: Path) -> bytes:
    """The bytes of a file that only its owner can read. Raises KeyFileError `missing`, `permissions`, `io`."""
    try:
        with open(path, "rb") as stream:
            _check_private(path, os.fstat(stream.fileno()))
            data = stream.read(MAX_KEY_FILE + 1)
    except FileNotFoundError:
        raise KeyFileError("missing", f"{path} does not exist") from None
    except OSError as error:
        raise KeyFileError("io", f"{path} was not read: {error.strerror}") from None
    if len(data) > MAX_KEY_FILE:
        raise KeyFileError("format", f"{path} is larger than any key file ({MAX_KEY_FILE} bytes)")
    return data


def _check_private(path: Path, status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise KeyFileError("format", f"{path} is no regular file")
    if os.name == "posix" and status.st_mode & 0o077:
        mode = stat.S_IMODE(status.st_mode)
        raise KeyFileError("permissions", f"{path} has mode {mode:04o}; others can read it: chmod 600 {path}")


def _sync_directory(directory: Path) -> None:
    if os.name != "posix":
        return
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _public_key(algorithm: Algorithm, secret: bytes) -> bytes:
    match algorithm:
        case "ed25519":
            return ed25519.public_key(secret)
        case "bls12-381":
            return bls.public_key(secret)
        case "x25519":
            return wrap_public_key(X25519, secret)
        case "mlkem768-x25519":
            return wrap_public_key(MLKEM768_X25519, secret)
    raise KeyFileError("algorithm", f"{algorithm!r} is none of {', '.join(get_args(Algorithm))}")
