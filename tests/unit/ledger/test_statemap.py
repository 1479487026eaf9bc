"""The shape of small maps, and every way in which a proof may lie."""

from collections.abc import Callable

import pytest
from msgspec import structs

from ledger.encoding import decode_as, encode
from ledger.errors import DecodeError, InvalidProof
from ledger.mapproofs import (
    EMPTY,
    MapProof,
    OtherLeaf,
    decode_map_proof,
    encode_map_proof,
    map_inner_hash,
    map_leaf_hash,
    verify_map_proof,
)
from ledger.statemap import StateMap


def _key(bits: str) -> bytes:
    return int(bits.ljust(256, "0"), 2).to_bytes(32, "big")


A, B, C, D = _key("000"), _key("001"), _key("1"), _key("01")
VALUES = {A: b"a" * 32, B: b"b" * 32, C: b"c" * 32}
MAP = StateMap().update(VALUES)


def _refused(code: str, attempt: Callable[[], object]) -> None:
    with pytest.raises(InvalidProof) as refusal:
        attempt()
    assert refusal.value.code == code


def _leaf(key: bytes) -> bytes:
    return map_leaf_hash(key, VALUES[key])


def test_empty_and_single() -> None:
    assert StateMap().root == EMPTY == bytes(32)
    assert StateMap().update({C: VALUES[C]}).root == _leaf(C)


def test_three_leaves_by_hand() -> None:
    """A and B part at the third bit: below the second there is nothing beside them."""
    pair = map_inner_hash(map_inner_hash(_leaf(A), _leaf(B)), EMPTY)
    assert MAP.root == map_inner_hash(pair, _leaf(C))


def test_deletion_collapses_to_what_was_before() -> None:
    assert MAP.update({A: None}).root == map_inner_hash(_leaf(B), _leaf(C))
    assert MAP.update({A: None, B: None}).root == _leaf(C)
    assert MAP.update({A: None, B: None, C: None}).root == EMPTY
    assert MAP.update({C: None}).update(VALUES).root == MAP.root


def test_old_maps_stay() -> None:
    before = MAP.root
    changed = MAP.update({A: b"x" * 32, D: b"d" * 32})
    assert MAP.root == before != changed.root
    assert (MAP.get(A), changed.get(A), MAP.get(D)) == (VALUES[A], b"x" * 32, None)


def test_changes_that_change_nothing_share_the_nodes() -> None:
    for changes in ({}, {D: None}, {A: VALUES[A]}, {A: VALUES[A], B: VALUES[B], D: None}, VALUES):
        assert MAP.update(changes).root == MAP.root
    assert MAP.update({A: VALUES[A], C: VALUES[C]})._node is MAP._node


def test_items_ascend() -> None:
    assert list(MAP.items()) == sorted(VALUES.items())
    assert list(StateMap().items()) == []


def test_keys_that_part_at_the_last_bit() -> None:
    one, two = bytes(32), bytes(31) + b"\x01"
    deep = StateMap().update({one: b"1" * 32, two: b"2" * 32})
    assert deep.root == StateMap().update({one: b"1" * 32}).update({two: b"2" * 32}).root
    proof = deep.prove(one)
    assert (proof.depth, len(proof.siblings), len(encode_map_proof(proof))) == (256, 1, 3 + 32 + 32)
    verify_map_proof(deep.root, one, b"1" * 32, proof)
    verify_map_proof(deep.root, bytes(31) + b"\x02", None, deep.prove(bytes(31) + b"\x02"))
    assert deep.update({two: None}).root == map_leaf_hash(one, b"1" * 32)


@pytest.mark.parametrize("changes", [{b"short": b"a" * 32}, {A: b"short"}, {A: b""}])
def test_lengths_are_ours_to_keep(changes: dict[bytes, bytes]) -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        MAP.update(changes)


def test_proofs_of_presence_and_absence() -> None:
    for key, value in VALUES.items():
        verify_map_proof(MAP.root, key, value, MAP.prove(key))
    assert MAP.prove(D).other is None  # an empty slot beside the pair
    verify_map_proof(MAP.root, D, None, MAP.prove(D))
    beside_c = _key("11")
    assert MAP.prove(beside_c).other == OtherLeaf(key=C.hex(), value_hash=VALUES[C].hex())
    verify_map_proof(MAP.root, beside_c, None, MAP.prove(beside_c))
    verify_map_proof(EMPTY, A, None, StateMap().prove(A))


