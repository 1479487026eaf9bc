"""Consents that are not plain ones, for tests: attestations, ratifications, other keys, on a `Network`."""

from collections.abc import Iterable
from typing import Any

from msgspec import structs

from contracts.bodies import ConsentGrant
from contracts.consentbodies import ConsentRatify, ConsentRekey
from contracts.consentlife import DAY_MS
from contracts.consenttokens import (
    RATIFICATION_TYPE,
    REKEYING_TYPE,
    VETO_TYPE,
    Attestation,
    Ratification,
    Rekeying,
    RekeyVeto,
    attestation_message,
    derive_token_id,
)
from contracts.receipts import Receipt
from contracts.tokens import encode_token
from ledger.crypto import ed25519
from ledger.crypto.hashing import tagged_hex
from tests.support.network_builder import Customer, Network, make_bytes, make_hex
from tests.support.network_members import Member

MONTH_MS = 30 * DAY_MS
FORM = make_hex("signed form")
WARD = make_hex("ward")
BASES: dict[str, dict[str, Any]] = {
    "self": {},
    "paper": {"form_hash": FORM},
    "guardian": {"form_hash": FORM, "ward_commit": WARD},
    "court": {"form_hash": FORM},
    "emergency": {},
}
"""The fields that each basis adds to a token."""
SIGNERS: dict[str, tuple[str, ...]] = {
    "self": (),
    "paper": ("hospital", "tpa"),
    "guardian": ("commission", "hospital"),
    "court": ("commission", "insurer"),
    "emergency": ("hospital",),
}
"""Enough participants for each basis."""


def attest(network: Network, token: str, *signers: str | Member) -> tuple[Attestation, ...]:
    """The attestations of these members."""
    token_id = derive_token_id(token)
    found = []
    for item in signers:
        member = network.members[item] if isinstance(item, str) else item
        message = attestation_message(token_id, member.id, member.key_id)
        found.append(Attestation(token_id, member.id, member.key_id, member.sign(message)))
    return tuple(found)


def make_based(network: Network, basis: str, *policy_ids: str, **changes: Any) -> Customer:
    """A consent on this basis, for a month."""
    fields: dict[str, Any] = {"basis": basis, **BASES[basis]}
    if basis != "self":
        fields["exp_ms"] = network.now_ms + MONTH_MS
    return network.make_consent(policy_ids, **fields | changes)


def grant_based(network: Network, customer: Customer, signers: Iterable[str | Member] | None = None) -> Receipt:
    """Put it on the ledger with the signers that its basis takes, or with others."""
    chosen = SIGNERS[customer.consent.basis] if signers is None else tuple(signers)
    network.customers[customer.consent_id] = customer
    body = ConsentGrant((customer.token,), attest(network, customer.token, *chosen))
    return network.do("consent.grant", body, "hospital")


def make_ratification(chain: Network, customer: Customer, *signers: str, **changes: Any) -> tuple[ConsentRatify, bytes]:
    """(body, seed of the new key)."""
    seed = make_bytes(f"ratifying {chain.count()}")
    token = Ratification(
        v=1,
        network=chain.genesis.network,
        consent_id=customer.consent_id,
        basis="self",
        key=ed25519.public_key(seed).hex(),
        payee_commit=make_hex("their payee"),
        mailbox_key=make_hex("their mailbox"),
        revoke_hash=tagged_hex("revocation-slip", make_bytes("their slip")),
        notify="mailbox",
        exp_ms=chain.now_ms + MONTH_MS,
        nonce=make_hex(f"ratification {chain.count()}", 16),
    )
    text = encode_token(structs.replace(token, **changes), RATIFICATION_TYPE, seed)
    return ConsentRatify(customer.consent_id, text, attest(chain, text, *signers)), seed


def make_rekeying(
    network: Network, consent_id: str, *signers: str, seed: bytes | None = None, changes: dict[str, Any] | None = None
) -> ConsentRekey:
    """The wish for the key of `seed`; `changes` replace signed fields."""
    secret = seed or make_bytes("another key")
    fields: dict[str, Any] = {
        "v": 1,
        "network": network.genesis.network,
        "consent_id": consent_id,
        "key": ed25519.public_key(secret).hex(),
        "mailbox_key": make_hex("another mailbox"),
        "nonce": make_hex(f"rekeying {network.count()}", 16),
    }
    text = encode_token(Rekeying(**fields | (changes or {})), REKEYING_TYPE, secret)
    return ConsentRekey(consent_id, "ask", text, attest(network, text, *signers))


def make_veto(network: Network, consent_id: str, seed: bytes, *, key_of: bytes | None = None) -> ConsentRekey:
    """The old key's no to the key of `key_of`."""
    key = ed25519.public_key(key_of or make_bytes("another key")).hex()
    veto = RekeyVeto(1, network.genesis.network, consent_id, key, make_hex(f"veto {network.count()}", 16))
    return ConsentRekey(consent_id, "veto", encode_token(veto, VETO_TYPE, seed), ())


def apply_key(consent_id: str) -> ConsentRekey:
    """Put the key that was asked for in place."""
    return ConsentRekey(consent_id, "apply", None, ())
