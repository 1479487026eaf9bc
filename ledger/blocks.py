"""Headers and blocks: what a certificate signs, and the bytes that stand behind it.

A header names the roots after its block, so a certificate over the header's hash certifies order and state
at once. Neither view nor certificate is inside. A block is the header and the exact bytes of its
transactions; a block with other bytes has another `tx_root`.
"""

from typing import TypeAlias

from msgspec import Struct

from ledger.crypto.hashing import tagged_hash
from ledger.encoding import decode_as, encode_trusted
from ledger.errors import InvalidBlock
from ledger.merkle import leaf_hash, root_of
from ledger.types import Count, Height, Hex32, Millis, NetworkId

MAX_BLOCK_BYTES = 4 * 2**20
"""One block on the wire and on disk: about 5,000 small transactions."""
MAX_HEADER_BYTES = 4096
Hash: TypeAlias = bytes


class Header(Struct, frozen=True, forbid_unknown_fields=True):
    """The certified summary of a block. Its tagged hash is the payload digest that consensus votes on."""

    network: NetworkId
    epoch: Count
    height: Height
    parent: Hex32
    time_ms: Millis
    tx_root: Hex32
    log_size: Count
    log_root: Hex32
    state_root: Hex32
    receipts_root: Hex32
    validator_set_hash: Hex32
    next_validator_set_hash: Hex32


class Block(Struct, frozen=True):
    """A header and the exact bytes of its transactions, in order."""

    header: Header
    transactions: tuple[bytes, ...]


def header_hash(header: Header) -> Hash:
    """32 bytes: the payload digest of the block and the parent field of its successor."""
    return tagged_hash("header", encode_trusted(header))


def transactions_root(transactions: tuple[bytes, ...]) -> Hash:
    """RFC 6962 root over the full bytes of every transaction."""
    return root_of([leaf_hash(item) for item in transactions])


def encode_block(block: Block) -> bytes:
    """u32be length + header, u32be count, then u32be length + bytes of each transaction."""
    header = encode_trusted(block.header)
    parts = [len(header).to_bytes(4, "big"), header, len(block.transactions).to_bytes(4, "big")]
    for item in block.transactions:
        parts += (len(item).to_bytes(4, "big"), item)
    return b"".join(parts)


def decode_block(data: bytes) -> Block:
    """The block behind `data`; checks its form and its `tx_root`, nothing else.

    Raises InvalidBlock `too_large`, `truncated`, `trailing`, `tx_root`, or DecodeError for a bad header.
    """
    if len(data) > MAX_BLOCK_BYTES:
        raise InvalidBlock("too_large", f"{len(data)} bytes, at most {MAX_BLOCK_BYTES}")
    header_bytes, position = _read_chunk(data, 0)
    header = decode_as(header_bytes, Header, limit=MAX_HEADER_BYTES)
    if len(data) < position + 4:
        raise InvalidBlock("truncated", "no transaction count")
    count = int.from_bytes(data[position : position + 4], "big")
    position += 4
    if count > (len(data) - position) // 4:
        raise InvalidBlock("truncated", f"{count} transactions do not fit into the block's bytes")
    transactions = []
    for _ in range(count):
        item, position = _read_chunk(data, position)
        transactions.append(item)
    if position != len(data):
        raise InvalidBlock("trailing", f"{len(data) - position} bytes after the last transaction")
    block = Block(header=header, transactions=tuple(transactions))
    if transactions_root(block.transactions).hex() != header.tx_root:
        raise InvalidBlock("tx_root", "the transactions are not those of the header")
    return block


def _read_chunk(data: bytes, position: int) -> tuple[bytes, int]:
    start = position + 4
    if len(data) < start:
        raise InvalidBlock("truncated", f"no length at byte {position}")
    end = start + int.from_bytes(data[position:start], "big")
    if len(data) < end:
        raise InvalidBlock("truncated", f"the part at byte {position} is cut off")
    return data[start:end], end
