"""Identifiers that the ledger derives, so that no author can choose one (protocol rule 1)."""

from collections.abc import Iterable

from ledger.crypto.hashing import tagged_hash, tagged_hex
from ledger.encoding import encode, encode_trusted
from ledger.merkle import leaf_hash, root_of


def derive_consent_id(signing_input: bytes) -> str:
    """Hash of the JWS signing input (header.payload in base64url): the signature is not part of the id."""
    return tagged_hex("consent-id", signing_input)


def derive_case_id(consent_id: str) -> str:
    """The one case of a single-case consent."""
    return tagged_hex("case-id", encode({"consent_id": consent_id}))


def derive_standing_case(secret: str, counter: int) -> str:
    """The id of a standing consent's case: of its secret (64 hexadecimal digits) and a number that is used once.

    Derived by the parties, who are shown the secret; whoever lacks it can neither guess the next id nor tell which
    number an id has (protocol rule 7).
    """
    return tagged_hex("standing-case", encode({"secret": secret, "counter": counter}))


def derive_record_id(network: str, author: str, commitment: str) -> str:
    """Known to the author before publication, so that envelopes can be bound to it."""
    return tagged_hex("record-id", encode_trusted({"network": network, "author": author, "commitment": commitment}))


def derive_claim_id(case_id: str, insurer: str) -> str:
    """One claim per case and insurer."""
    return tagged_hex("claim-id", encode({"case_id": case_id, "insurer": insurer}))


def derive_pool_id(case_id: str) -> str:
    """The loss pool of a stay."""
    return tagged_hex("pool-id", encode({"case_id": case_id}))


def derive_payout_id(claim_id: str, policy_id: str, attempt: int) -> str:
    """One payout per claim, policy and adjudication attempt."""
    return tagged_hex("payout-id", encode({"claim_id": claim_id, "policy_id": policy_id, "attempt": attempt}))


def derive_proposal_id(network: str, author: str, proposal: object) -> str:
    """Who proposes what, until when."""
    return tagged_hex("proposal-id", encode({"network": network, "author": author, "proposal": proposal}))


def derive_product_hash(contract_hash: str, tables_hash: str) -> str:
    """What a policy commits to: a program and the tables it runs with."""
    return tagged_hex("product", encode({"contract_hash": contract_hash, "tables_hash": tables_hash}))


def derive_tables_hash(product: object) -> str:
    """Hash of a product's tables (the `product` object of an adjudication case)."""
    return tagged_hex("tables", encode(product))


def derive_evidence_root(records: Iterable[tuple[str, str]]) -> str:
    """RFC 6962 root over (record id, commitment), ascending by record id."""
    leaves = [
        leaf_hash(encode({"record_id": record_id, "commitment": commitment}))
        for record_id, commitment in sorted(records)
    ]
    return root_of(leaves).hex()


def derive_nullifier(signature: bytes) -> str:
    """Nullifier of an invoice: hash of the commission's unique BLS signature over `invoice_message`."""
    return tagged_hex("nullifier", signature)


def invoice_message(invoice_type: str, code: str, number: str) -> bytes:
    """What the commission signs for an invoice: type, code and number exactly as printed, ASCII digits only."""
    return tagged_hash("invoice", encode({"type": invoice_type, "code": code, "number": number}))


def derive_hold_id(kind: str, claim_id: str, policy_id: str, number: int) -> str:
    """Advance or guarantee number `number` (from 1) of a claim and policy; an advance's payout has the same id."""
    named = {"kind": kind, "claim_id": claim_id, "policy_id": policy_id, "number": number}
    return tagged_hex("hold-id", encode(named))


def derive_recovery_id(claim_id: str, policy_id: str, attempt: int) -> str:
    """One recovery per claim, policy and adjudication attempt."""
    return tagged_hex("recovery-id", encode({"claim_id": claim_id, "policy_id": policy_id, "attempt": attempt}))


def derive_batch_id(hospital: str, insurer: str, sequence: int) -> str:
    """The statement of account number `sequence` of a hospital to an insurer."""
    return tagged_hex("batch-id", encode({"hospital": hospital, "insurer": insurer, "sequence": sequence}))
