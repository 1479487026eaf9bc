"""The closed schemas of transactions about risk signals: signal, appeal, withdraw.

No field has room for a person, a hospital, a rule or an amount: subject and content are commitments, and who was sent
the content is not said either, only the digests of its ciphertexts.
"""

from typing import Annotated, Final, Literal, TypeAlias

from msgspec import Meta, Struct

from ledger.types import Hex32, Millis

MAX_DELIVERED: Final = 16
"""Ciphertexts of one signal: one for all participants that may read it, one for its subject, and some to spare."""
MAX_TOKEN_CHARS: Final = 16_384
Level: TypeAlias = Literal["INDICATED", "DOCUMENTED", "ESTABLISHED"]
"""INDICATED: a rule was hit. DOCUMENTED: a person compared the documents. ESTABLISHED: the subject was heard,
or a court or authority decided."""


class _Body(Struct, frozen=True, forbid_unknown_fields=True):
    pass


class RiskSignal(_Body, frozen=True):
    """`risk.signal`, by an insurer, a TPA or a commission.

    `appeal_key` (Ed25519) is made for this signal alone; its secret goes to the subject. After `expires_ms` (block
    time) the signal counts for nothing.
    """

    subject_commit: Hex32
    content_commit: Hex32
    level: Level
    expires_ms: Millis
    appeal_key: Hex32
    delivered: Annotated[tuple[Hex32, ...], Meta(min_length=1, max_length=MAX_DELIVERED)]


class RiskAppeal(_Body, frozen=True):
    """`risk.appeal`: the subject's `token`, relayed by anybody; or by the hospital that is the subject, which opens the
    subject's commitment with `subject_salt`."""

    signal_id: Hex32
    reason_commit: Hex32
    token: Annotated[str, Meta(max_length=MAX_TOKEN_CHARS)] | None
    subject_salt: Hex32 | None


class RiskWithdraw(_Body, frozen=True):
    """`risk.withdraw`, by who gave the signal: it counts for nothing any more."""

    signal_id: Hex32
    reason_commit: Hex32


RISK_BODIES: Final[dict[str, type[Struct]]] = {
    "risk.signal": RiskSignal,
    "risk.appeal": RiskAppeal,
    "risk.withdraw": RiskWithdraw,
}
