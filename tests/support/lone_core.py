"""One core alone with scripted peers: votes, certificates and proposals of the others are made to order."""

from collections.abc import Iterable
from typing import TypeVar

from consensus.core import Core
from consensus.effects import Effect, Send
from consensus.inputs import Built, Input, Message, Start, Verified
from consensus.journal import Record
from consensus.messages import Certified, Proposal, TellPosition, VoteCast, Wire, decode_message, encode_message
from consensus.types import Config, Floor, Position, Ref, Timing, Verdict
from ledger.certificates import Certificate, Kind, Subject, Vote, build_certificate, vote_message
from ledger.crypto.hashing import tagged_hash
from tests.support.simulator_crypto import FakeScheme, FakeSigner, fake_validators
from tests.support.simulator_node import MAX_PAYLOAD, Payloads, digest_of

CHAIN = tagged_hash("genesis", b"lone")
E = TypeVar("E")


def payload(view: int, text: bytes = b"") -> bytes:
    """Some block bytes, different for each view and text."""
    return view.to_bytes(32, "big") + text


def digest(view: int, text: bytes = b"") -> bytes:
    return digest_of(payload(view, text))


class LoneCore:
    """Validator `me` of n. The leader of view v is `leader(v)`; time moves only by `at`."""

    def __init__(self, me: int | None = 0, n: int = 4, timing: Timing | None = None, start: bool = True) -> None:
        self.n, self.me, self.now = n, me, 0
        self.validators = fake_validators(n)
        self.signers = [FakeSigner(i) for i in range(n)]
        self.config = Config(
            chain=CHAIN,
            validators=self.validators,
            me=me,
            root=CHAIN,
            leader_seed=CHAIN,
            payloads=Payloads(),
            signer=None if me is None else self.signers[me],
            scheme=FakeScheme(),
            timing=timing or Timing(),
            max_payload=MAX_PAYLOAD,
        )
        self.core = Core(self.config)
        self.state = self.core._state
        self.last: tuple[Effect, ...] = ()
        self.all: list[Effect] = []
        if start:
            self.start()

    def start(
        self, records: Iterable[Record] = (), floor: Floor | None = None, guard: Position | None = None
    ) -> tuple[Effect, ...]:
        """Start, and let enough peers say that they know of no vote of ours."""
        effects = self.give(Start(self.now, tuple(records), floor or Floor(Ref(0, CHAIN), None), guard, 77))
        for i in [i for i in range(self.n) if i != self.me][: self.validators.quorum - 1]:
            self.hear(i, TellPosition(1, 77, None, None))
        return effects

    def give(self, event: Input) -> tuple[Effect, ...]:
        self.last = self.core.step(event)
        self.all.extend(self.last)
        return self.last

    def name(self, index: int) -> str:
        return self.validators.validators[index].id

    def leader(self, view: int) -> int:
        return self.state.leader(view)

    def hear(self, sender: int, message: Wire, data: bytes = b"") -> tuple[Effect, ...]:
        return self.give(Message(self.now, self.name(sender), encode_message(message, data)))

    # --- what others say ------------------------------------------------------------------------------------------

    def subject(self, kind: Kind, view: int, parent: int = 0, text: bytes = b"") -> Subject:
        if kind == "nullify":
            return Subject(kind, 1, view, 0, None)
        return Subject(kind, 1, view, parent, digest(view, text).hex())

    def vote(self, signer: int, kind: Kind, view: int, parent: int = 0, text: bytes = b"") -> Vote:
        subject = self.subject(kind, view, parent, text)
        signature = self.signers[signer].sign_vote(kind, vote_message(CHAIN, subject))
        return Vote(kind, 1, view, subject.parent_view, subject.digest, signer, signature.hex())

    def certificate(
        self, kind: Kind, view: int, parent: int = 0, text: bytes = b"", signers: Iterable[int] | None = None
    ) -> Certificate:
        chosen = list(signers) if signers is not None else list(range(self.n))[-self.validators.quorum :]
        votes = [self.vote(i, kind, view, parent, text) for i in chosen]
        return build_certificate(votes, self.validators, FakeScheme())

    def hear_vote(self, signer: int, kind: Kind, view: int, parent: int = 0, text: bytes = b"") -> tuple[Effect, ...]:
        return self.hear(signer, VoteCast(self.vote(signer, kind, view, parent, text)))

    def hear_certificate(
        self, kind: Kind, view: int, parent: int = 0, text: bytes = b"", sender: int = 1
    ) -> tuple[Effect, ...]:
        return self.hear(sender, Certified(self.certificate(kind, view, parent, text)))

    def proposal(self, view: int, parent: int = 0, text: bytes = b"") -> Proposal:
        """A proposal of the leader of `view` with all the proofs it needs; parents carry no text."""
        proof = self.certificate("notarize", parent, max(parent - 1, 0)) if parent else None
        between = range(max(parent + 1, view - 64), view)
        nullified = tuple(self.certificate("nullify", number) for number in between)
        return Proposal(self.vote(self.leader(view), "notarize", view, parent, text), proof, nullified)

    def hear_proposal(self, view: int, parent: int = 0, text: bytes = b"") -> tuple[Effect, ...]:
        return self.hear(self.leader(view), self.proposal(view, parent, text), payload(view, text))

    # --- what the application answers -----------------------------------------------------------------------------

    def verified(
        self, view: int, verdict: Verdict = Verdict.VALID, text: bytes = b"", retry_at: int = 0
    ) -> tuple[Effect, ...]:
        return self.give(Verified(self.now, view, digest(view, text), verdict, retry_at, "why"))

    def built(self, view: int, text: bytes = b"") -> tuple[Effect, ...]:
        return self.give(Built(self.now, view, digest(view, text), payload(view, text)))

    def finish_view(self, view: int, parent: int) -> None:
        """The whole view happens as it should, led by somebody else."""
        self.hear_proposal(view, parent)
        self.verified(view)
        self.hear_certificate("notarize", view, parent)
        self.hear_certificate("finalize", view, parent)

    # --- what came out --------------------------------------------------------------------------------------------

    def found(self, kind: type[E], effects: Iterable[Effect] | None = None) -> list[E]:
        return [one for one in (self.last if effects is None else effects) if isinstance(one, kind)]

    def said(self, effects: Iterable[Effect] | None = None) -> list[Wire]:
        return [decode_message(one.data, MAX_PAYLOAD)[0] for one in self.found(Send, effects)]

    def votes_cast(self, effects: Iterable[Effect] | None = None) -> list[tuple[str, int]]:
        """Kinds and views of our votes in the messages of the last step."""
        votes = [m.vote for m in self.said(effects) if isinstance(m, (VoteCast, Proposal))]
        return [(vote.kind, vote.view) for vote in votes]
