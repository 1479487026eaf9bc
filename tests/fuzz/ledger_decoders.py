"""Decoders of ledger/: what peers, members and this node's own disk hand in."""

from functools import cache
from typing import Any

import msgspec

from ledger import storetables
from ledger.blocks import decode_block, encode_block
from ledger.certificates import (
    Certificate,
    ValidatorSet,
    Vote,
    check_certificate,
    decode_certificate,
    encode_certificate,
    signers_of,
    verify_vote,
)
from ledger.crypto import bls, ed25519
from ledger.crypto.envelopes import decode_envelope, encode_envelope, open_envelope
from ledger.crypto.keys import _KeyFile, certificate_der, generate_tls_identity, load_key, read_secret_file, spki_hash
from ledger.crypto.wrapping import X25519, unwrap_key, wrap_key, wrap_public_key
from ledger.encoding import decode, decode_as, encode
from ledger.errors import (
    DecodeError,
    EnvelopeError,
    InvalidBlock,
    InvalidCertificate,
    InvalidProof,
    InvalidTransaction,
    KeyFileError,
    SignatureError,
    StoreError,
)
from ledger.logtiles import TILE_WIDTH, parse_tile_number, spell_index
from ledger.mappages import build_map, decode_page
from ledger.mapproofs import MapProof, decode_map_proof, encode_map_proof, verify_map_proof
from ledger.merkle import Log, leaf_hash, verify_consistency, verify_inclusion
from ledger.parts import join_parts, split_parts
from ledger.state import Versioned, map_key
from ledger.transactions import decode_transaction, verify_transaction
from tests.fuzz import samples
from tests.fuzz.checking import Decoder
from tests.fuzz.mutations import Sample
from tests.support.network_builder import make_hex

LEAVES = [leaf_hash(bytes((number,))) for number in range(5)]


def _verified_transaction(data: bytes) -> Any:
    signed = decode_transaction(data)
    verify_transaction(signed, samples.story().network.resolve)
    return signed


def _certificate(kind: str = "finalize") -> Certificate:
    return samples.core().certificate(kind, 2, 1)  # type: ignore[arg-type]


def _checked_certificate(data: bytes) -> Any:
    certificate = decode_certificate(data)
    signers_of(certificate)
    check_certificate(certificate, samples.core().validators)
    return certificate


def _checked_vote(data: bytes) -> Vote:
    core = samples.core()
    vote = decode_as(data, Vote)
    validators: ValidatorSet = core.validators
    verify_vote(vote, validators, core.config.chain, core.config.scheme)
    return vote


def _parts() -> list[Sample]:
    return [Sample(join_parts([b"one", b"", b"three" * 9])), Sample(join_parts([b"a"] * 40))]


@cache
def _pages() -> list[tuple[bytes, bytes, bytes]]:
    """(path, digest, bytes) of every page of a small state map, the root's last."""
    found: list[tuple[bytes, bytes, bytes]] = []
    leaves = sorted((map_key(f"claim/{number}"), bytes((number,)) * 32) for number in range(40))
    build_map(leaves, lambda path, node, page: found.append((path, node[0], page)), lambda path: b"")
    return found


def _root_page(data: bytes) -> Any:
    path, digest, _ = _pages()[-1]
    return decode_page(path, digest, data)


def _changes() -> list[Sample]:
    values = {"claim/" + "ab" * 32: Versioned(3, b"e" * 32, b"{}"), "case/x": Versioned(1, b"f" * 32, None)}
    return [Sample(storetables.encode_changes(values))]


def _map_proofs() -> list[MapProof]:
    state = samples.story().network.state
    return [state.state_map.prove(map_key(key)) for key in ("participant/tpa", "claim/absent", "case/absent")]


def _checked_map_proof(data: bytes) -> MapProof:
    """As a dossier carries it: closed form, then the check against a root."""
    proof = decode_as(data, MapProof)
    verify_map_proof(samples.story().network.state.state_map.root, map_key("claim/absent"), None, proof)
    return proof


