"""Signed notes, checkpoints and submissions: known vectors of other implementations, and every way to be wrong."""

import base64
import hashlib

import pytest

from ledger.bundles import decode_entries, encode_entries
from ledger.checkpoints import (
    ORIGIN_PREFIX,
    Checkpoint,
    Submission,
    encode_submission,
    note_key,
    origin_of,
    parse_checkpoint,
    parse_submission,
    sign_checkpoint,
)
from ledger.crypto import ed25519
from ledger.errors import DecodeError, InvalidProof, LedgerError, SignatureError
from ledger.merkle import EMPTY_ROOT, Log, leaf_hash
from ledger.notes import (
    COSIGNATURE,
    ED25519,
    MAX_NOTE_BYTES,
    MAX_SIGNATURES,
    Note,
    NoteSignature,
    VerifierKey,
    cosign_text,
    cosigned_message,
    decode_base64,
    encode_note,
    parse_note,
    parse_signature_line,
    parse_vkey,
    sign_text,
    verify_note,
    with_signatures,
)

PETER_VKEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
PETER_SEED = base64.b64decode("AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz")[1:]
PETER_TEXT = b"If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
PETER_LINE = (
    "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM="
)
"""Key, text and signature that the tests of golang.org/x/mod/sumdb/note hold."""
SOFA = """example.com/behind-the-sofa
20852163
CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=

— example.com/behind-the-sofa \
Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=
— witness.example.com/w1 \
jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA==
""".encode()
"""The example of C2SP tlog-cosignature."""
SEED, WITNESS_SEED = b"\x01" * 32, b"\x02" * 32
LOG = Log(leaf_hash(bytes((number,))) for number in range(7))
CHECKPOINT = Checkpoint("claimnode.example/test/00", 7, LOG.root())
WITNESS = VerifierKey("witness.example/w", COSIGNATURE, ed25519.public_key(WITNESS_SEED))
LOG_KEY = VerifierKey(CHECKPOINT.origin, ED25519, ed25519.public_key(SEED))


def signed() -> Note:
    note = sign_checkpoint(CHECKPOINT, SEED)
    return with_signatures(note, [cosign_text(note.text, WITNESS.name, WITNESS_SEED, 1_679_315_147)])


def test_a_note_of_another_implementation_is_parsed_verified_and_made_again() -> None:
    data = PETER_TEXT + b"\n" + PETER_LINE.encode() + b"\n"
    note, key = parse_note(data), parse_vkey(PETER_VKEY)
    assert verify_note(note, [key])[0].key == key
    assert key.vkey == PETER_VKEY
    assert encode_note(Note(PETER_TEXT, (sign_text(PETER_TEXT, "PeterNeumann", PETER_SEED),))) == data


def test_the_specification_s_own_checkpoint_is_read_and_spelt_the_same() -> None:
    note = parse_note(SOFA)
    assert encode_note(note) == SOFA
    found = parse_checkpoint(note.text)
    assert (found.origin, found.size, found.text) == ("example.com/behind-the-sofa", 20_852_163, note.text)
    time_s = int.from_bytes(note.signatures[1].signature[:8], "big")
    assert cosigned_message(note.text, time_s).startswith(b"cosignature/v1\ntime 1679315147\nexample.com/")


def test_key_ids_are_the_hash_of_name_kind_and_key() -> None:
    for key in (WITNESS, LOG_KEY):
        material = key.name.encode() + b"\x0a" + bytes((key.kind,)) + key.public
        assert key.key_id == hashlib.sha256(material).digest()[:4]
        assert parse_vkey(key.vkey) == key


def test_log_and_witness_verify_side_by_side() -> None:
    found = verify_note(parse_note(encode_note(signed())), [LOG_KEY, WITNESS])
    assert [(item.key, item.time_s) for item in found] == [(LOG_KEY, None), (WITNESS, 1_679_315_147)]


