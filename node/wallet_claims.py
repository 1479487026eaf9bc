"""The customer's words about a claim: withdrawal, dispute, reopening, escalation, agreement. Beside the wallet.

Each is a token by the consent's own key about one attempt of one claim. What is said in words stays with the customer
and whom they give it to: the token holds its commitment. Imports no node. Must always hold: the opening that is handed
back opens the commitment that was signed.
"""

import os
from collections.abc import Callable, Sequence
from typing import Any

from contracts.claimtokens import (
    AGREEMENT_TYPE,
    DISPUTE_TYPE,
    ESCALATION_TYPE,
    REOPENING_TYPE,
    WITHDRAWAL_TYPE,
    Agreement,
    ClaimWord,
    Complaint,
    Deadline,
    EscalationRequest,
    ReopeningRequest,
    Withdrawal,
)
from contracts.commitments import commit
from contracts.tokens import encode_token
from node.wallet import ConsentWallet, WalletError

Chance = Callable[[int], bytes]
MAX_WORDS = 16_384
"""Characters of a complaint or a reason: ten pages."""


def make_withdrawal(wallet: ConsentWallet, claim_id: str, attempt: int, chance: Chance = os.urandom) -> str:
    """The customer gives the claim up."""
    return _sign(wallet, claim_id, attempt, WITHDRAWAL_TYPE, Withdrawal, chance)


def make_dispute(
    wallet: ConsentWallet,
    claim_id: str,
    attempt: int,
    words: str,
    disclosed: Sequence[str] = (),
    chance: Chance = os.urandom,
) -> tuple[str, dict[str, Any]]:
    """(token, openings for the arbiter). `disclosed`: digests of the openings that go with it. Raises WalletError."""
    complaint = _opening(claim_id, words, chance)
    disclosure = {"claim_id": claim_id, "digests": sorted(disclosed), "salt": chance(32).hex()}
    commits = {"complaint_commit": commit("complaint", complaint), "disclosure_commit": commit("complaint", disclosure)}
    token = _sign(wallet, claim_id, attempt, DISPUTE_TYPE, Complaint, chance, **commits)
    return token, {"complaint": complaint, "disclosure": disclosure}


def make_reopening(
    wallet: ConsentWallet, claim_id: str, attempt: int, words: str, chance: Chance = os.urandom
) -> tuple[str, str, dict[str, Any]]:
    """(token, commitment of the reason, its opening). Raises WalletError `words`."""
    reason = _opening(claim_id, words, chance)
    commitment = commit("complaint", reason)
    token = _sign(wallet, claim_id, attempt, REOPENING_TYPE, ReopeningRequest, chance, reason_commit=commitment)
    return token, commitment, {"complaint": reason}


def make_escalation(
    wallet: ConsentWallet, claim_id: str, attempt: int, deadline: Deadline, chance: Chance = os.urandom
) -> str:
    """The customer calls the arbiter."""
    return _sign(wallet, claim_id, attempt, ESCALATION_TYPE, EscalationRequest, chance, deadline=deadline)


def make_agreement(
    wallet: ConsentWallet, claim_id: str, attempt: int, statements: Sequence[str], chance: Chance = os.urandom
) -> str:
    """The customer agrees to outcome statements, by their digests in hex."""
    return _sign(wallet, claim_id, attempt, AGREEMENT_TYPE, Agreement, chance, statements=tuple(statements))


def _opening(claim_id: str, words: str, chance: Chance) -> dict[str, Any]:
    if not 0 < len(words.strip()) <= MAX_WORDS:
        raise WalletError("words", f"say why, in at most {MAX_WORDS} characters")
    return {"claim_id": claim_id, "words": words, "salt": chance(32).hex()}


def _sign(
    wallet: ConsentWallet,
    claim_id: str,
    attempt: int,
    token_type: str,
    kind: type[ClaimWord],
    chance: Chance,
    **more: Any,
) -> str:
    word = kind(
        v=1,
        network=wallet.network,
        consent_id=wallet.consent_id,
        claim_id=claim_id,
        attempt=attempt,
        nonce=chance(16).hex(),
        **more,
    )
    return encode_token(word, token_type, bytes.fromhex(wallet.seed))
