"""A log in tiles against the same log as a list: any growth, any restart, any proof, and the spelling of tile paths."""

import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.errors import InvalidProof
from ledger.logtiles import Tail, Tile, node_reader, parse_tile_number, read_tail, spell_index, tile_path
from ledger.merkle import consistency_proof, inclusion_proof, root_at, root_of, verify_consistency, verify_inclusion

LEAVES = [hashlib.sha256(number.to_bytes(4, "big")).digest() for number in range(70_000)]
growth = st.lists(st.one_of(st.integers(0, 5), st.integers(200, 300), st.integers(1_000, 30_000)), max_size=6)


class Tiles:
    """A tail and its full tiles."""

    def __init__(self) -> None:
        self.tail = Tail()
        self.full: dict[tuple[int, int], bytes] = {}

    def extend(self, leaves: list[bytes]) -> None:
        self.tail, tiles = self.tail.extend(leaves)
        for level, index, hashes in tiles:
            assert (level, index) not in self.full
            self.full[level, index] = hashes

    def tile(self, level: int, index: int) -> bytes:
        partial = self.tail.tile(level, index)
        return self.full[level, index] if partial is None else partial


@given(growth, st.data())
@settings(max_examples=40, deadline=None)
def test_tiles_give_the_roots_and_proofs_of_the_list(steps: list[int], data: st.DataObject) -> None:
    tiles, size = Tiles(), 0
    for step in steps:
        step = min(step, len(LEAVES) - size)
        tiles.extend(LEAVES[size : size + step])
        size += step
        last = LEAVES[size - size % 256 : size]
        assert read_tail(size, last, lambda level, index: tiles.full[level, index]) == tiles.tail
    node = node_reader(tiles.tile)
    assert root_at(size, node) == root_of(LEAVES[:size])
    if size:
        index = data.draw(st.integers(0, size - 1))
        older = data.draw(st.integers(1, size))
        proof = inclusion_proof(index, size, node)
        verify_inclusion(LEAVES[index], index, size, proof, root_of(LEAVES[:size]))
        between = consistency_proof(older, size, node)
        verify_consistency(older, size, root_of(LEAVES[:older]), root_of(LEAVES[:size]), between)


def test_a_third_level() -> None:
    """65,536 leaves make one full tile of level 1, and one hash of level 2."""
    tiles = Tiles()
    full: list[Tile] = []
    for start in range(0, 66_000, 10_000):
        tiles.extend(LEAVES[start : min(start + 10_000, 66_000)])
    full = [(level, index, hashes) for (level, index), hashes in tiles.full.items()]
    assert max(level for level, _, _ in full) == 1
    assert tiles.tail.tile(2, 0) is not None
    assert root_at(66_000, node_reader(tiles.tile)) == root_of(LEAVES[:66_000])


@given(st.integers(0, 10**15 - 1), st.integers(1, 256))
def test_tile_paths_have_one_spelling(index: int, width: int) -> None:
    path = tile_path(3, index, width)
    assert parse_tile_number(path.removeprefix("tile/3/")) == (index, width)
    assert all(len(group.removeprefix("x")) == 3 for group in spell_index(index).split("/"))


@pytest.mark.parametrize(
    "path",
    ["", "1", "01", "x001/1", "000/067", "x000/067", "067.p/0", "067.p/256", "067.p/01", "067.p/", "x1234067", "06a",
     "٠٦٧", "067.p/1.p/2", "x001/x234", "-01"],
)  # fmt: skip
def test_other_spellings_are_refused(path: str) -> None:
    with pytest.raises(InvalidProof, match="form"):
        parse_tile_number(path)


def test_the_example_of_the_specification() -> None:
    assert tile_path(0, 1234067) == "tile/0/x001/x234/067"


@given(st.integers(1, 600), st.integers(0, 600))
@settings(max_examples=50, deadline=None)
def test_a_tail_of_the_wrong_length_is_refused(size: int, count: int) -> None:
    if count != size % 256:
        with pytest.raises(InvalidProof, match="frontier"):
            read_tail(size, LEAVES[:count], lambda level, index: b"")
