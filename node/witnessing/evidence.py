"""Reading what a witness kept of a log that contradicted itself: does it convict, and of what.

Knows two signed notes and the keys of the log. Needs no network. Must always hold: a verdict rests on signatures by
the log's own keys alone, never on the word of the witness.
"""

from collections.abc import Sequence
from typing import Literal

from msgspec import Struct

from ledger.checkpoints import Checkpoint, parse_checkpoint
from ledger.encoding import decode_as
from ledger.errors import DecodeError, InvalidProof
from ledger.merkle import verify_consistency
from ledger.notes import VerifierKey, parse_note, verify_note
from node.witnessing.witness import MAX_RECORD_BYTES, Conflict


class Verdict(Struct, frozen=True):
    """`two_histories`: two roots for one size, signed: a proof for anybody. `unexplained`: the log signed both, and the
    way that it gave from one to the other does not lead there; an honest log could still show another."""

    verdict: Literal["two_histories", "unexplained"]
    origin: str
    sizes: tuple[int, int]
    roots: tuple[str, str]
    signers: tuple[str, str]


def decode_conflict(data: bytes) -> Conflict:
    """A file of evidence. Raises DecodeError."""
    return decode_as(data, Conflict, limit=MAX_RECORD_BYTES)


def judge_conflict(conflict: Conflict, keys: Sequence[VerifierKey]) -> Verdict:
    """What the evidence shows, under these keys of the log.

    Raises SignatureError if the log did not sign both notes, DecodeError `evidence` if they do not contradict.
    """
    first, signed_first = _signed(conflict.signed_before, keys)
    second, signed_second = _signed(conflict.submitted, keys)
    if first.origin != second.origin:
        raise DecodeError("evidence", "the two checkpoints are of different logs")
    if first.size == second.size:
        if first.root == second.root:
            raise DecodeError("evidence", "the two checkpoints say the same")
    elif _leads(first, second, conflict.proof):
        raise DecodeError("evidence", "the proof leads from the first checkpoint to the second")
    return Verdict(
        verdict="two_histories" if first.size == second.size else "unexplained",
        origin=first.origin,
        sizes=(first.size, second.size),
        roots=(first.root.hex(), second.root.hex()),
        signers=(signed_first, signed_second),
    )


def _signed(text: str, keys: Sequence[VerifierKey]) -> tuple[Checkpoint, str]:
    note = parse_note(text.encode())
    found = verify_note(note, keys)
    return parse_checkpoint(note.text), found[0].key.vkey


def _leads(first: Checkpoint, second: Checkpoint, proof: tuple[str, ...]) -> bool:
    try:
        verify_consistency(first.size, second.size, first.root, second.root, [bytes.fromhex(item) for item in proof])
    except InvalidProof:
        return False
    return True
