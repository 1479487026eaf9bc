"""TLS contexts in which a certificate proves possession of a key and nothing else; who the key belongs to is
decided by its SPKI hash alone, against the registry.

The ssl module asks a client for a certificate only if it also checks its issuer, and the ledger holds hashes
of keys, not certificates that could be pinned. So at start each node wraps its own transport key in a
certificate of the *open issuer*: a P-256 key whose secret is the number 1, known to everybody. Being issued
by it means nothing, and is the same as being self-signed; but both ends now must send a certificate and sign
the handshake with its key (RFC 8446 section 4.4.3). Nothing has to be exchanged when a member joins, renews
or re-keys. Whoever uses a context from here must compare `spki_of` with the registry before reading a byte.
"""

import os
import ssl
import tempfile
from datetime import UTC, datetime
from functools import cache
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from ledger.crypto.keys import TlsIdentity, spki_hash
from ledger.errors import KeyFileError
from node.peers.errors import PeerError

_ISSUER: Final = "claimnode open issuer: proves nothing"
_NO_CHECK_TIME: Final = 0x200000
"""X509_V_FLAG_NO_CHECK_TIME of OpenSSL: a wrong clock or an old date must not part two nodes."""
_FROM = datetime(2020, 1, 1, tzinfo=UTC)
_UNTIL = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
TransportKey = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey


def server_context(identity: TlsIdentity) -> ssl.SSLContext:
    """Accepts any client that proves possession of a key. Raises KeyFileError `format`."""
    context = _context(ssl.PROTOCOL_TLS_SERVER, identity)
    context.num_tickets = 0  # a resumed session would not show its certificate again
    return context


def client_context(identity: TlsIdentity) -> ssl.SSLContext:
    """Accepts any server that proves possession of a key. Raises KeyFileError `format`."""
    return _context(ssl.PROTOCOL_TLS_CLIENT, identity)


def spki_of(connection: object) -> str:
    """SPKI SHA-256 (hex) of the other end of a finished handshake. Raises PeerError `no_certificate`."""
    if not isinstance(connection, ssl.SSLObject | ssl.SSLSocket):
        raise PeerError("no_certificate", "the connection is not TLS")
    certificate = connection.getpeercert(binary_form=True)
    if not certificate:
        raise PeerError("no_certificate", "the other end sent no certificate")
    try:
        return spki_hash(certificate)
    except KeyFileError as error:
        raise PeerError("no_certificate", f"the other end's certificate: {error.detail}") from None


def _context(protocol: int, identity: TlsIdentity) -> ssl.SSLContext:
    context = ssl.SSLContext(protocol)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.check_hostname = False  # names prove nothing here; keys do
    context.verify_mode = ssl.CERT_REQUIRED
    context.verify_flags |= ssl.VerifyFlags(_NO_CHECK_TIME)
    context.load_verify_locations(cadata=_open_issuer_certificate())
    _load_chain(context, identity)
    return context


def _load_chain(context: ssl.SSLContext, identity: TlsIdentity) -> None:
    """ssl reads keys from files only: the file is encrypted under a password that lives in this call."""
    key, name = _read_identity(identity)
    password = os.urandom(32).hex().encode()
    sealed = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(password))
    with tempfile.NamedTemporaryFile(prefix="claimnode-tls-") as file:
        file.write(_wrap(key, name) + sealed)
        file.flush()
        context.load_cert_chain(file.name, password=password)


def _read_identity(identity: TlsIdentity) -> tuple[TransportKey, x509.Name]:
    try:
        key = load_pem_private_key(identity.key_pem, None)
        subject = x509.load_pem_x509_certificate(identity.certificate_pem).subject
    except (ValueError, TypeError):
        raise KeyFileError("format", "the transport key or certificate is no PEM") from None
    if not isinstance(key, TransportKey):
        raise KeyFileError("algorithm", "a transport key is P-256 or Ed25519")
    return key, subject


def _wrap(key: TransportKey, subject: x509.Name) -> bytes:
    usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH])
    builder = (
        _builder(subject, key.public_key())
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(usage, critical=False)
    )
    return builder.sign(_open_issuer_key(), hashes.SHA256()).public_bytes(Encoding.PEM)


@cache
def _open_issuer_certificate() -> str:
    key = _open_issuer_key()
    builder = _builder(_issuer_name(), key.public_key()).add_extension(
        x509.BasicConstraints(ca=True, path_length=0), critical=True
    )
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM).decode("ascii")


def _open_issuer_key() -> ec.EllipticCurvePrivateKey:
    return ec.derive_private_key(1, ec.SECP256R1())


def _issuer_name() -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, _ISSUER)])


def _builder(
    subject: x509.Name, public: ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey
) -> x509.CertificateBuilder:
    issuer = _open_issuer_key().public_key()
    return (
        x509.CertificateBuilder(issuer_name=_issuer_name(), subject_name=subject, public_key=public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(_FROM)
        .not_valid_after(_UNTIL)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer), critical=False)
    )
