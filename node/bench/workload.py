"""Transactions made ahead of a run: one consent for all authors, then `record.publish` by each of them in turn.

Knows the bodies and the keys of authors; must not know how anything is sent. Every document is a random
commitment: what is measured is the ledger, not the reading of documents.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass

from contracts.bodies import ConsentGrant, PublishedRecord, RecordPublish
from contracts.identifiers import derive_case_id
from contracts.records import MIN_PADDED_BYTES
from contracts.tokens import CONSENT_TYPE, Consent, Grantee, decode_consent, encode_token
from ledger.crypto import ed25519
from ledger.transactions import MAX_LIFETIME_MS, SignedTransaction, build_transaction

HOUR_MS = 3_600_000


@dataclass(frozen=True, slots=True)
class Author:
    """A hospital that signs: its id and its Ed25519 seed."""

    participant: str
    seed: bytes


def build_consent(network: str, authors: list[Author], grantee: str, now_ms: int) -> tuple[str, SignedTransaction]:
    """(consent id, transaction that grants it). `grantee`: a participant with the role auditor."""
    seed = os.urandom(32)
    consent = Consent(
        v=1,
        network=network,
        basis="self",
        scope="case",
        key=ed25519.public_key(seed).hex(),
        nonce=os.urandom(16).hex(),
        hospitals=tuple(author.participant for author in authors),
        grantees=(Grantee(grantee, ("audit",), (), None),),
        policy_ids=(),
        payee_commit=os.urandom(32).hex(),
        mailbox_key=os.urandom(32).hex(),
        revoke_hash=os.urandom(32).hex(),
        notify="none",
        nbf_ms=now_ms - HOUR_MS,
        exp_ms=now_ms + 240 * HOUR_MS,
        delegable=False,
    )
    token = encode_token(consent, CONSENT_TYPE, seed)
    granted = _sign(network, authors[0], "consent.grant", ConsentGrant((token,)), now_ms)
    return decode_consent(token).consent_id, granted


def build_publications(
    network: str, author: Author, consent_id: str, now_ms: int, *, records: int
) -> Iterator[SignedTransaction]:
    """`record.publish` without end, each with `records` fresh records of the consent's case."""
    case_id = derive_case_id(consent_id)
    while True:
        noise = os.urandom(64 * records)
        published = tuple(
            PublishedRecord(
                case_id=case_id,
                consent_id=consent_id,
                record_type="charges",
                commitment=noise[64 * at : 64 * at + 32].hex(),
                ciphertext_digest=noise[64 * at + 32 : 64 * at + 64].hex(),
                padded_size=MIN_PADDED_BYTES,
                replaces=None,
            )
            for at in range(records)
        )
        yield _sign(network, author, "record.publish", RecordPublish(published), now_ms)


def _sign(
    network: str, author: Author, kind: str, body: ConsentGrant | RecordPublish, now_ms: int
) -> SignedTransaction:
    return build_transaction(
        network=network,
        kind=kind,
        body=body,
        author=author.participant,
        key_id=ed25519.key_id(ed25519.public_key(author.seed)),
        seed=author.seed,
        nonce=os.urandom(16).hex(),
        expires_time=now_ms + MAX_LIFETIME_MS // 2,
    )
