"""Decoders of node/ for what other nodes send and for what the vault keeps: frames, ranges, parcels, messages."""

from typing import Any

from contracts.tokens import ACKNOWLEDGEMENT_TYPE, CONSENT_TYPE, REVOCATION_TYPE
from ledger.blocks import encode_block
from ledger.certificates import encode_certificate
from ledger.crypto.envelopes import ciphertext_digest, encode_envelope
from ledger.encoding import convert, decode, decode_as, encode
from ledger.errors import DecodeError, InvalidBlock, InvalidCertificate
from ledger.merkle import leaf_hash
from ledger.parts import join_parts, split_parts
from node.agents import messages
from node.agents.mailroom import RelayRefused, _body_of
from node.backups.archive import KIND, FileEntry, Manifest, Scrypt, Subject, decode_manifest
from node.backups.sealing import decode_keys
from node.errors import SnapshotRefused
from node.ordering.blocksync import VIEW_BYTES, RangeRequest, check_range
from node.ordering.gossip import MAX_BATCH
from node.ordering.neighbours import Status
from node.peers.errors import PeerError
from node.peers.frames import (
    Frame,
    Kind,
    Lane,
    decode_frame,
    encode_answer,
    encode_hello,
    encode_message,
    encode_refusal,
    encode_request,
)
from node.peers.hello import build_hello, check_hello
from node.snapshots.chunks import decode_blocks, decode_rows, encode_row
from node.vault.blobs import BlobStore
from node.vault.delivery import _Pull
from node.vault.errors import ParcelRefused, VaultError
from node.vault.parcels import Parcel, ParcelHeader, decode_parcel, encode_parcel
from node.vault.sealing import Sealer
from tests.fuzz import samples
from tests.fuzz.checking import Decoder
from tests.fuzz.mutations import Sample, around
from tests.support.ledger_source import certify

ID = "ab" * 32
SEALER = Sealer(b"k" * 32)
FILE_MESSAGE = 100_000
"""A file of an operator may have many faults, all of which are named."""


def _encode_frame(frame: Frame) -> bytes:
    match frame.kind:
        case Kind.HELLO:
            return encode_hello(frame.payload)
        case Kind.MESSAGE:
            return encode_message(frame.lane, frame.payload)
        case Kind.REQUEST:
            return encode_request(frame.request_id, frame.name, frame.payload)
        case Kind.ANSWER:
            return encode_answer(frame.request_id, frame.payload)
        case Kind.REFUSAL:
            return encode_refusal(frame.request_id, frame.name)


def _frames() -> list[Sample]:
    found = [encode_message(Lane.CONSENSUS, b"vote"), encode_request(7, "blocks", b"{}"), encode_answer(7, b"x" * 40)]
    return [Sample(item) for item in (*found, encode_refusal(7, "busy"), encode_hello(b"{}"))]


def _backups() -> list[Sample]:
    subject = Subject("test.claims", ID, "tpa", 7, ID, ("ab" * 8,))
    names = ("data/ledger.db", "data/vault/vault.db", "genesis.json", "keys.sealed", "node.toml")
    files = tuple(FileEntry(name, 10, ID) for name in names)
    return [Sample(encode(Manifest(1, KIND, subject, Scrypt(17, 8, 1, ID, "ab" * 12), files)))]


def _hellos() -> list[Sample]:
    hello = build_hello(b"c" * 32, "tpa")
    return [around(hello[6:], encode_hello)]


def _range_samples() -> list[Sample]:
    """Blocks with their certificate; in the later ones the certificate or the first header is foreign."""
    network = samples.story().network
    blocks = network.blocks[:3]
    certificate = encode_certificate(certify(network, blocks[-1].header_hash))
    parts = [(5 + at).to_bytes(VIEW_BYTES, "big") + encode_block(item.block) for at, item in enumerate(blocks)]
    first = blocks[0].block
    rest = encode_block(first)[4 + len(encode(first.header)) :]

    def with_header(doc: bytes) -> bytes:
        return join_parts([certificate, parts[0][:VIEW_BYTES] + samples.before(rest)(doc), *parts[1:]])

    return [
        around(certificate, lambda doc: join_parts([doc, *parts])),
        around(encode(first.header), with_header),
    ]


def _snapshot_rows() -> list[Sample]:
    """Rows as a snapshot carries them; in the later samples one entry is foreign."""
    found = []
    for block in samples.story().network.blocks[:3]:
        entries = {leaf_hash(entry): entry for entry in block.entries}
        found += [(key, entries[item.entry], item.value) for key, item in block.changes.items() if item.value]
    key, entry, value = found[0]
    whole = b"".join(encode_row(*row) for row in found)
    return [Sample(whole), around(entry, lambda doc: encode_row(key, doc, value))]


def _snapshot_blocks() -> list[Sample]:
    return [Sample(join_parts([encode_block(item.block) for item in samples.story().network.blocks[:3]]))]


