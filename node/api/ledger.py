"""The ledger itself, for auditors and followers: blocks, their exact bytes, and proofs about final state.

Knows blocks, certificates and proofs. Must not know contracts. Always true: the bytes of a block are those that
were certified, and a proof names the header whose certificate it needs.
"""

from typing import Annotated, Any, Final

import msgspec
from fastapi import FastAPI, Path
from starlette.responses import Response

from ledger.blocks import decode_block
from ledger.encoding import decode
from ledger.merkle import Log, leaf_hash
from ledger.state import map_key
from node.api.answers import Id, answer
from node.api.port import NodePort, RolesPort
from node.api.problems import not_found
from node.chain import Chain
from node.outcomes import FinalBlock
from node.proofs import check_value

BYTES_TYPE: Final = "application/vnd.claimnode.block"
Height = Annotated[int, Path(ge=1, le=2**53 - 1)]
StateKey = Annotated[str, Path(pattern="^[a-z-]+/[A-Za-z0-9._/-]{1,160}$")]


def add_routes(app: FastAPI, node: NodePort, roles: RolesPort) -> None:
    """Add this module's routes to the application."""

    @app.get("/v1/blocks/{height}")
    async def show_block(height: Height) -> Response:
        """Header, certificate, transaction ids and receipts of a final block."""
        return answer(block_view(node.chain.block_at(height)))

    @app.get("/v1/blocks/{height}/bytes")
    async def show_bytes(height: Height) -> Response:
        """The exact bytes of a final block; its certificate, if it has its own, is in a header field."""
        block = node.chain.block_at(height)
        headers = {"X-Certificate": block.certificate.hex()} if block.certificate else {}
        return Response(block.encoded, 200, headers, BYTES_TYPE)

    @app.get("/v1/proofs/transactions/{tx_id}")
    async def prove_transaction(tx_id: Id) -> Response:
        """The transaction, its path under the `tx_root` of its header, and the header's way to a certificate."""
        outcome = node.chain.transaction(tx_id)
        if outcome is None:
            raise not_found("transaction")
        proof = transaction_proof(node.chain.block_at(outcome.height), outcome.index)
        return answer(proof | {"finality": roles.prove_header(outcome.height)})

    @app.get("/v1/proofs/state/{key:path}")
    async def prove_state(key: StateKey) -> Response:
        """The current value of a state key, or its absence, under the `state_root` of the last final header."""
        final = node.chain.final
        if final.header is None:
            raise not_found("block")
        found = final.read(key)
        if found is not None and isinstance(node.chain, Chain):  # else there are no rows on disk
            check_value(node.chain, key, found)
        block = node.chain.block_at(final.height)
        proof = final.state_map.prove(map_key(key))
        return answer(
            {
                "key": key,
                "map_key": map_key(key).hex(),
                "version": found.version if found else None,
                "entry": found.entry.hex() if found else None,
                "value": decode(found.value) if found and found.value else None,
                "path": msgspec.to_builtins(proof),
                **_anchor(block),
            }
        )


def block_view(block: FinalBlock) -> dict[str, Any]:
    """A block for reading."""
    return {
        "height": block.height,
        "header_hash": block.header_hash.hex(),
        **_anchor(block),
        "transactions": [receipt.tx_id for receipt in block.receipts],
        "receipts": msgspec.to_builtins(block.receipts),
    }


def transaction_proof(block: FinalBlock, index: int) -> dict[str, Any]:
    """Inclusion of the transaction at `index` (RFC 6962 path over the full bytes of all transactions)."""
    transactions = decode_block(block.encoded).transactions
    log = Log(leaf_hash(item) for item in transactions)
    return {
        "tx_id": block.receipts[index].tx_id,
        "transaction": decode(transactions[index]),
        "index": index,
        "size": len(transactions),
        "path": [item.hex() for item in log.inclusion_proof(index)],
        "receipt": msgspec.to_builtins(block.receipts[index]),
        **_anchor(block),
    }


def _anchor(block: FinalBlock) -> dict[str, Any]:
    """The header and its own finality certificate; null where a later block's certificate made it final."""
    return {
        "header": msgspec.to_builtins(block.header),
        "certificate": decode(block.certificate) if block.certificate else None,
    }
