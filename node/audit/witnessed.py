"""A dossier's tie to what outsiders saw: a witnessed checkpoint that holds the end of the last epoch before the anchor.

Needs the genesis and the verifier keys of the witnesses that the auditor trusts. Keys of validators that left may fall
into other hands; who has enough of them could tell a second history from their time on. Must always hold: a file counts
as witnessed only if a trusted witness cosigned a checkpoint whose log holds the very header that handed over to the
anchor's validators, and anchor and checkpoint are of one history; a tie that does not hold spoils the whole file.
"""

from collections.abc import Sequence
from typing import Literal

from msgspec import Struct, structs

from contracts.execution import ChainState
from ledger.blocks import header_hash
from ledger.checkpoints import Checkpoint, note_key, parse_checkpoint
from ledger.errors import LedgerError
from ledger.merkle import (
    NodeReader,
    consistency_proof,
    inclusion_proof,
    leaf_hash,
    verify_consistency,
    verify_inclusion,
)
from ledger.notes import COSIGNATURE, Note, VerifierKey, encode_note, parse_note, verify_note
from node.audit.dossier import Dossier, WitnessedCheckpoint
from node.audit.report import AuditFailure

NUMBER = 3


class Cosignature(Struct, frozen=True):
    """Which trusted witness signed, and when (seconds since 1970, by its own clock)."""

    witness: str
    time_s: int


class Witnessing(Struct, frozen=True):
    """What outsiders say of a file: `not_needed` if it crosses no change of validators."""

    state: Literal["witnessed", "not_witnessed", "not_needed"]
    detail: str
    size: int | None = None
    cosignatures: tuple[Cosignature, ...] = ()


def add_checkpoint(dossier: Dossier, note: Note | None, node: NodeReader) -> Dossier:
    """The dossier with the witnessed checkpoint that it needs, if `note` is one; `node` reads the log's hashes.

    Unchanged if it crosses no change of validators, or the checkpoint is older than the last one.
    """
    if note is None or not dossier.epochs:
        return dossier
    checkpoint, index = parse_checkpoint(note.text), dossier.epochs[-1].header.log_size
    if checkpoint.size <= index:
        return dossier
    sizes = sorted((checkpoint.size, dossier.anchor.header.log_size))
    carried = WitnessedCheckpoint(
        checkpoint=encode_note(note).decode(),
        path=tuple(item.hex() for item in inclusion_proof(index, checkpoint.size, node)),
        consistency=tuple(item.hex() for item in consistency_proof(sizes[0], sizes[1], node)),
    )
    return structs.replace(dossier, witness=carried)


def check_witnessed(dossier: Dossier, start: ChainState, trusted: Sequence[VerifierKey]) -> Witnessing:
    """What the carried checkpoint is worth, after check 3. Raises AuditFailure 3 if it does not belong to the file."""
    changes = len(dossier.epochs)
    if dossier.witness is None:
        if not changes:
            return Witnessing("not_needed", "the validators are those of the genesis")
        return Witnessing(
            "not_witnessed", f"the file crosses {changes} changes of validators and carries no checkpoint"
        )
    if not changes:
        raise AuditFailure(NUMBER, "checkpoint", "a checkpoint is carried where no change of validators is crossed")
    try:
        note = parse_note(dossier.witness.checkpoint.encode())
        checkpoint, keys = parse_checkpoint(note.text), _log_keys(start)
        if checkpoint.origin != keys[0].name:
            raise AuditFailure(NUMBER, "origin", f"the witnessed checkpoint is of another log than {keys[0].name}")
        verify_note(note, keys)
        _check_ties(dossier, dossier.witness, checkpoint)
        found = _cosignatures(note, trusted)
    except LedgerError as error:
        raise AuditFailure(NUMBER, error.code, f"the witnessed checkpoint: {error.detail}") from None
    if not found:
        detail = "no witness that is trusted here cosigned the carried checkpoint"
        return Witnessing("not_witnessed", detail, checkpoint.size)
    names = ", ".join(item.witness for item in found)
    return Witnessing("witnessed", f"cosigned by {names}", checkpoint.size, found)


def _log_keys(start: ChainState) -> list[VerifierKey]:
    genesis = start.genesis
    return [note_key(genesis.network, start.chain, bytes.fromhex(member.note_key)) for member in genesis.participants]


def _check_ties(dossier: Dossier, carried: WitnessedCheckpoint, checkpoint: Checkpoint) -> None:
    """The epoch's last header is under the checkpoint's root; checkpoint and anchor are of one history."""
    end, anchor = dossier.epochs[-1].header, dossier.anchor.header
    path = [bytes.fromhex(item) for item in carried.path]
    # the header's hash is the first leaf after its block
    verify_inclusion(leaf_hash(header_hash(end)), end.log_size, checkpoint.size, path, checkpoint.root)
    heads = sorted([(checkpoint.size, checkpoint.root), (anchor.log_size, bytes.fromhex(anchor.log_root))])
    steps = [bytes.fromhex(item) for item in carried.consistency]
    verify_consistency(heads[0][0], heads[1][0], heads[0][1], heads[1][1], steps)


def _cosignatures(note: Note, trusted: Sequence[VerifierKey]) -> tuple[Cosignature, ...]:
    """Those by trusted witnesses. Raises SignatureError `bad_signature` if one of theirs is false."""
    known = [key for key in trusted if key.kind == COSIGNATURE]
    lines = {(line.name, line.key_id) for line in note.signatures}
    if not any((key.name, key.key_id) in lines for key in known):
        return ()
    return tuple(Cosignature(item.key.name, item.time_s or 0) for item in verify_note(note, known))
