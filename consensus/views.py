"""What is known about one view: its block candidates, its certificates, its votes, and what we signed in it.

Knows one view at a time and no rule of when to act. Must always hold: `decided` is the one block that a
notarization or finalization of the view names; nothing but such a certificate sets it.
"""

from dataclasses import dataclass, field

from consensus.messages import Proposal
from consensus.types import Verdict
from consensus.votes import Tally
from ledger.certificates import Certificate, Kind, Subject, Vote


@dataclass(slots=True)
class Candidate:
    """A block named for a view, by its leader or by a certificate."""

    parent_view: int
    digest: bytes
    payload: bytes | None = None
    verdict: Verdict | None = None
    """VALID or INVALID once the application has said so in this run of the process."""
    asked: bool = False
    """A `RequestVerify` is unanswered."""
    retry_at: int = 0
    detail: str = ""
    stored: bool = False
    """The bytes are in the journal."""
    closes: bytes | None = None
    """R12: the digest of the epoch's last block if this is that block or a tail above it; known once VALID."""


@dataclass(slots=True)
class ViewState:
    """Everything about one view."""

    view: int
    candidates: dict[tuple[int, bytes], Candidate] = field(default_factory=dict)
    slot: Candidate | None = None
    """The first proposal of the leader (R4)."""
    proposal: Proposal | None = None
    """Its message; None when the slot was filled from the journal."""
    equivocated: bool = False
    rejected: str = ""
    """Why the proposal is structurally or otherwise invalid; leads to nullify (R5)."""
    decided: Candidate | None = None
    certificates: dict[Kind, Certificate] = field(default_factory=dict)
    tally: Tally = field(default_factory=Tally)
    own: dict[Kind, Vote] = field(default_factory=dict)
    reported: set[tuple[int, Kind]] = field(default_factory=set)
    """Signers whose contradictions were already reported, by kind."""
    asked_twin: set[int] = field(default_factory=set)
    """Voters for another block that were asked for the leader's signature on it (R11)."""

    def candidate(self, parent_view: int, digest: bytes) -> Candidate:
        """The candidate of this name, made when new."""
        key = (parent_view, digest)
        if key not in self.candidates:
            self.candidates[key] = Candidate(parent_view, digest)
        return self.candidates[key]

    def named(self, digest: bytes) -> list[Candidate]:
        """Candidates with this digest: one, or more after a leader named it with different parents."""
        return [candidate for candidate in self.candidates.values() if candidate.digest == digest]

    def conflict_with(self, subject: Subject) -> Certificate | None:
        """A certificate held for this view that cannot exist beside one for `subject` unless more than f are faulty."""
        for held in self.certificates.values():
            if held.kind == subject.kind and held.subject != subject:
                return held
            if {held.kind, subject.kind} == {"nullify", "finalize"}:
                return held
            if {held.kind, subject.kind} == {"notarize", "finalize"} and (
                (held.parent_view, held.digest) != (subject.parent_view, subject.digest)
            ):
                return held
        return None

    def best_entry(self) -> Certificate | None:
        """R8: the certificate of this view that best lets a peer enter the next one."""
        held = self.certificates
        return held.get("finalize") or held.get("nullify") or held.get("notarize")