class _Path(msgspec.Struct, forbid_unknown_fields=True):
    """A log proof as JSON carries it."""

    index: int
    size: int
    path: tuple[str, ...]
    root: str


def _inclusion(data: bytes) -> Any:
    found = decode_as(data, _Path)
    try:
        path, root = [bytes.fromhex(item) for item in found.path], bytes.fromhex(found.root)
    except ValueError:
        raise DecodeError("schema", "no hexadecimal") from None
    verify_inclusion(LEAVES[2], found.index, found.size, path, root)
    return found


def _consistency(data: bytes) -> Any:
    found = decode_as(data, _Path)
    try:
        path, root = [bytes.fromhex(item) for item in found.path], bytes.fromhex(found.root)
    except ValueError:
        raise DecodeError("schema", "no hexadecimal") from None
    verify_consistency(found.index, found.size, Log(LEAVES[:2]).root(), root, path)
    return found


def _paths() -> list[Sample]:
    log = Log(LEAVES)
    return samples.values(_Path(2, 5, tuple(item.hex() for item in log.inclusion_proof(2)), log.root().hex()))


def _consistency_paths() -> list[Sample]:
    log = Log(LEAVES)
    return samples.values(_Path(2, 5, tuple(item.hex() for item in log.consistency_proof(2)), log.root().hex()))


def _load_key(data: bytes) -> Any:
    path = samples.folder() / "key"
    path.unlink(missing_ok=True)
    path.touch(mode=0o600)
    path.write_bytes(data)
    read_secret_file(path)
    return load_key(path, "ed25519")


def _key_files() -> list[Sample]:
    seed = make_hex("key file")
    public = ed25519.public_key(bytes.fromhex(seed)).hex()
    return samples.values(_KeyFile(1, "ed25519", public, seed))


def _public_key(data: bytes) -> Any:
    ed25519.check_public_key(data[:32])
    ed25519.verify(data[:32], b"message", data[32:])
    return data


def _bls_key(data: bytes) -> Any:
    bls.verify_possession(data[:48], data[48:])
    return data


def _keys() -> list[Sample]:
    seed = bytes.fromhex(make_hex("key"))
    return [
        Sample(ed25519.public_key(seed) + ed25519.sign(seed, b"message")),
        Sample(bytes(96)),
        Sample(b"\x01" + bytes(95)),
    ]


def _bls_keys() -> list[Sample]:
    secret = bls.secret_key_from_seed(bytes(32))
    return [
        Sample(bls.public_key(secret) + bls.prove_possession(secret)),
        Sample(b"\xc0" + bytes(47) + b"\xc0" + bytes(95)),
    ]


def _wraps() -> list[Sample]:
    return [Sample(wrap_key(X25519, b"k" * 32, wrap_public_key(X25519, samples.SECRET), b"context"))]


def _certificates_pem() -> list[Sample]:
    return [Sample(generate_tls_identity("fuzz").certificate_pem)]


CERTIFICATE_ERRORS = (DecodeError, InvalidCertificate)


def _tile_path(data: bytes) -> tuple[int, int]:
    return parse_tile_number(data.decode("latin-1"))


def _spell_tile(found: tuple[int, int]) -> bytes:
    index, width = found
    return (spell_index(index) + (f".p/{width}" if width < TILE_WIDTH else "")).encode()


