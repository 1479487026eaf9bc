"""The customer's word on money that comes back to an insurer. Beside the wallet; imports no node.

A recovery (protocol rule 8) is what was advanced beyond the decision. Insurer and customer hold the same opening of how
it is settled; the ledger holds its commitment. Must always hold: nothing is signed that does not open to it.
"""

import os
from collections.abc import Callable
from typing import Any

from contracts.commitments import commit
from contracts.holdtokens import RECOVERY_TYPE, RecoveryWord
from contracts.tokens import encode_token
from node.wallet import ConsentWallet, WalletError

Chance = Callable[[int], bytes]


def build_repayment(
    recovery_id: str, amount_fen: int, currency: str, reference: str, chance: Chance = os.urandom
) -> dict[str, Any]:
    """How a recovery is settled: this sum, in minor units, came by the payment of this reference."""
    return {
        "salt": chance(32).hex(),
        "recovery_id": recovery_id,
        "amount_fen": amount_fen,
        "currency": currency,
        "reference": reference,
    }


def make_recovery_word(
    wallet: ConsentWallet, repayment: dict[str, Any], owed_fen: int, chance: Chance = os.urandom
) -> str:
    """The customer paid this back. `owed_fen` is what the decision in its own mailbox says. Raises WalletError."""
    if repayment.get("amount_fen") != owed_fen or not isinstance(repayment.get("recovery_id"), str):
        raise WalletError("recovery", f"the settlement is not about {owed_fen} minor units")
    word = RecoveryWord(
        v=1,
        network=wallet.network,
        consent_id=wallet.consent_id,
        recovery_id=repayment["recovery_id"],
        way="paid",
        settlement_commit=commit("settlement", repayment),
        set_off_payout=None,
        nonce=chance(16).hex(),
    )
    return encode_token(word, RECOVERY_TYPE, bytes.fromhex(wallet.seed))
