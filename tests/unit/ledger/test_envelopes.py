"""An envelope opens for its recipients and for its own place alone; everything else is one family of errors."""

import contextlib

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.crypto import envelopes, wrapping
from ledger.crypto.envelopes import (
    Envelope,
    add_recipient,
    ciphertext_digest,
    decode_envelope,
    encode_envelope,
    open_envelope,
    seal,
)
from ledger.errors import EnvelopeError

NETWORK, SUBJECT = "north-net", "record:17"
DOCUMENT = b"discharge summary " * 100
SECRETS = [bytes([index]) * 32 for index in range(1, 6)]
PUBLICS = [wrapping.wrap_public_key(wrapping.X25519, secret) for secret in SECRETS]


def _seal(document: bytes = DOCUMENT, recipients: list[bytes] | None = None, suite: int = 1) -> Envelope:
    recipients = PUBLICS[:3] if recipients is None else recipients
    return seal(document, network=NETWORK, subject=SUBJECT, recipients=recipients, suite=suite)


def _code(attempt: object, *arguments: object, **named: object) -> str:
    with pytest.raises(EnvelopeError) as refusal:
        attempt(*arguments, **named)  # type: ignore[operator]
    return refusal.value.code


def _with_header(envelope: Envelope, **changes: object) -> Envelope:
    return Envelope(msgspec.structs.replace(envelope.header, **changes), envelope.ciphertext)


def test_every_recipient_opens_it_and_nobody_else() -> None:
    envelope = decode_envelope(encode_envelope(_seal()))
    assert [open_envelope(envelope, secret) for secret in SECRETS[:3]] == [DOCUMENT] * 3
    assert _code(open_envelope, envelope, SECRETS[3]) == "no_recipient"


def test_hybrid_suite() -> None:
    secrets = [bytes([index]) * 96 for index in (1, 2)]
    publics = [wrapping.wrap_public_key(wrapping.MLKEM768_X25519, secret) for secret in secrets]
    envelope = decode_envelope(encode_envelope(_seal(recipients=publics[:1], suite=2)))
    assert envelope.header.suite == 2
    assert open_envelope(add_recipient(envelope, secrets[0], publics[1]), secrets[1]) == DOCUMENT
    assert _code(open_envelope, envelope, SECRETS[0]) == "bad_key"


def test_adding_a_recipient_keeps_the_digest() -> None:
    envelope = _seal()
    wider = decode_envelope(encode_envelope(add_recipient(envelope, SECRETS[0], PUBLICS[3])))
    assert ciphertext_digest(wider) == ciphertext_digest(envelope)
    assert open_envelope(wider, SECRETS[3]) == DOCUMENT
    assert _code(add_recipient, wider, SECRETS[0], PUBLICS[3]) == "recipients"
    assert _code(add_recipient, envelope, SECRETS[4], PUBLICS[3]) == "no_recipient"


def test_same_document_twice_has_nothing_in_common() -> None:
    one, two = _seal(), _seal()
    assert ciphertext_digest(one) != ciphertext_digest(two)
    assert one.header.key_commitment != two.header.key_commitment
    assert one.ciphertext[:64] != two.ciphertext[:64]


@pytest.mark.parametrize(
    ("size", "padded"), [(0, 2**16), (1, 2**16), (2**16 - 8, 2**16), (2**16 - 7, 2**17), (300_000, 2**19)]
)
def test_size_is_hidden_in_powers_of_two(size: int, padded: int) -> None:
    envelope = _seal(bytes(size), PUBLICS[:1])
    assert envelope.header.size == len(envelope.ciphertext) == padded + 16
    assert open_envelope(envelope, SECRETS[0]) == bytes(size)
    assert str(size).encode() not in encode_envelope(envelope)[: -envelope.header.size] or size < 10


def test_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(envelopes, "MAX_DOCUMENT", 10)
    assert _code(_seal, bytes(11)) == "too_large"
    assert _code(_seal, b"", []) == "recipients"
    assert _code(_seal, b"", [PUBLICS[0], PUBLICS[0]]) == "recipients"
    crowd = [bytes(31) + bytes([index]) for index in range(envelopes.MAX_RECIPIENTS + 1)]
    assert _code(_seal, b"", crowd) == "recipients"


@pytest.mark.parametrize("key", [b"", bytes(31), bytes(33), bytes(32), b"\x01" + bytes(31)])
def test_keys_that_cannot_be_used(key: bytes) -> None:
    assert _code(_seal, b"", [key]) == "bad_key"


def test_secret_of_wrong_length() -> None:
    assert _code(open_envelope, _seal(), bytes(31)) == "bad_key"


@pytest.mark.parametrize("names", [{"network": "Not A Network"}, {"subject": "a b"}, {"subject": ""}])
def test_names_out_of_form(names: dict[str, str]) -> None:
    fields = {"network": NETWORK, "subject": SUBJECT, **names}
    assert _code(seal, b"", recipients=PUBLICS[:1], **fields) == "format"


@pytest.mark.parametrize(
    "change",
    [
        {"network": "south-net"},
        {"subject": "record:18"},
        {"nonce": "00" * 12},
        {"key_commitment": "00" * 32},
    ],
)
def test_another_place_does_not_open(change: dict[str, object]) -> None:
    assert _code(open_envelope, _with_header(_seal(), **change), SECRETS[0]) == "not_authentic"


