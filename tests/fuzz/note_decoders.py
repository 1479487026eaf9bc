"""Decoders of signed notes, checkpoints and what witnesses are sent: text from anybody who finds the port."""

from typing import Any

from ledger.bundles import decode_entries, encode_entries
from ledger.checkpoints import (
    Checkpoint,
    Submission,
    encode_submission,
    parse_checkpoint,
    parse_submission,
    sign_checkpoint,
)
from ledger.crypto import ed25519
from ledger.encoding import encode
from ledger.errors import DecodeError, InvalidProof, SignatureError
from ledger.merkle import Log, leaf_hash
from ledger.notes import (
    COSIGNATURE,
    Note,
    VerifierKey,
    cosign_text,
    decode_base64,
    encode_base64,
    encode_note,
    parse_note,
    parse_signature_line,
    parse_vkey,
    verify_note,
    with_signatures,
)
from node.witnessing.collector import parse_cosignature
from node.witnessing.evidence import decode_conflict
from node.witnessing.witness import Conflict, Record, Settings, decode_record, decode_settings
from tests.fuzz import samples
from tests.fuzz.checking import Decoder
from tests.fuzz.mutations import Sample

SEED = b"s" * 32
LOG = Log(leaf_hash(bytes((number,))) for number in range(5))
CHECKPOINT = Checkpoint("claimnode.example/fuzz/00", 5, LOG.root())
KEY = VerifierKey("witness.example/w", COSIGNATURE, ed25519.public_key(SEED))


def _note() -> Note:
    note = sign_checkpoint(CHECKPOINT, SEED)
    return with_signatures(note, [cosign_text(note.text, KEY.name, SEED, 1_700_000_000)])


def _verified(data: bytes) -> Any:
    note = parse_note(data)
    verify_note(note, [KEY])
    return note


def _line(data: bytes) -> Any:
    # bytes that are no UTF-8 are refused a level above
    return parse_signature_line(data.decode("utf-8", "replace"))


def _vkey(data: bytes) -> Any:
    return parse_vkey(data.decode("latin-1"))


def _answer() -> bytes:
    return (_note().signatures[1].line + "\n").encode()


NOTES = (
    Decoder(
        "node.witnessing.collector:parse_cosignature",
        lambda data: parse_cosignature(data, sign_checkpoint(CHECKPOINT, SEED), KEY),
        lambda: [Sample(_answer())],
        (DecodeError, SignatureError),
        None,
    ),
    Decoder(
        "node.witnessing.witness:decode_settings",
        decode_settings,
        lambda: samples.values(Settings(1, "witness.example/w", ("a+00000000+AA==",))),
        (DecodeError,),
        encode,
        weight=1,
    ),
    Decoder(
        "node.witnessing.witness:decode_record",
        decode_record,
        lambda: samples.values(Record(1, CHECKPOINT.origin, 5, encode_note(_note()).decode(), 7)),
        (DecodeError,),
        encode,
        weight=1,
    ),
    Decoder(
        "node.witnessing.evidence:decode_conflict",
        decode_conflict,
        lambda: samples.values(Conflict(1, "two_roots", "o", "a", "b", ("ab" * 32,), 7)),
        (DecodeError,),
        encode,
    ),
    Decoder(
        "ledger.bundles:decode_entries",
        decode_entries,
        lambda: [Sample(encode_entries([b"", b"one", b"x" * 300]))],
        (InvalidProof,),
        encode_entries,
    ),
    Decoder(
        "ledger.notes:decode_base64",
        lambda data: decode_base64(data.decode("latin-1")),
        lambda: [Sample(b"PlRNCrwHpqhGrupue0L7gxbjbMiKA9temvuZZDDpkaw="), Sample(b"YQ==")],
        (DecodeError,),
        lambda found: encode_base64(found).encode(),
    ),
    Decoder(
        "ledger.notes:parse_note",
        parse_note,
        lambda: [Sample(encode_note(_note()))],
        (DecodeError,),
        encode_note,
        weight=12,
    ),
    Decoder(
        "ledger.notes:verify_note",
        _verified,
        lambda: [Sample(encode_note(_note()))],
        (DecodeError, SignatureError),
        encode_note,
    ),
    Decoder(
        "ledger.notes:parse_signature_line",
        _line,
        lambda: [Sample(_note().signatures[1].line.encode())],
        (DecodeError,),
        None,
    ),
    Decoder(
        "ledger.notes:parse_vkey",
        _vkey,
        lambda: [Sample(KEY.vkey.encode())],
        (DecodeError, SignatureError),
        lambda key: key.vkey.encode("latin-1"),
    ),
    Decoder(
        "ledger.checkpoints:parse_checkpoint",
        parse_checkpoint,
        lambda: [Sample(CHECKPOINT.text), Sample(CHECKPOINT.text + b"more\n")],
        (DecodeError,),
        lambda found: found.text,
        weight=12,
    ),
    Decoder(
        "ledger.checkpoints:parse_submission",
        parse_submission,
        lambda: [Sample(encode_submission(Submission(3, tuple(LOG.consistency_proof(3)), _note())))],
        (DecodeError,),
        encode_submission,
        weight=12,
    ),
)
