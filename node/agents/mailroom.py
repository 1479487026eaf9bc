"""What a node does for customers: relay their tokens and payee openings, keep their mail for pick-up.

Knows tokens as bytes; their signatures are the ledger's to check. Must always hold: a customer's mail is given out as
ciphertext only, and a payee opening goes to the consent's insurers and nobody else.
"""

from base64 import urlsafe_b64decode
from typing import Any, Final

from msgspec import Struct

from contracts.bodies import ConsentGrant, ConsentRevoke, PayoutAck, PayoutContest
from contracts.errors import TokenError
from contracts.states import CaseState, decode_state, read_consent
from contracts.tokens import (
    ACKNOWLEDGEMENT_TYPE,
    CONSENT_TYPE,
    CONTEST_TYPE,
    MAX_TOKEN_BYTES,
    REVOCATION_TYPE,
    decode_consent,
)
from ledger.crypto.envelopes import decode_envelope, encode_envelope
from ledger.encoding import decode
from ledger.errors import DecodeError, EnvelopeError
from node.agents.mail import post
from node.agents.ports import Ports
from node.agents.submitting import Submitter
from node.errors import NodeError
from node.vault.parcels import envelope_subject

KEPT: Final = ("decision", "notice", "settlement", "risk-notice")
MAX_PAYEE_BYTES: Final = 256 * 1024
"""A payee opening is a few hundred bytes, padded to 64 kB."""


class RelayRefused(NodeError):
    """Nothing that this node can relay: `token`, `payee`."""


class Mailroom:
    """One node's counter for customers."""

    def __init__(self, ports: Ports, submitter: Submitter) -> None:
        self._ports = ports
        self._submitter = submitter

    async def relay_token(self, token: str) -> str:
        """Submit a consent, revocation or acknowledgement. Returns the transaction id.

        Raises RelayRefused `token`, Rejected, Overloaded. What the token says is judged by the ledger.
        """
        kind, body = _body_of(token)
        signed = self._submitter.sign(kind, body)
        return await self._ports.ledger.submit_bytes(signed.encoded)

    async def relay_slip(self, consent_id: str, slip: str) -> str:
        """Revoke with the slip alone. Returns the transaction id."""
        signed = self._submitter.sign("consent.revoke", ConsentRevoke(consent_id=consent_id, token=None, slip=slip))
        return await self._ports.ledger.submit_bytes(signed.encoded)

    def relay_payee(self, token: str, envelope: bytes) -> None:
        """Send the payee's opening, sealed by the customer, to the insurers that the consent token names.

        Before or after the consent is final: the insurers keep it until it is. Raises RelayRefused `token`, `payee`.
        """
        if len(envelope) > MAX_PAYEE_BYTES:
            raise RelayRefused("payee", f"{len(envelope)} bytes, at most {MAX_PAYEE_BYTES}")
        try:
            decoded, sealed = decode_consent(token), decode_envelope(envelope)
        except TokenError as error:
            raise RelayRefused("token", error.detail) from None
        except EnvelopeError as error:
            raise RelayRefused("payee", f"no envelope: {error.code}") from None
        if sealed.header.subject != envelope_subject("payee", decoded.consent_id):
            raise RelayRefused("payee", "the envelope belongs to another consent")
        insurers = [item.participant for item in decoded.consent.grantees if item.rank is not None]
        post(self._ports, "payee", decoded.consent_id, None, sealed, insurers)

    def mail_of(self, consent_id: str) -> list[dict[str, Any]]:
        """The customer's mail that this node keeps: {kind, subject, digest, envelope (hex)}, oldest first.

        Anybody may ask for it through the API's own checks; only the mailbox key opens it.
        """
        consent = read_consent(self._ports.ledger.final.read, consent_id)
        if consent is None:
            return []
        cases = (consent.case_id,) if consent.case_id else self._cases_of(consent_id)
        found = [item for kind in KEPT for case in cases for item in self._ports.vault.parcels_of_case(kind, case)]
        return [
            {
                "kind": item.kind,
                "subject": item.subject,
                "digest": item.digest,
                "envelope": encode_envelope(self._ports.vault.envelope(item.digest)).hex(),
            }
            for item in sorted(found, key=lambda item: item.id)
        ]

    def _cases_of(self, consent_id: str) -> list[str]:
        """Every case that a standing consent opened."""
        found = []
        for key, item in self._ports.ledger.state_family(CaseState.FAMILY):
            case = decode_state(item.value, CaseState) if item.value is not None else None
            if case is not None and case.consent_id == consent_id:
                found.append(key.partition("/")[2])
        return found


def _body_of(token: str) -> tuple[str, Struct]:
    """The transaction that carries a token, by the token's own type."""
    parts = token.split(".")
    if len(parts) != 3 or len(token) > MAX_TOKEN_BYTES:
        raise RelayRefused("token", "a token is a compact JWS of three parts")
    kind = _read_part(parts[0]).get("typ")
    if kind == CONSENT_TYPE:
        return "consent.grant", ConsentGrant(tokens=(token,))
    if kind == ACKNOWLEDGEMENT_TYPE:
        return "payout.ack", PayoutAck(token=token)
    if kind == CONTEST_TYPE:
        return "payout.contest", PayoutContest(token=token)
    consent_id = _read_part(parts[1]).get("consent_id")
    if kind != REVOCATION_TYPE or not isinstance(consent_id, str):
        raise RelayRefused("token", f"typ is none of {CONSENT_TYPE}, {REVOCATION_TYPE}, {ACKNOWLEDGEMENT_TYPE}")
    return "consent.revoke", ConsentRevoke(consent_id=consent_id, token=token, slip=None)


def _read_part(part: str) -> dict[str, Any]:
    try:
        value = decode(urlsafe_b64decode(part.encode("ascii") + b"=" * (-len(part) % 4)), limit=MAX_TOKEN_BYTES)
    except (ValueError, DecodeError):
        raise RelayRefused("token", "a part of the token is no base64url JSON") from None
    return value if isinstance(value, dict) else {}