def _parcels() -> list[Sample]:
    envelope = samples.envelope()
    header = encode(ParcelHeader("decision", ID, None))
    whole = encode_parcel(Parcel("decision", ID, None, envelope))
    return [around(header, samples.before(whole[4 + len(header) :])), Sample(whole)]


def _open_blob(data: bytes) -> Any:
    digest = ciphertext_digest(samples.envelope())
    blobs = BlobStore(samples.folder() / "blobs", durable=False)
    path = samples.folder() / "blobs" / digest[:2] / digest
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(data)
    return blobs.get(digest)


def _message(kind: type, value: dict[str, Any]) -> Decoder:
    name = f"node.agents.messages:{kind.__name__}"
    return Decoder(
        name, lambda data: convert(decode(data), kind), lambda: samples.values(value), (DecodeError,), encode, weight=2
    )


NODE = (
    Decoder("node.peers.frames:decode_frame", decode_frame, _frames, (PeerError,), _encode_frame, weight=12),
    Decoder("node.peers.hello:check_hello", lambda data: check_hello(data, b"c" * 32, "tpa"), _hellos, (PeerError,)),
    Decoder(
        "node.ordering.blocksync:check_range",
        lambda data: check_range(data, 0, *samples.range_trust()),
        _range_samples,
        (DecodeError, InvalidBlock, InvalidCertificate),
        weight=8,
    ),
    Decoder(
        "node.snapshots.chunks:decode_rows",
        lambda data: list(decode_rows(data)),
        _snapshot_rows,
        (SnapshotRefused,),
        weight=4,
    ),
    Decoder(
        "node.backups.archive:decode_manifest", decode_manifest, _backups, (SnapshotRefused,), encode=encode, weight=1
    ),
    Decoder(
        "node.backups.sealing:decode_keys",
        decode_keys,
        lambda: [Sample(encode({"files": {"note.json": "e30=", "vault.key": "AAAA"}}))],
        (SnapshotRefused,),
        weight=1,
    ),
    Decoder(
        "node.snapshots.chunks:decode_blocks",
        lambda data: list(decode_blocks(data)),
        _snapshot_blocks,
        (SnapshotRefused,),
        weight=2,
    ),
    Decoder(
        "node.ordering.blocksync:RangeRequest",
        lambda data: decode_as(data, RangeRequest, limit=200),
        lambda: samples.values(RangeRequest(7)),
        (DecodeError,),
        encode,
    ),
    Decoder(
        "node.ordering.neighbours:Status",
        lambda data: decode_as(data, Status),
        lambda: samples.values(Status(7, 1_700_000_000_000, "{}")),
        (DecodeError,),
        encode,
    ),
    Decoder(
        "node.ordering.gossip:receive",
        lambda data: split_parts(data, most=MAX_BATCH),
        lambda: [Sample(join_parts(samples.transactions())), Sample(join_parts([b""] * 400))],
        (DecodeError,),
        join_parts,
        weight=8,
    ),
    Decoder(
        "node.vault.delivery:_Pull",
        lambda data: decode_as(data, _Pull),
        lambda: samples.values(_Pull("record", ID)),
        (DecodeError,),
        encode,
    ),
    Decoder("node.vault.parcels:decode_parcel", decode_parcel, _parcels, (ParcelRefused,), encode_parcel),
    Decoder(
        "node.vault.blobs:get",
        _open_blob,
        lambda: [Sample(encode_envelope(samples.envelope()))],
        (VaultError,),
        weight=1,
    ),
    Decoder(
        "node.vault.sealing:open",
        lambda data: SEALER.open("policy/1", data),
        lambda: [Sample(SEALER.seal("policy/1", {"a": [1]}))],
        (VaultError,),
        weight=1,
    ),
    _message(messages.VerdictMessage, {"record_id": ID, "codes": ["V01"]}),
    _message(messages.PoolMessage, {"pool": {}, "locks": {"a": {"nullifier": ID, "signature": "00"}}}),
    _message(
        messages.SignaturesMessage,
        {
            "claim_id": ID,
            "key_id": "ab" * 16,
            "statements": {"ab" * 16: ID},
            "signatures": {"ab" * 16: "ab" * 64},
            "codes": [],
        },
    ),
    _message(messages.ClosingMessage, {"claim_id": ID, "nonce": "ab" * 16, "expires_ms": 5}),
    _message(messages.ClosureMessage, {"core_hash": ID, "key_id": "ab" * 16, "signature": "", "code": "ok"}),
    Decoder(
        "node.agents.mailroom:_body_of",
        lambda data: _body_of(data.decode("utf-8", "replace")),
        lambda: [
            sample
            for kind in (CONSENT_TYPE, REVOCATION_TYPE, ACKNOWLEDGEMENT_TYPE)
            for sample in samples.token_samples(kind)
        ],
        (RelayRefused,),
    ),
)