def test_lines_of_unknown_keys_prove_nothing_and_harm_nothing() -> None:
    stranger = NoteSignature(WITNESS.name, b"\x00" * 4, b"junk")
    note = with_signatures(signed(), [stranger])
    assert len(verify_note(note, [WITNESS])) == 1
    with pytest.raises(SignatureError) as caught:
        verify_note(note, [parse_vkey(PETER_VKEY)])
    assert caught.value.code == "unsigned"
    with pytest.raises(SignatureError):
        verify_note(note, [])


def test_a_false_line_of_a_known_key_spoils_the_note() -> None:
    good = signed()
    false = NoteSignature(WITNESS.name, WITNESS.key_id, bytes(8) + good.signatures[1].signature[8:])
    for lines in ((good.signatures[0], false), (*good.signatures, false)):
        with pytest.raises(SignatureError) as caught:
            verify_note(Note(good.text, lines), [LOG_KEY, WITNESS])
        assert caught.value.code == "bad_signature"


def test_a_cosignature_binds_its_time_and_its_kind() -> None:
    line = signed().signatures[1]
    later = NoteSignature(line.name, line.key_id, (1_679_315_148).to_bytes(8, "big") + line.signature[8:])
    with pytest.raises(SignatureError):
        verify_note(Note(CHECKPOINT.text, (later,)), [WITNESS])
    as_log = VerifierKey(WITNESS.name, ED25519, WITNESS.public)
    plain = NoteSignature(as_log.name, as_log.key_id, line.signature[8:])
    with pytest.raises(SignatureError):
        verify_note(Note(CHECKPOINT.text, (plain,)), [as_log])


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "note"),
        (b"text\n", "note"),
        (b"text\n\n", "note"),
        (PETER_TEXT + b"\n" + PETER_LINE.encode(), "note"),
        (PETER_TEXT + b"\n" + PETER_LINE.replace("—", "-").encode() + b"\n", "note"),
        (PETER_TEXT + b"\r\n\n" + PETER_LINE.encode() + b"\n", "note"),
        (b"\xff\n\n" + PETER_LINE.encode() + b"\n", "note"),
        (PETER_TEXT + b"\n" + PETER_LINE.replace("nAM=", "nAN=").encode() + b"\n", "base64"),
        (PETER_TEXT + b"\n" + PETER_LINE.replace("nAM=", "nAM").encode() + b"\n", "base64"),
        (PETER_TEXT + b"\n" + PETER_LINE.replace("Neumann", "+Neumann").encode() + b"\n", "key_name"),
        (PETER_TEXT + b"\n" + PETER_LINE.replace("Neumann", "\u2028N").encode() + b"\n", "key_name"),
        (PETER_TEXT + b"\n" + "—  x08go/ZJkg==\n".encode(), "key_name"),
        (PETER_TEXT + b"\n" + "— a x08gow==\n".encode(), "note"),
        (PETER_TEXT + b"\n" + (PETER_LINE + "\n").encode() * (MAX_SIGNATURES + 1), "too_large"),
        (b"x\n" * 65 + b"\n" + PETER_LINE.encode() + b"\n", "too_large"),
        (b"x" * (MAX_NOTE_BYTES + 1), "too_large"),
    ],
)
def test_what_is_no_note_is_refused(data: bytes, code: str) -> None:
    with pytest.raises(DecodeError) as caught:
        parse_note(data)
    assert caught.value.code == code


def test_sixteen_signatures_are_always_taken() -> None:
    line = NoteSignature("post.quantum.example", b"\x00" * 4, b"s" * 4_700)
    assert len(parse_note(encode_note(Note(b"x\n", (line,) * 16))).signatures) == 16


@pytest.mark.parametrize(
    "vkey",
    [
        PETER_VKEY.replace("c74f20a3", "c74f20a4"),
        PETER_VKEY.replace("c74f20a3", "C74F20A3"),
        PETER_VKEY.replace("PeterNeumann", "Peter Neumann"),
        PETER_VKEY[:-4],
        "PeterNeumann+173116ae+ZRpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
        "",
        "a+b",
        PETER_VKEY + "+",
        VerifierKey("identity", ED25519, b"\x01" + bytes(31)).vkey,
    ],
)
def test_what_is_no_verifier_key_is_refused(vkey: str) -> None:
    with pytest.raises(LedgerError):
        parse_vkey(vkey)


