"""The log against the recursive definition of RFC 6962 and against pymerkle; no altered proof passes."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymerkle import InmemoryTree

from ledger.errors import InvalidProof
from ledger.merkle import (
    EMPTY_ROOT,
    Frontier,
    Log,
    leaf_hash,
    node_hash,
    root_of,
    verify_consistency,
    verify_inclusion,
)

LEAVES = [leaf_hash(index.to_bytes(2, "big")) for index in range(300)]
LOG = Log(LEAVES)
sizes = st.integers(1, len(LEAVES))


def _naive_root(leaves: list[bytes]) -> bytes:
    """MTH of RFC 6962 section 2.1, word for word."""
    if not leaves:
        return EMPTY_ROOT
    if len(leaves) == 1:
        return leaves[0]
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return node_hash(_naive_root(leaves[:split]), _naive_root(leaves[split:]))


@given(sizes)
@settings(max_examples=60, deadline=None)
def test_all_roots_agree(size: int) -> None:
    root = _naive_root(LEAVES[:size])
    assert LOG.root(size) == root_of(LEAVES[:size]) == Frontier().extend(LEAVES[:size]).root == root
    assert LOG.frontier(size) == Frontier().extend(LEAVES[:size])


def test_roots_agree_with_another_implementation() -> None:
    tree = InmemoryTree(algorithm="sha256")
    for index in range(70):
        tree.append_entry(index.to_bytes(2, "big"))
        assert tree.get_root() == LOG.root(index + 1)


@given(st.data(), sizes)
@settings(max_examples=150, deadline=None)
def test_proofs_verify_and_altered_ones_do_not(data: st.DataObject, size: int) -> None:
    index = data.draw(st.integers(0, size - 1))
    proof, root = LOG.inclusion_proof(index, size), LOG.root(size)
    verify_inclusion(LEAVES[index], index, size, proof, root)
    other = data.draw(st.integers(0, size - 1).filter(lambda found: found != index)) if size > 1 else None
    if other is not None:
        with pytest.raises(InvalidProof):
            verify_inclusion(LEAVES[index], other, size, proof, root)
        with pytest.raises(InvalidProof):
            verify_inclusion(LEAVES[other], index, size, proof, root)
    if proof:
        altered = _altered(data, proof)
        with pytest.raises(InvalidProof):
            verify_inclusion(LEAVES[index], index, size, altered, root)


@given(st.data(), sizes)
@settings(max_examples=150, deadline=None)
def test_growth_verifies_and_altered_proofs_do_not(data: st.DataObject, size2: int) -> None:
    size1 = data.draw(st.integers(1, size2))
    proof, root1, root2 = LOG.consistency_proof(size1, size2), LOG.root(size1), LOG.root(size2)
    verify_consistency(size1, size2, root1, root2, proof)
    with pytest.raises(InvalidProof):
        verify_consistency(size1, size2, node_hash(root1, root1), root2, proof)
    with pytest.raises(InvalidProof):
        verify_consistency(size1, size2, root1, node_hash(root2, root2), proof)
    if proof:
        with pytest.raises(InvalidProof):
            verify_consistency(size1, size2, root1, root2, _altered(data, proof))


def _altered(data: st.DataObject, proof: list[bytes]) -> list[bytes]:
    at = data.draw(st.integers(0, len(proof) - 1))
    bit = data.draw(st.integers(0, 255))
    changed = bytearray(proof[at])
    changed[bit // 8] ^= 1 << bit % 8
    kinds = [
        [*proof[:at], bytes(changed), *proof[at + 1 :]],
        [*proof[:at], *proof[at + 1 :]],
        [*proof[:at], proof[at], *proof[at:]],
    ]
    return data.draw(st.sampled_from(kinds))


@given(st.lists(st.binary(min_size=31, max_size=33), max_size=12), st.integers(-2, 70), st.integers(-2, 70))
@settings(max_examples=300, deadline=None)
def test_garbage_gives_one_family_of_errors(proof: list[bytes], one: int, two: int) -> None:
    with pytest.raises(InvalidProof):
        verify_inclusion(LEAVES[0], one, two, proof, LOG.root(7))
    with pytest.raises(InvalidProof):
        verify_consistency(one, two, LOG.root(3), LOG.root(7), proof)
