"""The map against a naive recursion over the set: any history of changes, any order, any altered proof."""

from collections.abc import Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.errors import InvalidProof
from ledger.mapproofs import (
    EMPTY,
    decode_map_proof,
    encode_map_proof,
    map_inner_hash,
    map_leaf_hash,
    verify_map_proof,
)
from ledger.statemap import StateMap

# Keys that share long prefixes as often as not, or every proof would be a few levels deep.
keys = st.one_of(
    st.integers(0, 40).map(lambda number: number.to_bytes(32, "big")),
    st.integers(0, 40).map(lambda number: number.to_bytes(1, "big") + bytes(31)),
    st.binary(min_size=32, max_size=32),
)
values = st.binary(min_size=32, max_size=32)
maps = st.dictionaries(keys, values, max_size=40)
batches = st.lists(st.dictionaries(keys, st.none() | values, max_size=25), max_size=6)


def _naive_root(items: Mapping[bytes, bytes], depth: int = 0) -> bytes:
    """The definition: nothing, one leaf, or two halves by the next bit of the key."""
    if not items:
        return EMPTY
    if len(items) == 1:
        return map_leaf_hash(*next(iter(items.items())))
    halves: tuple[dict[bytes, bytes], dict[bytes, bytes]] = ({}, {})
    for key, value in items.items():
        halves[key[depth // 8] >> (7 - depth % 8) & 1][key] = value
    return map_inner_hash(_naive_root(halves[0], depth + 1), _naive_root(halves[1], depth + 1))


@given(batches)
@settings(max_examples=200, deadline=None)
def test_any_history_gives_the_root_of_the_set(history: list[dict[bytes, bytes | None]]) -> None:
    state, model = StateMap(), dict[bytes, bytes]()
    for changes in history:
        before, root = state, state.root
        state = state.update(changes)
        for key, value in changes.items():
            model.pop(key, None) if value is None else model.update({key: value})
        assert state.root == _naive_root(model)
        assert before.root == root
    assert list(state.items()) == sorted(model.items())
    assert all(state.get(key) == value for key, value in model.items())


@given(maps, st.randoms(use_true_random=False))
@settings(max_examples=100, deadline=None)
def test_order_and_batching_do_not_matter(content: dict[bytes, bytes], chance: object) -> None:
    items = list(content.items())
    chance.shuffle(items)  # type: ignore[attr-defined]
    state = StateMap()
    for key, value in items:
        state = state.update({key: value})
    assert state.root == StateMap().update(content).root == StateMap().update(dict(items)).root


@given(maps, keys)
@settings(max_examples=200, deadline=None)
def test_a_proof_shows_what_is_there_and_nothing_else(content: dict[bytes, bytes], key: bytes) -> None:
    state = StateMap().update(content)
    proof, value = state.prove(key), content.get(key)
    verify_map_proof(state.root, key, value, proof)
    assert decode_map_proof(encode_map_proof(proof)) == proof
    for wrong in {None, bytes(32), b"\xff" * 32} - {value}:
        with pytest.raises(InvalidProof):
            verify_map_proof(state.root, key, wrong, proof)


@given(maps.filter(bool), st.data())
@settings(max_examples=200, deadline=None)
def test_no_changed_byte_of_a_proof_passes(content: dict[bytes, bytes], data: st.DataObject) -> None:
    state = StateMap().update(content)
    key = data.draw(st.sampled_from(sorted(content)) | keys)
    encoded = bytearray(encode_map_proof(state.prove(key)))
    at = data.draw(st.integers(0, len(encoded) - 1))
    encoded[at] ^= data.draw(st.integers(1, 255))
    with pytest.raises(InvalidProof):
        verify_map_proof(state.root, key, content.get(key), decode_map_proof(bytes(encoded)))


@given(maps.filter(bool), st.data())
@settings(max_examples=200, deadline=None)
def test_a_present_key_has_no_proof_of_absence(content: dict[bytes, bytes], data: st.DataObject) -> None:
    """Neither the proof of another key, nor a cut one, nor one with another end says that it is absent."""
    state = StateMap().update(content)
    key = data.draw(st.sampled_from(sorted(content)))
    for other in (key, data.draw(keys)):
        encoded = encode_map_proof(state.prove(other))
        end = data.draw(st.integers(0, len(encoded)))
        for attempt in (encoded, encoded[:end], bytes(3), bytes([*encoded[:2], 1]) + encoded[3:] + key + content[key]):
            with pytest.raises(InvalidProof):
                verify_map_proof(state.root, key, None, decode_map_proof(attempt))


@given(st.binary(max_size=120))
@settings(max_examples=300, deadline=None)
def test_garbage_gives_one_family_of_errors(data: bytes) -> None:
    state = StateMap().update({bytes(32): b"v" * 32, b"\x80" + bytes(31): b"w" * 32})
    with pytest.raises(InvalidProof):
        verify_map_proof(state.root, bytes(32), None, decode_map_proof(data))
