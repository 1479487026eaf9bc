"""Each signature is checked once: decoded and verified transactions, remembered by the hash of their full bytes.

Knows no pool and no block. Must always hold: the key of the memory is the SHA-256 of *all* bytes, never a
transaction id, because two byte strings of one id can differ in the author's signature. A registered key never
changes, which makes remembering sound; whether the key is known to the state at hand is asked each time, here or
by the executor, so memory never changes a verdict.
"""

import hashlib
from collections import OrderedDict

from contracts.states import read_key
from ledger.errors import InvalidTransaction
from ledger.state import Reader
from ledger.transactions import KeyResolver, SignedTransaction, decode_transaction, verify_transaction

REMEMBERED = 50_000
"""Transactions remembered: a full mempool and the blocks on their way, 100 MB at 2 kB each."""


class SignatureMemory:
    """Decoding and verification with a bounded memory, oldest out first."""

    __slots__ = ("_capacity", "_verified", "checked")

    def __init__(self, capacity: int = REMEMBERED) -> None:
        self._capacity = capacity
        self._verified: OrderedDict[bytes, SignedTransaction] = OrderedDict()
        self.checked = 0
        """Transactions whose signatures were really computed; for benches and tests."""

    def decode(self, data: bytes) -> SignedTransaction:
        """As `ledger.transactions.decode_transaction`, without the work if these bytes were verified before."""
        found = self.find(data)
        return decode_transaction(data) if found is None else found

    def find(self, data: bytes) -> SignedTransaction | None:
        """The transaction of exactly these bytes if its signatures were verified before."""
        return self._verified.get(hashlib.sha256(data).digest())

    def verify(self, transaction: SignedTransaction, read: Reader) -> None:
        """Raise InvalidTransaction `unknown_signer` or `bad_signature`, judged by the keys in `read`."""
        if self.find(transaction.encoded) is None:
            self._verify_new(transaction, read)
        else:
            _check_signers(transaction, build_resolver(read))

    def verify_in_block(self, transaction: SignedTransaction, read: Reader) -> None:
        """`verify` for the executor, which asks for every signer's key itself (`contracts.transition`)."""
        if self.find(transaction.encoded) is None:
            self._verify_new(transaction, read)

    def _verify_new(self, transaction: SignedTransaction, read: Reader) -> None:
        self.checked += 1
        verify_transaction(transaction, build_resolver(read))
        self._verified[hashlib.sha256(transaction.encoded).digest()] = transaction
        if len(self._verified) > self._capacity:
            self._verified.popitem(last=False)

    def __len__(self) -> int:
        return len(self._verified)


def build_resolver(read: Reader) -> KeyResolver:
    """Keys as the state at hand knows them, retired ones included."""

    def resolve(participant: str, key_id: str) -> bytes | None:
        known = read_key(read, key_id)
        return bytes.fromhex(known.public_key) if known is not None and known.participant == participant else None

    return resolve


def _check_signers(transaction: SignedTransaction, resolve: KeyResolver) -> None:
    content = transaction.content
    signers = [(content.author, content.key_id)]
    signers += [(item.participant, item.key_id) for item in content.endorsements]
    for participant, key_id in signers:
        if resolve(participant, key_id) is None:
            raise InvalidTransaction("unknown_signer", f"{participant} never registered key {key_id}")
