"""Key files: private, whole, never overwritten, never shown."""

import os
import ssl
from pathlib import Path
from typing import get_args

import pytest

from ledger.crypto import ed25519, keys
from ledger.crypto.keys import (
    Algorithm,
    KeyPair,
    certificate_der,
    generate_key,
    generate_tls_identity,
    key_from_secret,
    load_key,
    read_secret_file,
    save_key,
    spki_hash,
    write_secret_file,
)
from ledger.encoding import decode, encode
from ledger.errors import KeyFileError

ALGORITHMS: tuple[Algorithm, ...] = get_args(Algorithm)
KEY = key_from_secret("ed25519", bytes(range(32)))


def _code(attempt: object, *arguments: object) -> str:
    with pytest.raises(KeyFileError) as refusal:
        attempt(*arguments)  # type: ignore[operator]
    assert KEY.secret.hex() not in str(refusal.value)
    return refusal.value.code


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_round_trip(tmp_path: Path, algorithm: Algorithm) -> None:
    key = generate_key(algorithm)
    save_key(tmp_path / "key", key)
    assert load_key(tmp_path / "key", algorithm) == key
    assert key != generate_key(algorithm)
    assert list(tmp_path.iterdir()) == [tmp_path / "key"]
    assert (tmp_path / "key").stat().st_mode & 0o777 == 0o600


def test_a_secret_is_never_shown(tmp_path: Path) -> None:
    assert KEY.secret.hex() not in repr(KEY)
    assert repr(KEY.secret) not in repr(KEY)
    record = keys._KeyFile(1, "ed25519", KEY.public.hex(), KEY.secret.hex())
    assert KEY.secret.hex() not in f"{record!r} {record!s} {[record]}"
    identity = generate_tls_identity("node-1")
    assert "PRIVATE" not in repr(identity)


def test_an_existing_key_is_kept(tmp_path: Path) -> None:
    save_key(tmp_path / "key", KEY)
    assert _code(save_key, tmp_path / "key", generate_key("ed25519")) == "exists"
    assert load_key(tmp_path / "key", "ed25519") == KEY
    assert len(list(tmp_path.iterdir())) == 1


def test_a_failed_write_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    assert _code(save_key, tmp_path / "key", KEY) == "io"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o620, 0o601])
def test_exposed_files_are_refused(tmp_path: Path, mode: int) -> None:
    save_key(tmp_path / "key", KEY)
    (tmp_path / "key").chmod(mode)
    assert _code(load_key, tmp_path / "key", "ed25519") == "permissions"


def test_what_is_no_key_file(tmp_path: Path) -> None:
    assert _code(load_key, tmp_path / "absent", "ed25519") == "missing"
    assert _code(load_key, tmp_path, "ed25519") in ("format", "io")
    assert _code(save_key, tmp_path / "no" / "folder", KEY) == "io"
    save_key(tmp_path / "key", KEY)
    assert _code(load_key, tmp_path / "key", "x25519") == "algorithm"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"public": "00" * 32}, "mismatch"),
        ({"secret": "00" * 31}, "secret"),
        ({"secret": "00" * 32}, "mismatch"),
        ({"secret": "zz"}, "format"),
        ({"v": 2}, "format"),
        ({"extra": 1}, "format"),
        ({"algorithm": "rsa"}, "format"),
    ],
)
def test_damaged_key_files(tmp_path: Path, change: dict[str, object], code: str) -> None:
    save_key(tmp_path / "good", KEY)
    record = decode(read_secret_file(tmp_path / "good")) | change
    write_secret_file(tmp_path / "bad", encode(record))
    assert _code(load_key, tmp_path / "bad", "ed25519") == code


@pytest.mark.parametrize("data", [b"", b"{}", b"\xff\xfe", b"[" * 5000, bytes(keys.MAX_KEY_FILE + 1)])
def test_garbage_key_files(tmp_path: Path, data: bytes) -> None:
    write_secret_file(tmp_path / "bad", data)
    assert _code(load_key, tmp_path / "bad", "ed25519") == "format"


def test_keys_from_known_secrets() -> None:
    assert KeyPair("ed25519", ed25519.public_key(KEY.secret), KEY.secret) == KEY
    assert _code(key_from_secret, "bls12-381", bytes(32)) == "secret"
    assert _code(key_from_secret, "x25519", bytes(31)) == "secret"
    assert _code(key_from_secret, "rsa", bytes(32)) == "algorithm"


def _handshake(client: ssl.SSLObject, server: ssl.SSLObject, wires: tuple[ssl.MemoryBIO, ...]) -> None:
    client_in, client_out, server_in, server_out = wires
    waiting = [client, server]
    for _ in range(10):
        for side in list(waiting):
            try:
                side.do_handshake()
                waiting.remove(side)
            except ssl.SSLWantReadError:
                pass
            server_in.write(client_out.read())
            client_in.write(server_out.read())
    assert waiting == []


def test_mutual_tls_with_pinned_certificates(tmp_path: Path) -> None:
    """Two self-signed identities authenticate each other under the strictest checks of the library."""
    contexts = []
    names = ("hospital-a", "insurer-b")
    identities = {name: generate_tls_identity(name) for name in names}
    for side, peer in ((ssl.PROTOCOL_TLS_SERVER, 0), (ssl.PROTOCOL_TLS_CLIENT, 1)):
        own, other = identities[names[peer]], identities[names[1 - peer]]
        write_secret_file(tmp_path / f"{peer}.key", own.key_pem)
        (tmp_path / f"{peer}.crt").write_bytes(own.certificate_pem)
        context = ssl.SSLContext(side)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.load_cert_chain(tmp_path / f"{peer}.crt", tmp_path / f"{peer}.key")
        context.load_verify_locations(cadata=other.certificate_pem.decode())
        context.verify_mode = ssl.CERT_REQUIRED
        context.verify_flags |= ssl.VERIFY_X509_STRICT
        contexts.append(context)
    wires = tuple(ssl.MemoryBIO() for _ in range(4))
    server = contexts[0].wrap_bio(wires[2], wires[3], server_side=True)
    client = contexts[1].wrap_bio(wires[0], wires[1], server_hostname="hospital-a")
    _handshake(client, server, wires)
    seen = server.getpeercert(binary_form=True)
    assert seen is not None
    assert spki_hash(seen) == spki_hash(certificate_der(identities["insurer-b"].certificate_pem))


def test_spki_hash_depends_on_the_key_alone() -> None:
    one, two = generate_tls_identity("same"), generate_tls_identity("same")
    assert spki_hash(certificate_der(one.certificate_pem)) != spki_hash(certificate_der(two.certificate_pem))


@pytest.mark.parametrize("data", [b"", b"garbage", b"-----BEGIN CERTIFICATE-----\n!!\n-----END CERTIFICATE-----"])
def test_garbage_certificates(data: bytes) -> None:
    assert _code(spki_hash, data) == "format"
    assert _code(certificate_der, data) == "format"