def test_changed_ciphertext_or_wrap_does_not_open() -> None:
    envelope = _seal()
    changed = bytearray(envelope.ciphertext)
    changed[100] ^= 1
    assert _code(open_envelope, Envelope(envelope.header, bytes(changed)), SECRETS[0]) == "not_authentic"
    first = envelope.header.recipients[0]
    flipped = f"{int(first.wrapped[0], 16) ^ 1:x}" + first.wrapped[1:]
    recipients = (
        msgspec.structs.replace(first, wrapped=flipped),
        *envelope.header.recipients[1:],
    )
    altered = _with_header(envelope, recipients=recipients)
    codes = set()
    for secret in SECRETS[:3]:
        try:
            open_envelope(altered, secret)
        except EnvelopeError as error:
            codes.add(error.code)
    assert codes == {"not_authentic"}


def test_a_wrap_of_another_envelope_does_not_open() -> None:
    one, two = _seal(), _seal()
    swapped = _with_header(one, recipients=two.header.recipients)
    assert _code(open_envelope, swapped, SECRETS[0]) == "not_authentic"


class _NotCommitting:
    """What AES-GCM is for a sender who looks for it: one ciphertext that opens with any key."""

    def __init__(self, _key: bytes) -> None: ...

    def decrypt(self, _nonce: bytes, _data: bytes, _associated: bytes) -> bytes:
        return envelopes._pad(b"another document")


def test_all_recipients_see_the_same_document(monkeypatch: pytest.MonkeyPatch) -> None:
    """A sender who wraps another content key for one recipient is found out by the key commitment."""
    envelope = _seal(recipients=PUBLICS[:2])
    digest = ciphertext_digest(envelope)
    other = envelopes._wrap(1, b"\x07" * 32, PUBLICS[0], NETWORK, SUBJECT, digest)
    kept = [item for item in envelope.header.recipients if item.key_id != other.key_id]
    recipients = tuple(sorted((*kept, other), key=lambda item: item.key_id))
    forged = _with_header(envelope, recipients=recipients)
    assert ciphertext_digest(forged) == digest
    assert _code(open_envelope, forged, SECRETS[0]) == "not_authentic"
    assert open_envelope(forged, SECRETS[1]) == DOCUMENT
    monkeypatch.setattr(envelopes, "AESGCM", _NotCommitting)
    assert _code(open_envelope, forged, SECRETS[0]) == "not_authentic"


@pytest.mark.parametrize("field", ["nonce", "key_commitment"])
def test_the_digest_covers_what_decides_the_document(field: str) -> None:
    envelope = _seal()
    changed = _with_header(envelope, **{field: "00" * (len(getattr(envelope.header, field)) // 2)})
    assert ciphertext_digest(changed) != ciphertext_digest(envelope)


@pytest.mark.parametrize("content", [b"", b"\xff" * 8, (2**15).to_bytes(8, "big") + b"\x01" * 2**16])
def test_padding_that_hides_something(content: bytes) -> None:
    """A sender could make two plaintexts of one document, or carry a message in the zeros."""
    padded = content.ljust(2**16, b"\x01")[: 2**16]
    with pytest.raises(EnvelopeError) as refusal:
        envelopes._unpad(padded)
    assert refusal.value.code == "padding"
    with pytest.raises(EnvelopeError):
        envelopes._unpad((5).to_bytes(8, "big") + bytes(2**17 - 8))


def test_headers_that_are_not_the_one_form() -> None:
    envelope = _seal()
    header = envelope.header
    backwards = _with_header(envelope, recipients=header.recipients[::-1])
    assert _code(decode_envelope, encode_envelope(backwards)) == "recipients"
    twice = _with_header(envelope, recipients=(header.recipients[0], header.recipients[0]))
    assert _code(decode_envelope, encode_envelope(twice)) == "recipients"
    assert _code(decode_envelope, encode_envelope(_with_header(envelope, suite=9))) == "suite"
    assert _code(decode_envelope, encode_envelope(_with_header(envelope, suite=2))) == "format"
    assert _code(decode_envelope, encode_envelope(_with_header(envelope, v=2))) == "format"
    longer = Envelope(msgspec.structs.replace(header, size=2**16 + 17), envelope.ciphertext + b"\x00")
    assert _code(decode_envelope, encode_envelope(longer)) == "format"
    assert _code(decode_envelope, encode_envelope(_with_header(envelope, size=2**17 + 16))) == "format"
    assert _code(decode_envelope, encode_envelope(envelope)[:-1]) == "format"
    assert _code(decode_envelope, encode_envelope(envelope) + b"\x00") == "format"


@given(st.binary(max_size=200))
@settings(max_examples=200, deadline=None)
def test_garbage_gives_one_family_of_errors(data: bytes) -> None:
    for attempt in (data, len(data).to_bytes(4, "big") + data):
        with pytest.raises(EnvelopeError):
            decode_envelope(attempt)


WHOLE = encode_envelope(_seal())


@given(st.integers(0, 1500), st.integers(1, 255))
@settings(max_examples=150, deadline=None)
def test_no_changed_byte_of_the_head_yields_another_document(position: int, change: int) -> None:
    data = bytearray(WHOLE)
    data[position] ^= change
    with contextlib.suppress(EnvelopeError):
        assert open_envelope(decode_envelope(bytes(data)), SECRETS[0]) == DOCUMENT  # another's wrap
