"""Block bytes: what is written is read back, and whatever else comes in is refused with a code."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from ledger.blocks import MAX_BLOCK_BYTES, Block, Header, decode_block, encode_block, header_hash, transactions_root
from ledger.errors import DecodeError, InvalidBlock

HASH = "ab" * 32


def make_block(*transactions: bytes) -> Block:
    header = Header(
        network="test.net",
        epoch=1,
        height=3,
        parent=HASH,
        time_ms=1_700_000_000_000,
        tx_root=transactions_root(transactions).hex(),
        log_size=7,
        log_root=HASH,
        state_root=HASH,
        receipts_root=HASH,
        validator_set_hash=HASH,
        next_validator_set_hash=HASH,
    )
    return Block(header=header, transactions=transactions)


@given(st.lists(st.binary(max_size=40), max_size=6))
def test_round_trip(transactions: list[bytes]) -> None:
    block = make_block(*transactions)
    assert decode_block(encode_block(block)) == block


def code_of(data: bytes) -> str:
    with pytest.raises(InvalidBlock) as caught:
        decode_block(data)
    return caught.value.code


def test_every_cut_is_found() -> None:
    data = encode_block(make_block(b"one", b"two"))
    assert {code_of(data[:size]) for size in range(len(data))} == {"truncated"}


def test_bytes_after_the_last_transaction() -> None:
    assert code_of(encode_block(make_block(b"one")) + b"\0") == "trailing"


def test_other_transactions_than_the_headers() -> None:
    block = make_block(b"one")
    assert code_of(encode_block(replace(block, transactions=(b"two",)))) == "tx_root"


def test_a_count_that_cannot_fit_is_refused_before_anything_is_allocated() -> None:
    """X1: a lying count costs nothing."""
    data = encode_block(make_block())
    assert code_of(data[:-4] + b"\xff\xff\xff\xff") == "truncated"


def test_too_large() -> None:
    assert code_of(b"\0" * (MAX_BLOCK_BYTES + 1)) == "too_large"


def test_a_header_that_is_none() -> None:
    with pytest.raises(DecodeError):
        decode_block((2).to_bytes(4, "big") + b"[]" + b"\0\0\0\0")


def test_every_field_of_the_header_is_in_its_hash() -> None:
    header = make_block().header
    others = {
        "network": "other.net",
        "epoch": 2,
        "height": 4,
        "time_ms": 1,
        "log_size": 8,
    } | {
        name: "cd" * 32
        for name in Header.__struct_fields__
        if isinstance(getattr(header, name), str) and name != "network"
    }
    assert set(others) == set(Header.__struct_fields__)
    hashes = {header_hash(replace(header, **{name: value})) for name, value in others.items()}
    assert len(hashes | {header_hash(header)}) == len(others) + 1
