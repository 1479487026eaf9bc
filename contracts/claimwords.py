"""A customer's token about a claim, read and compared with the claim as it stands.

Any participant relays one; the key is the consent's, and a consent that was revoked or has ended still signs, since
nothing is read or paid by it. Must always hold: a token speaks about the attempt that it names and no other.
"""

from typing import TypeVar

from contracts.claimtokens import Agreement, ClaimWord, Withdrawal
from contracts.consentbases import check_speaks
from contracts.consents import token_refusal
from contracts.errors import Refusal, TokenError
from contracts.operations import Operation
from contracts.states import ClaimState, ConsentState
from contracts.tokens import decode_token, peek_token

W = TypeVar("W", bound=ClaimWord)


def read_word(
    operation: Operation, token: str, token_type: str, kind: type[W], claim_id: str | None = None
) -> tuple[W, ClaimState]:
    """The verified payload and its claim; `claim_id` where the body names one too.

    Raises Refusal `TOKEN_*`, `CLAIM_UNKNOWN`, `NETWORK_MISMATCH`, `CONSENT_MISMATCH`, `CLAIM_MISMATCH`,
    `ATTEMPT_MISMATCH`, `CONSENT_REKEYED` (who lost a key does not give a claim up, nor settle one, alone).
    """
    try:
        claimed = peek_token(token, token_type, kind)
        claim = operation.require(ClaimState, claimed.claim_id, "CLAIM_UNKNOWN")
        consent = operation.require(ConsentState, claim.consent_id, "CONSENT_MISSING")
        word = decode_token(token, token_type, kind, consent.key)
    except TokenError as error:
        raise token_refusal(error) from None
    expected = (
        ("NETWORK_MISMATCH", word.network, operation.block.network),
        ("CONSENT_MISMATCH", word.consent_id, claim.consent_id),
        ("CLAIM_MISMATCH", word.claim_id, claim_id or word.claim_id),
        ("ATTEMPT_MISMATCH", word.attempt, claim.attempt),
    )
    for code, stated, known in expected:
        if stated != known:
            raise Refusal(code, f"the token says {stated}, the ledger {known}", word.claim_id)
    if isinstance(word, Withdrawal | Agreement):
        check_speaks(operation, consent, claim.reported_ms, word.claim_id)
    return word, claim
