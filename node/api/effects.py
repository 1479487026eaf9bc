"""What a final block wrote: for auditors who compare two nodes without executing.

Knows the rows beside a block. Must not know contracts. Always true: the answer is what this node has stored, right or
wrong; the log entries in it bind each value by its digest.
"""

from typing import Annotated, Any, Protocol, cast

from fastapi import FastAPI, Path
from starlette.responses import Response

from ledger.state import Versioned
from node.api.answers import answer
from node.api.port import NodePort

Height = Annotated[int, Path(ge=1, le=2**53 - 1)]


class EffectsStore(Protocol):
    """Where a block's log entries and changes are kept."""

    def entries(self, height: int) -> tuple[bytes, ...]: ...
    def changes(self, height: int) -> dict[str, Versioned]: ...


class _HasStore(Protocol):
    @property
    def store(self) -> EffectsStore: ...


def add_routes(app: FastAPI, node: NodePort) -> None:
    """Add this module's route to the application."""

    @app.get("/v1/blocks/{height}/effects")
    async def show_effects(height: Height) -> Response:
        """Log entries (hexadecimal; the first is the hash of the header below) and state changes of a final block."""
        node.chain.block_at(height)  # refuses a height that is not final
        return answer(effects_view(cast(_HasStore, node.chain).store, height))


def effects_view(store: EffectsStore, height: int) -> dict[str, Any]:
    """Entries and changes of a block. Raises StoreError `pruned`, `damaged`."""
    changes = store.changes(height)
    return {
        "height": height,
        "entries": [entry.hex() for entry in store.entries(height)],
        "changes": {
            key: {
                "version": item.version,
                "entry": item.entry.hex(),
                "value": None if item.value is None else item.value.hex(),
            }
            for key, item in changes.items()
        },
    }
