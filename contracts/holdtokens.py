"""What a customer says about money that is to come back. A compact JWS like every token; tokens reads it."""

from typing import Literal

from msgspec import Struct

from ledger.types import Hex16, Hex32, NetworkId

RECOVERY_TYPE = "recovery-settle+jwt"


class RecoveryWord(Struct, frozen=True, forbid_unknown_fields=True):
    """The customer settled this recovery so, or lets it be taken from this payout. It names one settlement."""

    v: Literal[1]
    network: NetworkId
    consent_id: Hex32
    recovery_id: Hex32
    way: Literal["paid", "set_off"]
    settlement_commit: Hex32
    set_off_payout: Hex32 | None
    nonce: Hex16
