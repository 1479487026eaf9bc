"""Tagged hashes: the construction, and that a tag separates."""

import hashlib

import pytest

from ledger.crypto.hashing import tagged_hash, tagged_hex


def test_construction_of_bip_340() -> None:
    tag = hashlib.sha256(b"claimnode/header").digest()
    assert tagged_hash("header", b"data") == hashlib.sha256(tag + tag + b"data").digest()
    assert tagged_hex("header", b"data") == tagged_hash("header", b"data").hex()


def test_tags_separate_and_the_cached_state_is_not_spent() -> None:
    first = tagged_hash("vote-notarize", b"x")
    assert tagged_hash("vote-finalize", b"x") != first
    assert tagged_hash("vote-notarize", b"y") != first
    assert tagged_hash("vote-notarize", b"x") == first


def test_tags_are_ascii() -> None:
    with pytest.raises(UnicodeEncodeError):
        tagged_hash("é", b"")