LEDGER = (
    Decoder(
        "ledger.logtiles:parse_tile_number",
        _tile_path,
        lambda: [Sample(b"x001/x234/067"), Sample(b"x001/234.p/17"), Sample(b"000.p/255")],
        (InvalidProof,),
        _spell_tile,
    ),
    Decoder(
        "ledger.mappages:decode_page",
        _root_page,
        lambda: [Sample(page) for _, _, page in reversed(_pages())],
        (StoreError,),
        weight=1,
    ),
    Decoder("ledger.encoding:decode", decode, samples.transaction_samples, (DecodeError,), encode, weight=12),
    Decoder(
        "ledger.encoding:decode_as",
        lambda data: decode_as(data, MapProof),
        lambda: samples.values(*_map_proofs()),
        (DecodeError,),
        encode,
    ),
    Decoder(
        "ledger.parts:split_parts",
        lambda data: split_parts(data, most=64),
        _parts,
        (DecodeError,),
        join_parts,
        weight=12,
    ),
    Decoder(
        "ledger.transactions:decode_transaction",
        decode_transaction,
        samples.transaction_samples,
        (DecodeError, InvalidTransaction),
        lambda signed: encode(signed.content),
        weight=12,
    ),
    Decoder(
        "ledger.transactions:verify_transaction",
        _verified_transaction,
        samples.transaction_samples,
        (DecodeError, InvalidTransaction),
        None,
        weight=2,
    ),
    Decoder(
        "ledger.blocks:decode_block",
        decode_block,
        samples.block_samples,
        (DecodeError, InvalidBlock),
        encode_block,
        weight=12,
    ),
    Decoder(
        "ledger.certificates:decode_certificate",
        decode_certificate,
        lambda: samples.values(_certificate(), _certificate("notarize")),
        (DecodeError,),
        encode_certificate,
        weight=12,
    ),
    Decoder(
        "ledger.certificates:check_certificate",
        _checked_certificate,
        lambda: samples.values(_certificate(), _certificate("nullify")),
        CERTIFICATE_ERRORS,
        encode_certificate,
        weight=12,
    ),
    Decoder(
        "ledger.certificates:verify_vote",
        _checked_vote,
        lambda: samples.values(samples.core().vote(1, "notarize", 3, 2)),
        CERTIFICATE_ERRORS,
        encode,
    ),
    Decoder(
        "ledger.mapproofs:decode_map_proof",
        decode_map_proof,
        lambda: [Sample(encode_map_proof(item)) for item in _map_proofs()],
        (InvalidProof,),
        encode_map_proof,
        weight=12,
    ),
    Decoder(
        "ledger.mapproofs:verify_map_proof",
        _checked_map_proof,
        lambda: samples.values(_map_proofs()[1]),
        (DecodeError, InvalidProof),
        encode,
        weight=4,
    ),
    Decoder("ledger.merkle:verify_inclusion", _inclusion, _paths, (DecodeError, InvalidProof)),
    Decoder("ledger.merkle:verify_consistency", _consistency, _consistency_paths, (DecodeError, InvalidProof)),
    Decoder(
        "ledger.crypto.envelopes:decode_envelope",
        decode_envelope,
        samples.envelope_samples,
        (EnvelopeError,),
        encode_envelope,
        weight=4,
    ),
    Decoder(
        "ledger.crypto.envelopes:open_envelope",
        lambda data: open_envelope(decode_envelope(data), samples.SECRET),
        samples.content_samples,
        (EnvelopeError,),
        None,
        weight=1,
    ),
    Decoder(
        "ledger.crypto.wrapping:unwrap_key",
        lambda data: unwrap_key(X25519, data, samples.SECRET, b"context"),
        _wraps,
        (EnvelopeError,),
        None,
        weight=2,
    ),
    Decoder("ledger.crypto.keys:load_key", _load_key, _key_files, (KeyFileError,), None, weight=1),
    Decoder(
        "ledger.crypto.keys:certificate_der",
        lambda data: spki_hash(certificate_der(data)),
        _certificates_pem,
        (KeyFileError,),
        None,
        weight=2,
    ),
    Decoder("ledger.crypto.ed25519:check_public_key", _public_key, _keys, (SignatureError,), None, weight=2),
    Decoder("ledger.crypto.bls:verify_possession", _bls_key, _bls_keys, (SignatureError,), None, weight=1),
    Decoder("ledger.storetables:decode_changes", storetables.decode_changes, _changes, (StoreError,), None, weight=1),
    Decoder(
        "ledger.storetables:open_parts", storetables.open_parts, _parts, (StoreError,), storetables.join_parts, weight=1
    ),
)
