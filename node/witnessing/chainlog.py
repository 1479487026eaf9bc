"""The chain's log as it is published: the last final head, its tiles and entries.

Knows the chain and its store; must not know keys. Must always hold: head, tiles and entries are of final blocks.
"""

from node.chain import Chain


class ChainLog:
    """The chain's log as it is published (`node.witnessing.log.LogSource`)."""

    def __init__(self, chain: Chain) -> None:
        self._chain = chain

    def head(self) -> tuple[int, bytes]:
        frontier = self._chain.final.frontier
        return frontier.size, frontier.root

    def tile(self, level: int, index: int) -> bytes:
        return self._chain.store.tile(level, index)

    def entries(self, first: int, count: int) -> tuple[bytes, ...]:
        store = self._chain.store
        height, found = store.height_of_entry(first), list[bytes]()
        skipped = first - store.spine(height).first_leaf
        while len(found) < skipped + count:
            found += store.entries(height)
            height += 1
        return tuple(found[skipped : skipped + count])
