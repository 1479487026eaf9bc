"""What the subject of a risk signal says: I appeal. A compact JWS like every token; tokens reads it.

It is signed with the key that the signal names and whose secret the subject alone was sent, not with a consent's:
whoever reads the ledger learns from an appeal neither a person nor a consent nor a case (protocol rule 9).
"""

from typing import Literal

from msgspec import Struct

from ledger.types import Hex16, Hex32, NetworkId

APPEAL_TYPE = "risk-appeal+jwt"


class AppealWord(Struct, frozen=True, forbid_unknown_fields=True):
    """The subject does not accept this signal. `reason_commit`: of what it says against it."""

    v: Literal[1]
    network: NetworkId
    signal_id: Hex32
    reason_commit: Hex32
    nonce: Hex16
