"""Maps that live in pages against the same maps in memory: any history, any moment of writing, any page lost."""

from collections.abc import Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.errors import StoreError
from ledger.mappages import build_map, decode_page, page_path, paged_map, parse_page_path, top_page, trim, write_pages
from ledger.statemap import Node, StateMap

keys = st.one_of(
    st.integers(0, 60).map(lambda number: number.to_bytes(32, "big")),
    st.integers(0, 255).map(lambda number: number.to_bytes(1, "big") + bytes(31)),
    st.binary(min_size=32, max_size=32),
)
values = st.binary(min_size=32, max_size=32)
maps = st.dictionaries(keys, values, max_size=60)
batches = st.lists(st.tuples(st.dictionaries(keys, st.none() | values, max_size=25), st.booleans()), max_size=8)


class Pages:
    """The current page of each place, as a store keeps them."""

    def __init__(self) -> None:
        self.current: dict[bytes, tuple[bytes, bytes]] = {}

    def emit(self, path: bytes, node: Node, page: bytes) -> None:
        assert decode_page(path, node[0], page) == node
        self.current[path] = (node[0], page)

    def is_kept(self, path: bytes, digest: bytes) -> bool:
        return path in self.current and self.current[path][0] == digest

    def load(self, path: bytes, digest: bytes) -> Node:
        return decode_page(path, digest, self.current[path][1])


@given(batches)
@settings(max_examples=200, deadline=None)
def test_a_map_in_pages_is_the_map_in_memory(history: list[tuple[dict[bytes, bytes | None], bool]]) -> None:
    """Written or not after each batch, trimmed after each writing, read back from its top page."""
    pages, plain = Pages(), StateMap()
    paged = StateMap(None, pages.load)
    for changes, written in history:
        plain, paged = plain.update(changes), paged.update(changes)
        assert paged.root == plain.root
        if written:
            write_pages(paged, pages.is_kept, pages.emit)
            paged = trim(paged, pages.is_kept, pages.load)
            again = paged_map(plain.root, pages.load, top_page(plain))
            assert list(again.items()) == list(plain.items())
        probe = [*changes, bytes(32), b"\xff" * 32]
        assert [paged.prove(key) for key in probe] == [plain.prove(key) for key in probe]
        assert [paged.get(key) for key in probe] == [plain.get(key) for key in probe]
    assert list(paged.items()) == list(plain.items())


@given(maps)
@settings(max_examples=150, deadline=None)
def test_a_map_built_from_its_leaves_is_the_same(content: Mapping[bytes, bytes]) -> None:
    pages, written = Pages(), Pages()
    built = build_map(sorted(content.items()), pages.emit, pages.load)
    plain = StateMap().update(content)
    write_pages(plain, written.is_kept, written.emit)
    assert built.root == plain.root
    assert list(built.items()) == sorted(content.items())
    assert pages.current == written.current


@given(maps.filter(lambda content: len(content) > 1), st.data())
@settings(max_examples=150, deadline=None)
def test_a_changed_page_is_found(content: Mapping[bytes, bytes], data: st.DataObject) -> None:
    """One byte of one page, or the page of another place."""
    pages = Pages()
    paged = build_map(sorted(content.items()), pages.emit, pages.load)
    path = data.draw(st.sampled_from(sorted(pages.current)))
    digest, page = pages.current[path]
    changed = bytearray(page)
    changed[data.draw(st.integers(0, len(page) - 1))] ^= data.draw(st.integers(1, 255))
    pages.current[path] = (digest, bytes(changed))
    with pytest.raises(StoreError) as refused:
        list(paged.items())
    assert refused.value.code == "damaged"


@given(st.integers(0, 63), st.data())
def test_paths(steps: int, data: st.DataObject) -> None:
    place = data.draw(st.integers(0, 16**steps - 1))
    assert parse_page_path(page_path(steps, place)) == (steps, place)


def test_leaves_must_ascend() -> None:
    pages = Pages()
    for leaves in ([(bytes(32), bytes(32))] * 2, [(b"\1" * 32, bytes(32)), (bytes(32), bytes(32))], [(b"", bytes(32))]):
        with pytest.raises(ValueError, match="ascend"):
            build_map(leaves, pages.emit, pages.load)


def test_an_empty_map_has_no_page() -> None:
    pages = Pages()
    assert paged_map(bytes(32), pages.load, None).root == bytes(32)
    assert top_page(StateMap()) is None
    with pytest.raises(StoreError):
        paged_map(b"\1" * 32, pages.load, None)
