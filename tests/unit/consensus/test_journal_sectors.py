"""The journal on a disk that writes sectors in any order, loses pages, or puts them elsewhere."""

from itertools import product

import pytest

from consensus.journal import (
    FloorMark,
    Journal,
    JournalDamaged,
    OwnVote,
    Record,
    StoredCertificate,
    StoredPayload,
    decode_journal,
    encode_frame,
    encode_header,
)
from tests.support.lone_core import LoneCore

SALT = b"s" * 16
SECTOR = 512
CORE = LoneCore(start=False)
VOTE = OwnVote(CORE.vote(0, "notarize", 1))
BATCHES: list[tuple[Record, ...]] = [
    (FloorMark(1, 7),),
    (StoredPayload(1, b"d" * 32, bytes(range(256)) * 6), VOTE),
    (StoredCertificate(CORE.certificate("notarize", 1)),),
    (StoredPayload(2, b"e" * 32, b"\x00" * 1_500), OwnVote(CORE.vote(0, "notarize", 2, 1))),
]
FRAMES = [encode_frame(SALT, number, batch) for number, batch in enumerate(BATCHES)]
HEAD = encode_header(SALT)
WHOLE = HEAD + b"".join(FRAMES)
KEPT = len(WHOLE) - len(FRAMES[-1])
BEFORE = decode_journal(WHOLE[:KEPT])


def read(data: bytes) -> Journal | str:
    try:
        return decode_journal(data)
    except JournalDamaged as error:
        return error.code


@pytest.mark.parametrize("old", [b"\x00", b"\xff", FRAMES[1]], ids=["zeros", "ones", "an old frame"])
def test_the_last_frame_in_every_order_of_sectors(old: bytes) -> None:
    """P4: each subset of the sectors of the last write reached the disk, the others still hold what was there: the
    frame is read as a whole or not at all, and what was synced before it stays."""
    first, last = KEPT // SECTOR, (len(WHOLE) - 1) // SECTOR
    for written in product((False, True), repeat=last - first + 1):
        data = bytearray(WHOLE)
        for number, is_written in enumerate(written):
            start = max(KEPT, (first + number) * SECTOR)
            end = min(len(data), (first + number + 1) * SECTOR)
            if not is_written:
                data[start:end] = (old * SECTOR)[: end - start]
        found = decode_journal(bytes(data))
        if bytes(data) == WHOLE:
            assert found.good_bytes == len(WHOLE)
        else:
            assert (found.good_bytes, found.records) == (KEPT, BEFORE.records)


def test_every_prefix_of_a_journal() -> None:
    """P4: any number of the bytes of all frames: whole batches in order, the rest is a torn end."""
    ends = [len(HEAD) + sum(map(len, FRAMES[:count])) for count in range(len(FRAMES) + 1)]
    for size in range(len(HEAD), len(WHOLE) + 1):
        found = decode_journal(WHOLE[:size])
        assert found.good_bytes == max(end for end in ends if end <= size)
        assert found.good_bytes + found.torn_bytes == size


@pytest.mark.parametrize("size", [SECTOR, 64, 4_096])
@pytest.mark.parametrize("fill", [b"\x00", b"\xff", b"\x5a"])
def test_a_page_of_what_was_synced_is_lost(size: int, fill: bytes) -> None:
    """P5: a page anywhere that reads as zeros, ones or noise is refused, unless it is part of the last frame: that
    looks torn, and the guard file tells (README, what is not promised)."""
    for start in range(0, len(WHOLE), size // 2):
        end = min(start + size, len(WHOLE))
        data = WHOLE[:start] + fill * (end - start) + WHOLE[end:]
        if data == WHOLE:
            continue
        found = read(data)
        last_hit_is_last_frame = end > KEPT
        assert isinstance(found, str) or last_hit_is_last_frame
        if not isinstance(found, str):
            assert found.records == BEFORE.records[: len(found.records)], "no record is invented"


def test_every_flipped_bit_of_what_was_synced() -> None:
    """P5: each bit of each byte before the last frame."""
    for at in range(0, KEPT, 3):
        for bit in range(8):
            data = WHOLE[:at] + bytes((WHOLE[at] ^ 1 << bit,)) + WHOLE[at + 1 :]
            assert isinstance(read(data), str)


def test_writes_at_the_wrong_place() -> None:
    """P6: a frame written over another, twice, at an earlier place, or a write that never came: the position is in
    the checksum, so no frame is believed anywhere but in its own place."""
    head, (a, b, c, d) = HEAD, FRAMES
    for name, data in {
        "lost in the middle": head + a + c + d,
        "written twice": head + a + b + b + c + d,
        "exchanged": head + a + c + b + d,
        "over the first": head + c + b + c + d,
        "shifted": head + a + b"\x00" * 16 + b + c + d,
        "another journal's": head + a + encode_frame(b"t" * 16, 1, BATCHES[1]) + c + d,
        "over the last": head + a + b + c + b,
    }.items():
        assert isinstance(read(data), str), name
    assert decode_journal(head + a + b + c).records == BEFORE.records, "a lost end is for the guard file to find"
