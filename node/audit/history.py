"""Checks 1 to 7: from the file's bytes to a proved, complete list of entries and transactions.

Needs the genesis and nothing else. What the entries mean is re-executed in `replay_claim`.
"""

from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import Any

from msgspec import Struct

from contracts.execution import ChainState
from contracts.genesis import genesis_hash
from contracts.states import KeyState, read_key
from ledger.blocks import Header, header_hash
from ledger.certificates import verify_finality
from ledger.encoding import convert, encode
from ledger.errors import LedgerError
from ledger.mapproofs import verify_map_proof
from ledger.merkle import leaf_hash, verify_inclusion
from ledger.state import Entry, Versioned, Write, map_key, map_value
from ledger.transactions import KeyResolver, SignedTransaction, decode_transaction, verify_transaction
from node.audit.dossier import Dossier, Path, ProvedEntry, decode_dossier, embedded_genesis
from node.audit.epochs import FinalityCheck, check_epochs
from node.audit.report import AuditFailure


class History(Struct, frozen=True):
    """A dossier whose place in the ledger is proved."""

    dossier: Dossier
    chain: bytes
    headers: dict[int, Header]
    transactions: dict[str, SignedTransaction]
    leaves: tuple[tuple[bytes, Entry], ...]


def check_history(data: bytes, start: ChainState, finality: FinalityCheck = verify_finality) -> History:
    """Checks 1-7; `start` is the state of the trusted genesis. Raises AuditFailure at the first that does not hold."""
    dossier = _guard(1, lambda: decode_dossier(data))
    _check_network(dossier, start.chain, start.genesis.network)
    anchor = dossier.anchor
    validators = check_epochs(dossier.epochs, anchor.header, start, finality)
    _guard(3, lambda: finality(anchor.certificate, header_hash(anchor.header), validators, start.chain))
    headers = _check_headers(dossier)
    leaves = tuple(_check_entry(dossier, item) for item in dossier.entries)
    _check_ascending(5, [item.leaf_index for item in dossier.entries])
    transactions = _check_transactions(dossier, start.read)
    _check_coverage(dossier, headers, transactions)
    _check_chains(dossier, leaves)
    return History(dossier=dossier, chain=start.chain, headers=headers, transactions=transactions, leaves=leaves)


def _guard(number: int, step: Callable[[], Any]) -> Any:
    try:
        return step()
    except LedgerError as error:
        raise AuditFailure(number, error.code, error.detail) from None


def _check_network(dossier: Dossier, chain: bytes, network: str) -> None:
    named = genesis_hash(embedded_genesis(dossier))
    if named != chain:
        raise AuditFailure(2, "other_genesis", f"the file's genesis is {named.hex()}, trusted is {chain.hex()}")
    if dossier.anchor.header.network != network:
        raise AuditFailure(2, "other_network", f"the anchor is of network {dossier.anchor.header.network}")


def _check_headers(dossier: Dossier) -> dict[int, Header]:
    anchor = dossier.anchor.header
    headers = {anchor.height: anchor}
    for item in dossier.headers:
        if item.header.height in headers or item.header.height > anchor.height:
            raise AuditFailure(4, "header_height", f"header {item.header.height} is repeated or above the anchor")
        _verify_leaf(4, dossier, header_hash(item.header), item.leaf_index, item.path)
        headers[item.header.height] = item.header
    _check_ascending(4, [item.header.height for item in dossier.headers])
    return headers


def _check_entry(dossier: Dossier, item: ProvedEntry) -> tuple[bytes, Entry]:
    leaf = encode(item.entry)
    _verify_leaf(5, dossier, leaf, item.leaf_index, item.path)
    return leaf_hash(leaf), item.entry


def _verify_leaf(number: int, dossier: Dossier, leaf: bytes, index: int, path: Path) -> None:
    header = dossier.anchor.header
    proof = [bytes.fromhex(item) for item in path]
    try:
        verify_inclusion(leaf_hash(leaf), index, header.log_size, proof, bytes.fromhex(header.log_root))
    except LedgerError as error:
        raise AuditFailure(number, error.code, f"leaf {index}: {error.detail}") from None


def _check_ascending(number: int, values: list[int]) -> None:
    if any(first >= second for first, second in pairwise(values)):
        raise AuditFailure(number, "order", "items ascend without repeats")


