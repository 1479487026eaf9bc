"""C2SP tlog-checkpoints: the size and root of a log as a note, and what a log hands to a witness with one.

Knows the text of a checkpoint, a log's origin line and the body of `add-checkpoint` (C2SP tlog-witness). Must not know
keys of people or sockets. Must always hold: the origin follows from the genesis alone, so that two networks never share
one; this project writes no extension line, because no monitor could check it, and tolerates those of others.
"""

import re
from dataclasses import dataclass
from typing import Final

from ledger.errors import DecodeError
from ledger.merkle import EMPTY_ROOT, HASH_BYTES, MAX_SIZE
from ledger.notes import (
    ED25519,
    MAX_NOTE_BYTES,
    Note,
    VerifierKey,
    decode_base64,
    encode_base64,
    encode_note,
    parse_note,
    sign_text,
)

ORIGIN_PREFIX: Final = "claimnode.example"
"""Of the name space that RFC 2606 keeps for no real host: the origin is an identity, no address."""
ORIGIN_HASH_DIGITS: Final = 32
"""Hexadecimal digits of the chain id: 128 bits, which no one can meet by choosing a genesis."""
MAX_PROOF_LINES: Final = 63
MAX_SUBMISSION_BYTES: Final = MAX_NOTE_BYTES + 64 + (MAX_PROOF_LINES + 1) * 46
"""A note, the old size, and 63 hashes of 44 characters."""

_SIZE: Final = re.compile(r"0|[1-9][0-9]{0,15}")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a log commits to. `extensions` are lines that others add; they mean nothing here."""

    origin: str
    size: int
    root: bytes
    extensions: tuple[str, ...] = ()

    @property
    def text(self) -> bytes:
        """The text that is signed."""
        lines = (self.origin, str(self.size), encode_base64(self.root), *self.extensions)
        return "".join(line + "\n" for line in lines).encode()


@dataclass(frozen=True, slots=True)
class Submission:
    """The body of `add-checkpoint`: the size the witness signed last, the way from there, and the checkpoint."""

    old_size: int
    proof: tuple[bytes, ...]
    note: Note


def origin_of(network: str, chain: bytes) -> str:
    """The origin line of a network's log, and the name of every node's note key."""
    return f"{ORIGIN_PREFIX}/{network}/{chain.hex()[:ORIGIN_HASH_DIGITS]}"


def note_key(network: str, chain: bytes, public: bytes) -> VerifierKey:
    """The verifier key of one node of a network; `public` is its note key in the registry."""
    return VerifierKey(origin_of(network, chain), ED25519, public)


def sign_checkpoint(checkpoint: Checkpoint, secret_seed: bytes) -> Note:
    """The checkpoint as a note by a node: the key's name is the origin."""
    return Note(checkpoint.text, (sign_text(checkpoint.text, checkpoint.origin, secret_seed),))


def parse_checkpoint(text: bytes) -> Checkpoint:
    """The text of a note as a checkpoint. Raises DecodeError `checkpoint`, `base64`."""
    try:
        lines = text.decode("utf-8").split("\n")
    except UnicodeDecodeError:
        raise DecodeError("checkpoint", "a checkpoint is UTF-8") from None
    if len(lines) < 4 or lines.pop() or not all(lines):
        raise DecodeError("checkpoint", "a checkpoint is three lines or more, none empty, each ended by a newline")
    origin, size_text, root_text, *extensions = lines
    size, root = _parse_size(size_text), decode_base64(root_text)
    if len(root) != HASH_BYTES:
        raise DecodeError("checkpoint", f"a root hash has {HASH_BYTES} bytes, not {len(root)}")
    if not size and root != EMPTY_ROOT:
        raise DecodeError("checkpoint", "an empty log has one root, the hash of nothing")
    return Checkpoint(origin, size, root, tuple(extensions))


def encode_submission(submission: Submission) -> bytes:
    """The body of a request."""
    lines = [f"old {submission.old_size}", *map(encode_base64, submission.proof), ""]
    return "".join(line + "\n" for line in lines).encode() + encode_note(submission.note)


def parse_submission(data: bytes) -> Submission:
    """The body of `add-checkpoint`. Raises DecodeError `too_large`, `submission`, and those of `parse_note`."""
    if len(data) > MAX_SUBMISSION_BYTES:
        raise DecodeError("too_large", f"a submission of {len(data)} bytes, at most {MAX_SUBMISSION_BYTES}")
    head, mark, note = data.partition(b"\n\n")
    try:
        first, *proof_lines = head.decode("ascii").split("\n")
    except UnicodeDecodeError:
        raise DecodeError("submission", "the lines before the checkpoint are ASCII") from None
    if not mark or not first.startswith("old "):
        raise DecodeError("submission", "a submission is a line `old SIZE`, proof lines, an empty line, a checkpoint")
    if len(proof_lines) > MAX_PROOF_LINES:
        raise DecodeError("submission", f"{len(proof_lines)} proof lines, at most {MAX_PROOF_LINES}")
    proof = tuple(decode_base64(line) for line in proof_lines)
    if any(len(item) != HASH_BYTES for item in proof):
        raise DecodeError("submission", f"every hash of the proof has {HASH_BYTES} bytes")
    return Submission(_parse_size(first.removeprefix("old ")), proof, parse_note(note))


def _parse_size(text: str) -> int:
    if not _SIZE.fullmatch(text) or int(text) > MAX_SIZE:
        raise DecodeError("checkpoint", "a tree size is a decimal number without leading zeros, at most 2^53 - 1")
    return int(text)
