"""The journal's bytes: a torn end is dropped, damage anywhere else is refused, block bytes cannot pose as frames."""

import pytest

from consensus.journal import (
    FRAME_MAGIC,
    HEADER_BYTES,
    FloorMark,
    JournalDamaged,
    OwnVote,
    Record,
    StoredCertificate,
    StoredPayload,
    decode_guard,
    decode_journal,
    encode_frame,
    encode_guard,
    encode_header,
    encode_journal,
)
from consensus.types import Position
from tests.support.lone_core import LoneCore

SALT = b"s" * 16
CORE = LoneCore(start=False)
VOTE = OwnVote(CORE.vote(0, "notarize", 1))
CERTIFICATE = StoredCertificate(CORE.certificate("notarize", 1))
PAYLOAD = StoredPayload(1, b"d" * 32, b"block bytes")
BATCHES: list[tuple[Record, ...]] = [(FloorMark(1, 7),), (PAYLOAD, VOTE), (CERTIFICATE,)]


def _journal(batches: list[tuple[Record, ...]] = BATCHES) -> bytes:
    return encode_header(SALT) + b"".join(encode_frame(SALT, i, batch) for i, batch in enumerate(batches))


def test_everything_comes_back_in_order() -> None:
    read = decode_journal(_journal())
    assert read.records == (FloorMark(1, 7), PAYLOAD, VOTE, CERTIFICATE)
    assert (read.next_sequence, read.torn_bytes, read.good_bytes) == (3, 0, len(_journal()))
    assert decode_journal(encode_journal(SALT, ())).next_sequence == 1


def test_every_torn_end_is_dropped() -> None:
    whole, kept = _journal(), _journal(BATCHES[:2])
    for end in range(len(kept), len(whole)):
        read = decode_journal(whole[:end])
        assert read.good_bytes == len(kept)
        assert read.torn_bytes == end - len(kept)
        assert read.records == (FloorMark(1, 7), PAYLOAD, VOTE)


def test_a_torn_end_may_hold_anything() -> None:
    whole, kept = _journal(), len(_journal(BATCHES[:2]))
    for at in range(kept, len(whole)):
        flipped = whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :]
        assert decode_journal(flipped).good_bytes == kept


def test_damage_before_good_frames_is_refused() -> None:
    whole, last = _journal(), len(_journal(BATCHES[:2]))
    for at in range(last):
        flipped = whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :]
        with pytest.raises(JournalDamaged) as refused:
            decode_journal(flipped)
        assert refused.value.code == ("header" if at < HEADER_BYTES else "frame")


def test_a_missing_frame_is_refused() -> None:
    frames = [encode_frame(SALT, i, batch) for i, batch in enumerate(BATCHES)]
    with pytest.raises(JournalDamaged, match="frame 1 is missing"):
        decode_journal(encode_header(SALT) + frames[0] + frames[2])
    with pytest.raises(JournalDamaged, match="frame 0 is missing"):
        decode_journal(encode_header(SALT) + frames[1])


@pytest.mark.parametrize("data", [b"", b"CNJ1", b"\x00" * 100, encode_header(SALT)[:-1] + b"x"])
def test_no_header_no_journal(data: bytes) -> None:
    with pytest.raises(JournalDamaged) as refused:
        decode_journal(data)
    assert refused.value.code == "header"


def test_block_bytes_cannot_pose_as_frames() -> None:
    """A frame inside a block, made with another salt, must not turn a torn write into damage."""
    planted = encode_frame(b"x" * 16, 2, (VOTE,)) + FRAME_MAGIC * 3
    torn = encode_frame(SALT, 1, (StoredPayload(1, b"d" * 32, planted * 4), VOTE))[:-5]
    read = decode_journal(encode_header(SALT) + encode_frame(SALT, 0, ()) + torn)
    assert read.records == ()
    assert read.torn_bytes == len(torn)


def test_unknown_records_are_refused() -> None:
    frame = encode_frame(SALT, 0, (FloorMark(1, 1),))
    from consensus import journal

    body = b"\x09" + frame[17:-16]
    head = (0).to_bytes(8, "big") + len(body).to_bytes(4, "big")
    forged = FRAME_MAGIC + head + body + journal._check("journal-frame", SALT, head + body)
    with pytest.raises(JournalDamaged) as refused:
        decode_journal(encode_header(SALT) + forged)
    assert refused.value.code == "record"


def test_guard_round_trip_and_damage() -> None:
    data = encode_guard(Position(1, 20, 2))
    assert decode_guard(data) == Position(1, 20, 2)
    for bad in (b"", data[:-1], data.replace(b'"view":20', b'"view":21'), data + b"\n"):
        with pytest.raises(JournalDamaged) as refused:
            decode_guard(bad)
        assert refused.value.code == "guard"
