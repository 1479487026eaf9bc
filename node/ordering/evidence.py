"""Proofs of misbehaviour that this node came upon, kept on disk until long after the ledger has them.

Knows proofs and one file. Must always hold: one proof for each offence, few for each validator and epoch, so no traitor
can fill the disk; what was kept once is there after a restart; a disk that fails costs the proof, never the vote path.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

from consensus.effects import Evidence
from contracts.offences import MAX_OFFENCES
from ledger.encoding import decode_as, encode
from ledger.errors import DecodeError, InvalidEvidence
from ledger.offences import Proof, build_proof

EVIDENCE = "evidence.jsonl"
MAX_KEPT = 1_024
"""Proofs on disk, about 1 MB: 128 times what one validator can get into the ledger in an epoch. Then the older half
goes."""
MAX_LINE_BYTES = 2_048
"""Canonical JSON of a proof is below 1 kB."""

_Key: TypeAlias = tuple[int, int, str, str, str]


class EvidenceFile:
    """`evidence.jsonl`: one proof a line, oldest first."""

    def __init__(self, folder: Path, log: Any) -> None:
        """Read what is there. A line that a crash cut off is dropped."""
        self._path = folder / EVIDENCE
        self._log = log
        self._proofs: dict[_Key, Proof] = {}
        self.on_kept: list[Callable[[Proof], None]] = []
        """Called with each proof that is new here, after it is on disk."""
        if not self._load():
            self._rewrite()

    def __len__(self) -> int:
        return len(self._proofs)

    @property
    def proofs(self) -> list[Proof]:
        """All that is kept, oldest first."""
        return list(self._proofs.values())

    def keep(self, found: Evidence) -> None:
        """Two statements that the core verified. Dropped if the offence is known, or its author's share is full."""
        try:
            proof = build_proof(found.signer, found.first, found.second)
        except InvalidEvidence as error:
            self._log.error("evidence_unsound", code=error.code, signer=found.signer, view=found.first.view)
            return
        if _key(proof) in self._proofs or self._count(proof) >= MAX_OFFENCES:
            return
        self._log.error("evidence", signer=proof.signer, epoch=proof.epoch, view=proof.view)
        self._proofs[_key(proof)] = proof
        if len(self._proofs) > MAX_KEPT:
            self._proofs = {_key(kept): kept for kept in self.proofs[-(MAX_KEPT // 2) :]}
            self._rewrite()
        else:
            self._write("ab", [proof])
        for callback in self.on_kept:
            callback(proof)

    def _count(self, proof: Proof) -> int:
        return sum(kept.signer == proof.signer and kept.epoch == proof.epoch for kept in self._proofs.values())

    def _load(self) -> bool:
        """Whether every line was one of ours, and the last one whole."""
        try:
            data = self._path.read_bytes()
        except FileNotFoundError:
            return True
        *lines, rest = data.split(b"\n")
        whole = not rest
        for line in lines:
            try:
                proof = decode_as(line, Proof, limit=MAX_LINE_BYTES)
            except DecodeError:
                whole = False
                continue
            self._proofs[_key(proof)] = proof
        return whole

    def _rewrite(self) -> None:
        aside = self._path.with_suffix(".new")
        if self._write("wb", self.proofs, aside):
            os.replace(aside, self._path)

    def _write(self, mode: str, proofs: list[Proof], path: Path | None = None) -> bool:
        try:
            with (path or self._path).open(mode) as stream:
                stream.write(b"".join(encode(proof) + b"\n" for proof in proofs))
                stream.flush()
                os.fsync(stream.fileno())
        except OSError as error:
            self._log.error("evidence_not_kept", errno=error.errno)
            return False
        return True


def _key(proof: Proof) -> _Key:
    return proof.epoch, proof.view, proof.signer, proof.first.kind, proof.second.kind
