"""Answers to peers that miss something (R10, R12): one message at most for each that asks.

Knows what is held here. Must always hold: an answer proves itself, so a wrong one can only cost time.
"""

from consensus.effects import Serve, ServeClosing
from consensus.messages import Certified, Payload, WantCertificate
from consensus.outbox import Outbox
from consensus.state import State

MAX_TOLD = 1_024
"""R12: peers of other epochs whose last answer is remembered; with more, all may be answered again at once."""


def on_certificate_wanted(state: State, out: Outbox, sender: str, wanted: WantCertificate) -> bool:
    """R10: the exact kind if it is here, else what is known of that view, else the highest finalization."""
    found = state.views.get(wanted.view)
    certificate = None
    if found is not None:
        certificate = found.certificates.get(wanted.kind) or found.best_entry()
    if certificate is None and wanted.view <= state.final_view:
        certificate = state.finalized
    if certificate is not None:
        out.send(sender, Certified(certificate))
    return True


def on_payload_wanted(state: State, out: Outbox, sender: str, digest: bytes) -> bool:
    """R10c: block bytes from memory, or from the host's store when the block is below the floor."""
    payload = state.find_payload(digest)
    if payload is not None:
        out.send(sender, Payload(digest.hex()), payload)
    else:
        out.sends.append(Serve(sender, digest))
    return True


def on_other_epoch(state: State, out: Outbox, sender: str, epoch: int) -> None:
    """R12: statements of another epoch are not counted, but never left unanswered, at most once per `retry` and peer.

    Whoever is behind is told how its epoch ended; whoever is ahead is asked how ours did.
    """
    if state.told_at.get(sender, -state.config.timing.retry) + state.config.timing.retry > state.now:
        return
    if len(state.told_at) >= MAX_TOLD:
        state.told_at.clear()
    state.told_at[sender] = state.now
    if epoch < state.config.epoch:
        out.sends.append(ServeClosing(sender, epoch))
    elif not state.closed:
        out.send(sender, WantCertificate(state.config.epoch, "finalize", state.final_view + 1))
