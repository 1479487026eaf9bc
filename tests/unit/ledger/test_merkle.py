"""Small trees written out by hand, and the traps that naive verifiers fall into."""

import hashlib
from collections.abc import Callable

import pytest

from ledger.errors import InvalidProof
from ledger.merkle import (
    EMPTY_ROOT,
    MAX_SIZE,
    Frontier,
    Log,
    consistency_proof,
    inclusion_proof,
    leaf_hash,
    node_hash,
    root_of,
    verify_consistency,
    verify_inclusion,
)

LEAVES = [leaf_hash(bytes([index])) for index in range(8)]
LOG = Log(LEAVES)


def _refused(code: str, attempt: Callable[[], object]) -> None:
    with pytest.raises(InvalidProof) as refusal:
        attempt()
    assert refusal.value.code == code


def test_hashes_of_rfc_6962() -> None:
    assert hashlib.sha256().digest() == EMPTY_ROOT
    assert leaf_hash(b"").hex() == "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"
    assert node_hash(b"a" * 32, b"b" * 32) == hashlib.sha256(b"\x01" + b"a" * 32 + b"b" * 32).digest()


def test_the_published_root_of_eight_leaves() -> None:
    """The tree of eight entries that implementations of RFC 6962 share as a test."""
    entries = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657"]
    entries.append("606162636465666768696a6b6c6d6e6f")
    root = root_of([leaf_hash(bytes.fromhex(entry)) for entry in entries])
    assert root.hex() == "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"


def test_five_leaves_by_hand() -> None:
    left = node_hash(node_hash(LEAVES[0], LEAVES[1]), node_hash(LEAVES[2], LEAVES[3]))
    root = node_hash(left, LEAVES[4])
    assert root_of(LEAVES[:5]) == LOG.root(5) == Frontier().extend(LEAVES[:5]).root == root
    assert LOG.inclusion_proof(4, 5) == [left]
    assert LOG.consistency_proof(4, 5) == [LEAVES[4]]
    assert Frontier().extend(LEAVES[:5]).peaks == (left, LEAVES[4])


def test_nothing_and_one() -> None:
    assert root_of([]) == Log().root() == Frontier().root == EMPTY_ROOT
    assert root_of(LEAVES[:1]) == LOG.root(1) == LEAVES[0]
    assert LOG.inclusion_proof(0, 1) == []
    verify_inclusion(LEAVES[0], 0, 1, [], LEAVES[0])
    verify_consistency(1, 1, LEAVES[0], LEAVES[0], [])


def test_a_log_remembers_every_size() -> None:
    assert len(LOG) == 8
    assert [LOG.root(size) for size in range(9)] == [root_of(LEAVES[:size]) for size in range(9)]
    assert [LOG.frontier(size).root for size in range(9)] == [LOG.root(size) for size in range(9)]


def test_a_frontier_is_a_value() -> None:
    before = Frontier().extend(LEAVES[:3])
    after = before.append(LEAVES[3])
    assert (before.size, before.root) == (3, root_of(LEAVES[:3]))
    assert (after.size, after.root) == (4, root_of(LEAVES[:4]))


@pytest.mark.parametrize(
    "frontier",
    [
        Frontier(1, ()),
        Frontier(0, (LEAVES[0],)),
        Frontier(2, (LEAVES[0], LEAVES[1])),
        Frontier(1, (b"short",)),
        Frontier(-1, (LEAVES[0],)),
        Frontier(2**60, (LEAVES[0],)),
    ],
)
def test_a_received_frontier_is_checked(frontier: Frontier) -> None:
    Frontier().extend(LEAVES[:7]).check()
    _refused("frontier", frontier.check)


@pytest.mark.parametrize(("index", "size"), [(-1, 4), (4, 4), (0, 0), (0, 9)])
def test_no_proof_for_what_is_not_there(index: int, size: int) -> None:
    _refused("range", lambda: LOG.inclusion_proof(index, size))


@pytest.mark.parametrize(("size1", "size2"), [(0, 4), (5, 4), (-1, 4), (4, 9), (0, 0)])
def test_no_consistency_with_nothing(size1: int, size2: int) -> None:
    _refused("range", lambda: LOG.consistency_proof(size1, size2))


TRAPS = {
    "empty leaf and empty root": lambda: verify_inclusion(b"", 0, 1, [], b""),
    "short sibling": lambda: verify_inclusion(LEAVES[0], 0, 2, [b"x"], LOG.root(2)),
    "long root": lambda: verify_inclusion(LEAVES[0], 0, 1, [], LEAVES[0] + b"\x00"),
    "old root of no length": lambda: verify_consistency(1, 1, b"", b"", []),
}


@pytest.mark.parametrize("attempt", TRAPS.values(), ids=TRAPS.keys())
def test_hashes_have_32_bytes(attempt: Callable[[], None]) -> None:
    _refused("hash", attempt)


@pytest.mark.parametrize(
    ("size1", "size2"), [(0, 0), (0, 1), (0, 8), (2, 1), (-1, 1), (1, MAX_SIZE + 1), (MAX_SIZE + 1, MAX_SIZE + 1)]
)
def test_sizes_that_prove_nothing(size1: int, size2: int) -> None:
    _refused("range", lambda: verify_consistency(size1, size2, EMPTY_ROOT, LOG.root(), []))
    _refused("range", lambda: verify_consistency(size1, size2, EMPTY_ROOT, EMPTY_ROOT, []))


@pytest.mark.parametrize(("index", "size"), [(-1, 8), (8, 8), (0, 0), (0, MAX_SIZE + 1), (-1, -1)])
def test_positions_that_do_not_exist(index: int, size: int) -> None:
    _refused("range", lambda: verify_inclusion(LEAVES[0], index, size, [], LEAVES[0]))


def test_equal_sizes() -> None:
    root = LOG.root(4)
    _refused("root", lambda: verify_consistency(4, 4, root, LOG.root(5), []))
    _refused("length", lambda: verify_consistency(4, 4, root, root, [LEAVES[0]]))


def test_proofs_of_wrong_length() -> None:
    proof, root = LOG.inclusion_proof(5, 7), LOG.root(7)
    for wrong in (proof[:-1], proof[1:], [*proof, LEAVES[0]], []):
        _refused("length", lambda wrong=wrong: verify_inclusion(LEAVES[5], 5, 7, wrong, root))
    growth = LOG.consistency_proof(3, 7)
    for wrong in (growth[:-1], [*growth, LEAVES[0]], []):
        _refused("length", lambda wrong=wrong: verify_consistency(3, 7, LOG.root(3), root, wrong))


def test_an_inner_node_is_no_leaf() -> None:
    """Second preimage: the node over leaves 0 and 1 as the leaf of a smaller tree with the same root."""
    inner = node_hash(LEAVES[0], LEAVES[1])
    proof = LOG.inclusion_proof(0, 4)[1:]
    verify_inclusion(inner, 0, 2, proof, LOG.root(4))  # holds for a *hash*, hence sizes are signed
    assert leaf_hash(LEAVES[0] + LEAVES[1]) != inner


def test_proofs_read_nodes_through_a_function() -> None:
    reads: list[tuple[int, int]] = []

    def node(level: int, index: int) -> bytes:
        reads.append((level, index))
        return LOG.node(level, index)

    assert inclusion_proof(2, 7, node) == LOG.inclusion_proof(2, 7)
    assert consistency_proof(2, 7, node) == LOG.consistency_proof(2, 7)
    assert all((index + 1) << level <= 7 for level, index in reads)