def _check_transactions(dossier: Dossier, read: Callable[[str], Versioned | None]) -> dict[str, SignedTransaction]:
    carried = _carried_keys(dossier)

    def resolve(participant: str, key_id: str) -> bytes | None:
        key = read_key(read, key_id) or carried.get(key_id)
        return bytes.fromhex(key.public_key) if key and key.participant == participant else None

    found: dict[str, SignedTransaction] = {}
    for position, content in enumerate(dossier.transactions):
        transaction = _guard(6, partial(_read_transaction, content, resolve))
        if transaction.content.network != dossier.anchor.header.network or transaction.tx_id in found:
            raise AuditFailure(6, "transaction", f"transaction {position} is of another network or repeated")
        found[transaction.tx_id] = transaction
    return found


def _carried_keys(dossier: Dossier) -> dict[str, KeyState]:
    """Keys registered after genesis. Check 8 binds each value to the entry that wrote it, or fails."""
    prefix = f"{KeyState.FAMILY}/"
    found = [item for item in dossier.carried if item.key.startswith(prefix)]
    return {item.key.removeprefix(prefix): _guard(6, partial(convert, item.value, KeyState)) for item in found}


def _read_transaction(content: dict[str, Any], resolve: KeyResolver) -> SignedTransaction:
    transaction = decode_transaction(encode(content))
    verify_transaction(transaction, resolve)
    return transaction


def _check_coverage(dossier: Dossier, headers: dict[int, Header], transactions: dict[str, SignedTransaction]) -> None:
    used: dict[str, None] = {}
    heights: set[int] = {dossier.anchor.header.height}
    for item in dossier.entries:
        entry = item.entry
        transaction = transactions.get(entry.tx_id)
        if transaction is None:
            continue
        content = transaction.content
        if (entry.kind, entry.author, entry.key_id) != (content.kind, content.author, content.key_id):
            raise AuditFailure(6, "entry_mismatch", f"entry {item.leaf_index} does not describe its transaction")
        if entry.height not in headers:
            raise AuditFailure(4, "header_missing", f"no header for height {entry.height}")
        used[entry.tx_id] = None
        heights.add(entry.height)
    if used.keys() != transactions.keys():
        raise AuditFailure(6, "unused_transaction", "a transaction has no entry in the log")
    if list(used) != list(transactions):
        raise AuditFailure(6, "order", "transactions stand in the order of their entries")
    if heights != set(headers):
        raise AuditFailure(4, "unused_header", "a header belongs to no transaction")


def _check_chains(dossier: Dossier, leaves: tuple[tuple[bytes, Entry], ...]) -> None:
    """Each listed head is the last of an unbroken chain from version 1, and the latest under the anchor."""
    keys = [head.key for head in dossier.heads]
    if f"claim/{dossier.claim_id}" not in keys:
        raise AuditFailure(7, "claim_head", "the claim's own history is not listed")
    if keys != sorted(set(keys)):
        raise AuditFailure(7, "order", "heads ascend by key without repeats")
    for head in dossier.heads:
        last = _check_chain(head.key, leaves)
        root = bytes.fromhex(dossier.anchor.header.state_root)
        value = None if last.value is None else map_value(last)
        try:
            verify_map_proof(root, map_key(head.key), value, head.path)
        except LedgerError as error:
            raise AuditFailure(7, error.code, f"{head.key}: {error.detail}") from None


def _check_chain(key: str, leaves: tuple[tuple[bytes, Entry], ...]) -> Versioned:
    version, previous, deleted = 0, None, False
    for leaf, entry in leaves:
        write = find_write(entry, key)
        if write is None:
            continue
        if write.version != version + 1 or write.prev != previous:
            raise AuditFailure(7, "gap", f"{key}: version {version + 1} is missing")
        version, previous, deleted = write.version, leaf.hex(), write.digest is None
    if previous is None:
        raise AuditFailure(7, "no_history", f"{key} is listed without an entry")
    return Versioned(version=version, entry=bytes.fromhex(previous), value=None if deleted else b"")


def find_write(entry: Entry, key: str) -> Write | None:
    """The write of `key` in this entry, if there is one."""
    return next((write for write in entry.writes if write.key == key), None)
