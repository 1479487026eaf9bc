"""What the small parcels between nodes hold: closed forms, so that another node's mistake is an error with a code."""

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from contracts.holdbodies import MAX_LINES
from contracts.statements import StatementSignature
from ledger.types import Count, Hex16, Hex32, Hex64, Millis


class _Message(Struct, frozen=True, forbid_unknown_fields=True):
    pass


class VerdictMessage(_Message, frozen=True, forbid_unknown_fields=True):
    """Commission to hospital: why a record was rejected or refused; of an accepted one, what it was let pass with."""

    record_id: Hex32
    codes: tuple[str, ...]


class Lock(_Message, frozen=True, forbid_unknown_fields=True):
    """An invoice's nullifier, and the commission's signature that it is made of."""

    nullifier: Hex32
    signature: str


class PoolMessage(_Message, frozen=True, forbid_unknown_fields=True):
    """To insurers and hospital: the opening of one version of a loss pool; the commission adds the invoice locks."""

    pool: dict[str, Any]
    locks: dict[str, Lock]


class SignaturesMessage(_Message, frozen=True, forbid_unknown_fields=True):
    """Co-adjudicator to insurer: by policy, the digests of the statements asked about and the signatures over them.

    `codes` holds why nothing was signed.
    """

    claim_id: Hex32
    key_id: Hex16
    statements: dict[Hex16, Hex32]
    signatures: dict[Hex16, Hex64]
    codes: tuple[str, ...]

    def signature_by(self, participant: str, policy_id: str) -> StatementSignature | None:
        """The signature for one policy, in the form that a statement carries."""
        found = self.signatures.get(policy_id)
        return None if found is None else StatementSignature(participant, self.key_id, found)


class ClosingMessage(_Message, frozen=True, forbid_unknown_fields=True):
    """Insurer to co-adjudicator: the close that needs its endorsement."""

    claim_id: Hex32
    nonce: Hex16
    expires_ms: Millis


class RestoringMessage(_Message, frozen=True, forbid_unknown_fields=True):
    """Insurer to co-adjudicator: account and loss pool as they are, and without an outcome that was reversed."""

    policy_id: Hex16
    account_in: dict[str, Any]
    account_out: dict[str, Any]
    pool_in: dict[str, Any]
    pool_out: dict[str, Any]
    nonce: Hex16
    expires_ms: Millis


class HeldPolicyPart(_Message, frozen=True, forbid_unknown_fields=True):
    """One policy of a claim with what an interim case takes from it; `holds` are its earlier ones, opened."""

    policy_id: Hex16
    terms: dict[str, Any]
    tables: dict[str, Any]
    contract_hash: Hex32
    account_in: dict[str, Any]
    holds: tuple[dict[str, Any], ...]


class HoldingMessage(_Message, frozen=True, forbid_unknown_fields=True):
    """Insurer to co-adjudicator: an advance, a guarantee or a recovery that needs its endorsement.

    The first two come with the interim record they were computed from and the account's next version.
    """

    what: Literal["advance", "guarantee", "recovery"]
    policy_id: Hex16
    opening: dict[str, Any]
    nonce: Hex16
    expires_ms: Millis
    account_out: dict[str, Any] | None = None
    document: dict[str, Any] = {}
    secret: str = ""
    policies: tuple[HeldPolicyPart, ...] = ()
    valid_to_ms: Millis = 0


class DrawOpening(_Message, frozen=True, forbid_unknown_fields=True):
    """Insurer to hospital and co-adjudicators: what was drawn on a guarantee, and of which figures (minor units)."""

    salt: Hex32
    guarantee_id: Hex32
    claim_id: Hex32
    policy_id: Hex16
    expenses_fen: Count
    net_fen: Count
    guaranteed_fen: Count
    amount_fen: Count
    currency: Annotated[str, Meta(max_length=3)]


class BatchLineOpening(_Message, frozen=True, forbid_unknown_fields=True):
    """One line of a batch."""

    salt: Hex32
    guarantee_id: Hex32
    claim_id: Hex32
    amount_fen: Count
    currency: Annotated[str, Meta(max_length=3)]


class BatchMessage(_Message, frozen=True, forbid_unknown_fields=True):
    """Hospital to insurer and reviewer: the openings of a batch's lines in their places, and of its totals."""

    lines: Annotated[tuple[BatchLineOpening, ...], Meta(max_length=MAX_LINES)]
    totals: dict[str, Any]


class BatchWordMessage(_Message, frozen=True, forbid_unknown_fields=True):
    """Reviewer to hospital and insurer: the openings of the reasons for which lines were returned."""

    reasons: Annotated[tuple[dict[str, Any], ...], Meta(max_length=MAX_LINES)]


class ClosureMessage(_Message, frozen=True, forbid_unknown_fields=True):
    """Co-adjudicator to insurer: the endorsement (`code` ok), or why there is none."""

    core_hash: Hex32
    key_id: Hex16
    signature: str
    code: str
