"""A node's API as one side of a comparison of ledgers.

Knows paths and answers. Must not know what is compared. Always true: a header's hash is computed here, and a current
value counts only with its path under the state root of the header it came with.
"""

from functools import lru_cache
from typing import Any, TypeVar

import msgspec

from cli.client import NodeClient
from cli.errors import NetworkFailure
from contracts.receipts import Receipt
from ledger.blocks import Header, decode_block, header_hash
from ledger.encoding import encode
from ledger.errors import StoreError
from ledger.mapproofs import MapProof, verify_map_proof
from ledger.state import Versioned, map_key, map_value

T = TypeVar("T")
BLOCKS_KEPT = 64
"""Answers remembered: those of a search by halving are asked for again when the difference is shown."""


class RemoteSide:
    """A running node. Raises NetworkFailure `answer` for an answer of another form."""

    def __init__(self, client: NodeClient) -> None:
        self._client = client
        self.name = client.url
        self.last = int(client.status()["height"])
        self.first = 1 if self.last else 0
        self._block = lru_cache(BLOCKS_KEPT)(self._get_block)
        self._effects = lru_cache(BLOCKS_KEPT)(self._get_effects)

    def header(self, height: int) -> Header:
        return self._convert(self._block(height)["header"], Header)

    def transactions(self, height: int) -> tuple[bytes, ...]:
        block = decode_block(self._client.get_bytes(f"/v1/blocks/{height}/bytes"))
        if header_hash(block.header) != header_hash(self.header(height)):
            raise NetworkFailure("answer", f"{self.name}: block {height} and its bytes have two headers")
        return block.transactions

    def receipts(self, height: int) -> tuple[Receipt, ...]:
        return self._convert(self._block(height)["receipts"], tuple[Receipt, ...])

    def entries(self, height: int) -> tuple[bytes, ...]:
        return tuple(self._hex(item) for item in self._effects(height)["entries"])

    def changes(self, height: int) -> dict[str, Versioned]:
        return {key: self._versioned(item) for key, item in self._effects(height)["changes"].items()}

    def current(self, key: str) -> Versioned | None:
        """The proved value. Raises InvalidProof, StoreError `unproved` if the path leads to another version."""
        found = self._client.get(f"/v1/proofs/state/{key}")
        header, path = self._convert(found["header"], Header), self._convert(found["path"], MapProof)
        item = None
        if found["version"] is not None:
            value = None if found["value"] is None else encode(found["value"])
            item = Versioned(int(found["version"]), self._hex(found["entry"]), value)
        named = None if item is None or item.value is None else map_value(item)
        verify_map_proof(bytes.fromhex(header.state_root), map_key(key), named, path)
        if header.height < self.last:
            raise StoreError("unproved", f"{self.name} proves {key} at height {header.height}, below {self.last}")
        return item

    def map_fault(self) -> str | None:
        return None

    def _get_block(self, height: int) -> Any:
        return self._client.get(f"/v1/blocks/{height}")

    def _get_effects(self, height: int) -> Any:
        return self._client.get(f"/v1/blocks/{height}/effects")

    def _versioned(self, item: Any) -> Versioned:
        value = None if item["value"] is None else self._hex(item["value"])
        return Versioned(int(item["version"]), self._hex(item["entry"]), value)

    def _hex(self, text: Any) -> bytes:
        try:
            return bytes.fromhex(text)
        except (TypeError, ValueError):
            raise NetworkFailure("answer", f"{self.name} answers no hexadecimal where some belongs") from None

    def _convert(self, value: Any, kind: type[T]) -> T:
        try:
            return msgspec.convert(value, kind)
        except msgspec.ValidationError as error:
            raise NetworkFailure("answer", f"{self.name}: {error}") from None