def test_a_checkpoint_has_one_spelling() -> None:
    text = CHECKPOINT.text
    assert text == f"{CHECKPOINT.origin}\n7\n{base64.b64encode(LOG.root()).decode()}\n".encode()
    assert parse_checkpoint(text) == CHECKPOINT
    extended = parse_checkpoint(text + b"other line\n")
    assert extended.extensions == ("other line",)
    assert extended.text == text + b"other line\n"
    for bad in (
        text[:-1],
        text + b"\n",
        text.replace(b"\n7\n", b"\n07\n"),
        text.replace(b"\n7\n", b"\n+7\n"),
        text.replace(b"\n7\n", b"\n7 \n"),
        text.replace(b"\n7\n", b"\n9007199254740992\n"),
        text.replace(b"\n7\n", b"\n0\n"),
        text.replace(b"\n7\n", "\n\u0667\n".encode()),
        b"origin\n7\n",
        b"\n" + text,
        f"o\n7\n{base64.b64encode(bytes(31)).decode()}\n".encode(),
    ):
        with pytest.raises(DecodeError):
            parse_checkpoint(bad)
    assert parse_checkpoint(Checkpoint("o", 0, EMPTY_ROOT).text).size == 0


def test_the_origin_follows_from_the_genesis_and_can_be_a_key_name() -> None:
    chains = [hashlib.sha256(name).digest() for name in (b"one", b"two")]
    origins = {origin_of("demo", chain) for chain in chains} | {origin_of("other", chains[0])}
    assert len(origins) == 3
    for origin in origins:
        assert origin.startswith(ORIGIN_PREFIX + "/")
        key = VerifierKey(origin, ED25519, LOG_KEY.public)
        assert parse_vkey(key.vkey) == key
    assert note_key("demo", chains[0], LOG_KEY.public).name == origin_of("demo", chains[0])


def test_a_submission_is_old_size_proof_and_note() -> None:
    submission = Submission(3, tuple(LOG.consistency_proof(3)), signed())
    data = encode_submission(submission)
    assert data.startswith(b"old 3\n")
    assert parse_submission(data) == submission
    assert parse_submission(encode_submission(Submission(0, (), signed()))).proof == ()


@pytest.mark.parametrize(
    "change",
    [
        lambda data: data.replace(b"old 3", b"old 03"),
        lambda data: data.replace(b"old 3", b"old"),
        lambda data: data.replace(b"old 3\n", b"old 3\nAAAA\n"),
        lambda data: data.replace(b"=\n", b"\n", 1),
        lambda data: data.replace(b"old 3\n", b"old 3\n" + (base64.b64encode(bytes(32)) + b"\n") * 64),
        lambda data: data + b"x" * 2**18,
        lambda data: b"",
    ],
)
def test_what_is_no_submission_is_refused(change: object) -> None:
    data = encode_submission(Submission(3, tuple(LOG.consistency_proof(3)), signed()))
    with pytest.raises(DecodeError):
        parse_submission(change(data))  # type: ignore[operator]


def test_entry_bundles_are_length_and_bytes() -> None:
    entries = (b"", b"one", b"x" * 65_535)
    data = encode_entries(entries)
    assert data.startswith(b"\x00\x00\x00\x03one\xff\xff")
    assert decode_entries(data) == entries
    for bad in (data[:-1], b"\x00", b"\x00\x00" * 257):
        with pytest.raises(InvalidProof):
            decode_entries(bad)
    with pytest.raises(InvalidProof):
        encode_entries([b"x" * 65_536])


def test_lines_are_read_alone_too() -> None:
    line = signed().signatures[1]
    assert parse_signature_line(line.line) == line
    with pytest.raises(DecodeError):
        decode_base64("YR==")
