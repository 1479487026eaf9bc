"""Risk signals: given for a time, appealed by their subject, withdrawn by who gave them.

Knows commitments and keys. Must not know persons or rules: what a signal says is sealed. Must always hold: only
insurers, TPAs and commissions give signals, each ends by itself, and an appeal shows nobody who appeals unless a
hospital chooses to speak in its own name.
"""

from typing import Final

from msgspec.structs import replace

from contracts.errors import Refusal, TokenError
from contracts.operations import Operation
from contracts.riskbodies import RiskAppeal, RiskSignal, RiskWithdraw
from contracts.riskcontent import commit_subject, derive_signal_id
from contracts.riskstates import MAX_SIGNAL_MS, RiskSignalState, next_signal_status
from contracts.tokens import decode_risk_appeal

SIGNALLERS: Final = frozenset({"insurer", "tpa", "commission"})


def apply_signal(operation: Operation, body: RiskSignal) -> str:
    """`risk.signal`. Refuses `ROLE_MISSING`, `SIGNAL_EXISTS`, `SIGNAL_PERIOD`."""
    if SIGNALLERS.isdisjoint(operation.participant(operation.author).roles):
        raise Refusal("ROLE_MISSING", f"{operation.author} is no insurer, TPA or commission", operation.author)
    signal_id = derive_signal_id(operation.block.network, operation.author, body.content_commit)
    if operation.has(RiskSignalState, signal_id):
        raise Refusal("SIGNAL_EXISTS", "this content was signalled before", signal_id)
    if not operation.time_ms < body.expires_ms <= operation.time_ms + MAX_SIGNAL_MS:
        raise Refusal("SIGNAL_PERIOD", f"a signal ends after it begins, at most {MAX_SIGNAL_MS} ms later", signal_id)
    signal = RiskSignalState(
        author=operation.author,
        subject_commit=body.subject_commit,
        content_commit=body.content_commit,
        level=body.level,
        appeal_key=body.appeal_key,
        delivered=body.delivered,
        status=next_signal_status(None, "risk.signal", signal_id),
        signalled_ms=operation.time_ms,
        expires_ms=body.expires_ms,
        appealed_ms=None,
        reason_commit=None,
    )
    operation.put(signal_id, signal)
    operation.emit("risk.signalled", signal_id)
    return signal_id


def apply_appeal(operation: Operation, body: RiskAppeal) -> str:
    """`risk.appeal`. Refuses `SIGNAL_UNKNOWN`, `WRONG_STATE`, `SIGNAL_EXPIRED`, `APPEAL_PROOF`, `APPEAL_MISMATCH`,
    `TOKEN_*`, `NETWORK_MISMATCH`, `ROLE_MISSING`."""
    signal = operation.require(RiskSignalState, body.signal_id, "SIGNAL_UNKNOWN")
    status = next_signal_status(signal.status, "risk.appeal", body.signal_id)
    if operation.time_ms >= signal.expires_ms:
        raise Refusal("SIGNAL_EXPIRED", "the signal counts for nothing any more", body.signal_id)
    _check_subject(operation, signal, body)
    appealed = replace(signal, status=status, appealed_ms=operation.time_ms, reason_commit=body.reason_commit)
    operation.put(body.signal_id, appealed)
    operation.emit("risk.appealed", body.signal_id)
    return body.signal_id


def apply_withdraw(operation: Operation, body: RiskWithdraw) -> str:
    """`risk.withdraw`. Refuses `SIGNAL_UNKNOWN`, `NOT_THE_SIGNALLER`, `WRONG_STATE`."""
    signal = operation.require(RiskSignalState, body.signal_id, "SIGNAL_UNKNOWN")
    if signal.author != operation.author:
        raise Refusal("NOT_THE_SIGNALLER", f"the signal is not {operation.author}'s", body.signal_id)
    status = next_signal_status(signal.status, "risk.withdraw", body.signal_id)
    operation.put(body.signal_id, replace(signal, status=status, reason_commit=body.reason_commit))
    operation.emit("risk.withdrawn", body.signal_id)
    return body.signal_id


def _check_subject(operation: Operation, signal: RiskSignalState, body: RiskAppeal) -> None:
    """The appeal is the subject's: by the key that it alone was sent, or by the hospital that opens the commitment."""
    if (body.token is None) == (body.subject_salt is None):
        raise Refusal("APPEAL_PROOF", "an appeal has the subject's token or the hospital's opening", body.signal_id)
    if body.token is not None:
        _check_token(operation, signal, body, body.token)
        return
    operation.require_role("hospital")
    if commit_subject(operation.author, body.subject_salt or "") != signal.subject_commit:
        raise Refusal("APPEAL_PROOF", "the signal is not about this hospital, or with another salt", body.signal_id)


def _check_token(operation: Operation, signal: RiskSignalState, body: RiskAppeal, token: str) -> None:
    try:
        word = decode_risk_appeal(token, signal.appeal_key)
    except TokenError as error:
        raise Refusal(error.code.upper(), error.detail, body.signal_id) from None
    if word.network != operation.block.network:
        raise Refusal("NETWORK_MISMATCH", f"the appeal is for {word.network}", body.signal_id)
    if (word.signal_id, word.reason_commit) != (body.signal_id, body.reason_commit):
        raise Refusal("APPEAL_MISMATCH", "the subject signed another appeal", body.signal_id)