def test_claims_that_do_not_hold() -> None:
    _refused("root", lambda: verify_map_proof(MAP.root, A, b"x" * 32, MAP.prove(A)))
    _refused("root", lambda: verify_map_proof(MAP.root, B, VALUES[A], MAP.prove(A)))
    _refused("root", lambda: verify_map_proof(EMPTY, A, VALUES[A], MAP.prove(A)))
    _refused("root", lambda: verify_map_proof(MAP.root, A, None, StateMap().prove(A)))
    _refused("root", lambda: verify_map_proof(MAP.root, A, None, MAP.prove(A)))
    _refused("form", lambda: verify_map_proof(MAP.root, C, VALUES[C], MAP.prove(_key("11"))))
    _refused("hash", lambda: verify_map_proof(b"", A, VALUES[A], MAP.prove(A)))
    _refused("hash", lambda: verify_map_proof(MAP.root, A + b"\x00", VALUES[A], MAP.prove(A)))
    _refused("hash", lambda: verify_map_proof(MAP.root, A, b"", MAP.prove(A)))


def test_a_present_key_is_not_absent_by_pointing_at_itself_or_elsewhere() -> None:
    proof = MAP.prove(A)
    own = structs.replace(proof, other=OtherLeaf(key=A.hex(), value_hash=VALUES[A].hex()))
    _refused("path", lambda: verify_map_proof(MAP.root, A, None, own))
    beside = structs.replace(MAP.prove(C), other=OtherLeaf(key=C.hex(), value_hash=VALUES[C].hex()))
    _refused("path", lambda: verify_map_proof(MAP.root, A, None, beside))


def test_an_inner_node_is_no_leaf_and_no_sibling_chain_can_be_cut() -> None:
    """Every truncation of a present key's path, with an empty end or any leaf of the map as its end."""
    leaves = [OtherLeaf(key=key.hex(), value_hash=value.hex()) for key, value in VALUES.items()]
    whole = MAP.prove(A)
    for depth in range(whole.depth + 1):
        bitmap = int(whole.bitmap, 16) >> (8 - depth) << (8 - depth)
        text = f"{bitmap:02x}" if depth else ""
        siblings = whole.siblings[: bitmap.bit_count()]
        for other in (None, *leaves):
            cut = MapProof(depth=depth, bitmap=text, siblings=siblings, other=other)
            with pytest.raises(InvalidProof):
                verify_map_proof(MAP.root, A, None, cut)


def test_a_leaf_below_its_place_is_no_path() -> None:
    """A single leaf stands at the top of its subtree; a map that pushes it down has another root."""
    pushed = map_inner_hash(_leaf(A), EMPTY)
    proof = MapProof(depth=1, bitmap="00", siblings=(), other=None)
    _refused("path", lambda: verify_map_proof(pushed, A, VALUES[A], proof))


GOOD = MAP.prove(A)
OTHER_FORMS = {
    "depth less than the bitmap": structs.replace(GOOD, depth=2),
    "bits behind the depth": structs.replace(GOOD, bitmap="a1"),
    "bitmap too long": structs.replace(GOOD, bitmap=GOOD.bitmap + "00"),
    "bitmap too short": structs.replace(GOOD, bitmap=""),
    "sibling missing": structs.replace(GOOD, siblings=GOOD.siblings[:-1]),
    "sibling too many": structs.replace(GOOD, siblings=(*GOOD.siblings, GOOD.siblings[0])),
    "empty sibling written out": structs.replace(
        GOOD, bitmap="e0", siblings=(GOOD.siblings[0], "00" * 32, GOOD.siblings[1])
    ),
    "foreign leaf on presence": structs.replace(GOOD, other=OtherLeaf(key=C.hex(), value_hash=VALUES[C].hex())),
}


@pytest.mark.parametrize("proof", OTHER_FORMS.values(), ids=OTHER_FORMS.keys())
def test_there_is_one_spelling(proof: MapProof) -> None:
    verify_map_proof(MAP.root, A, VALUES[A], GOOD)
    _refused("form", lambda: verify_map_proof(MAP.root, A, VALUES[A], proof))


def test_canonical_json_form_is_closed() -> None:
    for key in (A, D, _key("11")):
        proof = MAP.prove(key)
        assert decode_as(encode(proof), MapProof) == proof
        assert decode_map_proof(encode_map_proof(proof)) == proof
    document = {"bitmap": "00", "depth": 257, "other": None, "siblings": []}
    for change in ({}, {"depth": 1, "extra": 1}, {"depth": 1, "siblings": ["00"]}, {"depth": -1}):
        with pytest.raises(DecodeError):
            decode_as(encode(document | change), MapProof)


@pytest.mark.parametrize(
    "data", [b"", b"\x00", bytes(2), bytes(4), b"\x01\x01\x00" + bytes(33), b"\xff" * 40, b"\x00\x00\x02" + bytes(64)]
)
def test_garbage_is_no_proof(data: bytes) -> None:
    _refused("form", lambda: decode_map_proof(data))
