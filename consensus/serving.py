"""Answers to peers that miss something (R10): one message at most for each that asks.

Knows what is held here. Must always hold: an answer proves itself, so a wrong one can only cost time.
"""

from consensus.effects import Serve
from consensus.messages import Certified, Payload, WantCertificate
from consensus.outbox import Outbox
from consensus.state import State


def on_certificate_wanted(state: State, out: Outbox, sender: str, wanted: WantCertificate) -> bool:
    """R10: the exact kind if it is here, else what is known of that view, else the highest finalization."""
    if wanted.epoch != state.config.epoch:
        return False
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
