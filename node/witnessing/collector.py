"""A node's side of witnessing: it hands its checkpoints to outsiders and keeps their cosignatures.

Knows the configured witnesses by address and verifier key (C2SP tlog-witness). Must not know blocks. Must always
hold: only a cosignature that verifies under a configured key counts; what is published never goes back to a smaller
log; the last witnessed checkpoint survives a restart, and a ledger that does not lead to it publishes nothing.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final

from ledger.checkpoints import Checkpoint, Submission, encode_submission, parse_checkpoint
from ledger.errors import DecodeError, LedgerError, SignatureError
from ledger.notes import (
    COSIGNATURE,
    Note,
    NoteSignature,
    VerifierKey,
    encode_note,
    parse_note,
    parse_signature_line,
    parse_vkey,
    verify_line,
    with_signatures,
)
from node.clock import Clock
from node.errors import NodeError, Unavailable
from node.witnessing.files import write_whole
from node.witnessing.log import PublishedLog
from node.witnessing.settings import WitnessConfig

KEPT: Final = "checkpoint"
"""File in the data folder: the newest witnessed checkpoint."""
TRIES: Final = 3
"""Requests to one witness in one round: it says its size, is given the way from there, and may have moved on."""
MAX_ANSWER: Final = 16 * 1024
"""Bytes of a witness' answer: a handful of signature lines, post-quantum ones included."""
NOT_WITNESSED: Final = "NOT WITNESSED"

Post = Callable[[str, bytes], Awaitable[tuple[int, bytes]]]
"""(address, body) -> (status, answer); raises Unavailable."""


