"""The closed schemas of transactions about a consent that is on the ledger: delegate, ratify, rekey.

Grant and revocation stand in bodies. Nothing personal has a field.
"""

from typing import Annotated, Final, Literal

from msgspec import Meta, Struct

from contracts.consenttokens import MAX_ATTESTATIONS, Attestation
from ledger.types import Hex32, Millis, OrgId

MAX_TOKEN_CHARS = 16_384
Token = Annotated[str, Meta(max_length=MAX_TOKEN_CHARS)]
Attestations = Annotated[tuple[Attestation, ...], Meta(max_length=MAX_ATTESTATIONS)]


class _Body(Struct, frozen=True, forbid_unknown_fields=True):
    pass


class ConsentDelegate(_Body, frozen=True):
    """`consent.delegate`, by a grantee or a delegate: part of what it may do, to `to`, until `until_ms`."""

    consent_id: Hex32
    to: OrgId
    purposes: Annotated[tuple[Literal["report", "pay", "audit"], ...], Meta(min_length=1, max_length=3)]
    data_classes: Annotated[tuple[Literal["identity", "clinical", "charges"], ...], Meta(max_length=3)]
    until_ms: Millis


class ConsentRatify(_Body, frozen=True):
    """`consent.ratify`, relayed by anybody: an emergency consent becomes the customer's."""

    consent_id: Hex32
    token: Token
    attestations: Attestations


class ConsentRekey(_Body, frozen=True):
    """`consent.rekey`, relayed by anybody. `ask` with the new key's token and attestations; `veto` with the old key's
    token; `apply` without a token, once the time for a veto is over."""

    consent_id: Hex32
    step: Literal["ask", "veto", "apply"]
    token: Token | None
    attestations: Attestations


CONSENT_BODIES: Final[dict[str, type[Struct]]] = {
    "consent.delegate": ConsentDelegate,
    "consent.ratify": ConsentRatify,
    "consent.rekey": ConsentRekey,
}