class Collector:
    """The cosignatures of one node's log. Used from one event loop."""

    def __init__(
        self, log: PublishedLog, config: WitnessConfig, folder: Path, clock: Clock, post: Post, say: Any
    ) -> None:
        self._log, self._config, self._clock, self._post, self._say = log, config, clock, post, say
        self._path = folder / KEPT
        self._keys = {item.url: parse_vkey(item.vkey) for item in config.witnesses}
        self._sizes = dict.fromkeys(self._keys, 0)
        self._faults: dict[str, str] = {}
        self._kept: tuple[Checkpoint, Note, int] | None = None
        self.rewritten = False
        """The kept checkpoint is not of this ledger: its history was changed."""
        self._wake = asyncio.Event()
        self._blocks = 0

    @property
    def required(self) -> int:
        """Cosignatures without which a checkpoint counts as not witnessed."""
        return self._config.required if self._config.required is not None else min(1, len(self._keys))

    @property
    def vkeys(self) -> tuple[str, ...]:
        """The verifier keys of the configured witnesses."""
        return tuple(item.vkey for item in self._config.witnesses)

    def load(self) -> None:
        """Read the kept checkpoint and compare it with the ledger; a file that is none counts as none."""
        with contextlib.suppress(FileNotFoundError, LedgerError):
            note = parse_note(self._path.read_bytes())
            checkpoint = parse_checkpoint(note.text)
            if checkpoint.origin == self._log.origin:
                self._kept = checkpoint, note, self._count(note)
        self.check_kept()

    def check_kept(self) -> None:
        """Whether the ledger, as far as it goes, leads to the kept checkpoint."""
        if self._kept is None:
            return
        checkpoint = self._kept[0]
        try:
            size = self._log.checkpoint()[0].size
            if size >= checkpoint.size:
                self._log.check_head(checkpoint.size, checkpoint.root)
            self.rewritten = False
        except Unavailable:
            pass
        except LedgerError as error:
            if error.code != "damaged":  # e.g. a node that began with a snapshot has no older tiles to compare with
                return
            if not self.rewritten:
                self._say.error("history_rewritten", size=checkpoint.size, code=error.code, kept=str(self._path))
            self.rewritten = True

    def published(self) -> tuple[Note, int]:
        """What `/checkpoint` serves, and by how many witnesses it is cosigned.

        The newest checkpoint with as many as are required; the last head where none has them.
        Raises Unavailable `history_rewritten`, `note_key`, `nothing_final`.
        """
        if self.rewritten:
            raise Unavailable("history_rewritten", "this ledger does not lead to the checkpoint witnessed before")
        if self._kept is not None and self._keys and self._kept[2] >= max(1, self.required):
            return self._kept[1], self._kept[2]
        return self._log.checkpoint()[1], 0

    def witnessed(self) -> Note | None:
        """The newest checkpoint that a witness cosigned, for dossiers."""
        return None if self._kept is None or self.rewritten or not self._kept[2] else self._kept[1]

    def is_short(self) -> bool:
        """Whether cosignatures are required and the newest checkpoint that has them is older than allowed."""
        if not self.required:
            return False
        return self.rewritten or self._count_fresh() < self.required

    def status(self) -> dict[str, Any]:
        """For operators."""
        kept = self._kept
        return {
            "state": self._state(),
            "required": self.required,
            "configured": len(self._keys),
            "cosignatures": kept[2] if kept else 0,
            "size": kept[0].size if kept else None,
            "faults": dict(sorted(self._faults.items())),
        }

    def _state(self) -> str:
        if self.rewritten:
            return "history_rewritten"
        if self.is_short():
            return NOT_WITNESSED
        return "witnessed" if self._kept is not None and self._kept[2] else "not_required"

    def block_added(self) -> None:
        """Count a final block; enough of them begin a round early."""
        self._blocks += 1
        if self._config.every_blocks and self._blocks >= self._config.every_blocks:
            self._wake.set()

    async def run(self) -> None:
        """Rounds for ever; none where no witness is configured."""
        while self._keys:
            await self.round()
            self._blocks = 0
            self._wake.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._config.interval_s):
                    await self._wake.wait()

    async def round(self) -> None:
        """One checkpoint to every witness; what comes back is kept if it is enough, or the most so far."""
        self.check_kept()
        try:
            checkpoint, note = self._log.checkpoint()
        except NodeError:
            return
        if self.rewritten:  # a log never signs what does not follow from what it signed before
            return
        found = await asyncio.gather(*(self._ask(url, checkpoint, note) for url in self._keys))
        cosigned = with_signatures(note, [item for item in found if item is not None])
        self._keep(checkpoint, cosigned)

    async def _ask(self, url: str, checkpoint: Checkpoint, note: Note) -> NoteSignature | None:
        before = self._faults.pop(url, None)
        try:
            for _ in range(TRIES):
                old = min(self._sizes[url], checkpoint.size)
                body = encode_submission(Submission(old, self._log.consistency(old, checkpoint.size), note))
                status, answer = await self._post(url, body)
                if status == 200:
                    self._sizes[url] = checkpoint.size
                    return parse_cosignature(answer, note, self._keys[url])
                code = self._refusal(url, status, answer, old, checkpoint.size)
                if code is not None:
                    self._fault(url, before, code)
                    return None
        except (NodeError, LedgerError) as error:
            self._fault(url, before, error.code)
        return None

    def _refusal(self, url: str, status: int, answer: bytes, old: int, size: int) -> str | None:
        """Why the witness signs nothing in this round; None to try again from the size that it says it signed last."""
        if status != 409:
            return "inconsistent" if status == 422 else f"status_{status}"
        text = answer.removesuffix(b"\n")
        if not text.isdigit() or len(text) > 16:
            return "inconsistent"
        said = self._sizes[url] = int(text)
        if said == old:
            return "inconsistent"
        return "behind" if said > size else None

    def _fault(self, url: str, before: str | None, code: str) -> None:
        self._faults[url] = code
        if code != before:
            self._say.warning("witness_refused", witness=self._keys[url].name, code=code)

    def _keep(self, checkpoint: Checkpoint, note: Note) -> None:
        count = self._count(note)
        if not count or self.rewritten:
            return
        kept = self._kept
        if kept is not None and (kept[0].size > checkpoint.size or kept[2] >= max(1, self.required) > count):
            return
        if kept is not None and kept[0] == checkpoint:
            note = with_signatures(kept[1], note.signatures)
            count = self._count(note)
        try:
            write_whole(self._path, encode_note(note))
        except OSError as error:
            self._say.warning("checkpoint_not_kept", detail=error.strerror)
            return
        self._kept = checkpoint, note, count

    def _count(self, note: Note) -> int:
        return len(self._times(note))

    def _count_fresh(self) -> int:
        if self._kept is None:
            return 0
        oldest = self._clock.now_ms() // 1000 - self._config.max_age_s
        return sum(time_s >= oldest for time_s in self._times(self._kept[1]))

    def _times(self, note: Note) -> list[int]:
        """When each configured witness signed, in seconds."""
        known = {(key.name, key.key_id): key for key in self._keys.values()}
        found = dict[VerifierKey, int]()
        for line in note.signatures:
            key = known.get((line.name, line.key_id))
            with contextlib.suppress(SignatureError):
                if key is not None and key not in found:
                    found[key] = verify_line(note.text, line, key).time_s or 0
        return list(found.values())


def parse_cosignature(answer: bytes, note: Note, key: VerifierKey) -> NoteSignature:
    """The witness' own line among those of its answer. Raises DecodeError, SignatureError."""
    if len(answer) > MAX_ANSWER or not answer.endswith(b"\n"):
        raise DecodeError("note", f"a witness answers with signature lines, at most {MAX_ANSWER} bytes")
    try:
        lines = [parse_signature_line(line) for line in answer[:-1].decode("utf-8").split("\n")]
    except UnicodeDecodeError:
        raise DecodeError("note", "signature lines are UTF-8") from None
    for line in lines:
        if (line.name, line.key_id) == (key.name, key.key_id) and key.kind == COSIGNATURE:
            verify_line(note.text, line, key)
            return line
    raise SignatureError("unsigned", f"the answer holds no cosignature by {key.name}")
