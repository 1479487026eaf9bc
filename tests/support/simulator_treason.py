"""Evidence of a simulated network: sound (never against an honest validator) and complete (no provable lie is missed).

Listens to what traitors say to honest nodes and knows which two statements exclude each other; shares no code with the
rules. A violation raises AssertionError.
"""

from typing import TYPE_CHECKING, TypeAlias

from consensus.effects import Effect, Evidence
from consensus.inputs import Input, Message
from consensus.messages import VoteCast, decode_message
from ledger.certificates import Certificate, Vote, verify_vote
from ledger.errors import DecodeError, InvalidCertificate
from tests.support.simulator_app import MAX_PAYLOAD

if TYPE_CHECKING:
    from tests.support.simulator import Cluster
    from tests.support.simulator_node import Node

Name: TypeAlias = tuple[str, int, int, int, str | None]
"""Kind, epoch, view, parent view and digest: what a statement is about."""
RETENTION = 64
"""Views below the last final one of which a node still knows what was said."""


def name_of(said: Vote | Certificate) -> Name:
    return said.kind, said.epoch, said.view, said.parent_view, said.digest


def contradict(first: Vote, second: Vote) -> bool:
    """Whether no honest validator signs both."""
    if (first.epoch, first.view, first.signer) != (second.epoch, second.view, second.signer):
        return False
    if first.kind == second.kind:
        return name_of(first) != name_of(second)
    return {first.kind, second.kind} == {"nullify", "finalize"}


class Treason:
    """What traitors said, by listener."""

    def __init__(self, cluster: "Cluster") -> None:
        self.cluster = cluster
        self.heard: dict[tuple[str, int, int, int, int, str], Vote] = {}

    def is_traitor(self, name: str) -> bool:
        return name in self.cluster.traitors

    def check_evidence(self, node: "Node", evidence: Evidence) -> None:
        """Sound: two statements that both bear the signer's signature and exclude each other."""
        if self.is_traitor(node.name):
            return
        assert self.is_traitor(evidence.signer), f"evidence against the honest {evidence.signer}"
        first, second = evidence.first, evidence.second
        assert self._signer_of(first) == self._signer_of(second) == evidence.signer
        assert self.is_signed(first)
        assert self.is_signed(second)
        assert contradict(first, second), f"{name_of(first)} and {name_of(second)} may both be said"

    def before_step(self, node: "Node", event: Input) -> Vote | None:
        """A vote whose signer contradicts one that this node holds: this step has to notice it."""
        core = node.core
        if not isinstance(event, Message) or core is None or not self.is_traitor(event.sender):
            return None
        vote, state = self._vote_in(event), core._state
        if vote is None or vote.epoch != state.config.epoch:
            return None
        if not max(0, state.final_view - RETENTION) < vote.view <= state.view + 1:
            return None
        kinds = [vote.kind, {"nullify": "finalize", "finalize": "nullify"}.get(vote.kind, "")]
        place = (node.name, node.life, vote.epoch, vote.signer, vote.view)
        held = [self.heard.get((*place, kind)) for kind in kinds]
        if any(one is not None and contradict(one, vote) for one in held):
            return vote
        view = state.views.get(vote.view)
        if vote.view > state.final_view and (view is None or vote.kind not in view.certificates):
            self.heard.setdefault((*place, vote.kind), vote)
        return None

    def after_step(self, node: "Node", effects: tuple[Effect, ...], contradicting: Vote | None) -> None:
        """Complete: the contradiction became evidence in this step, or had before."""
        if contradicting is None or node.halted is not None or self.is_traitor(node.name):
            return
        new = [effect for effect in effects if isinstance(effect, Evidence)]
        found = any(
            one.signer == self._signer_of(contradicting) and name_of(one.first)[1:3] == name_of(contradicting)[1:3]
            for one in [*node.evidence, *new]
        )
        assert found, f"{node.name} kept no evidence of {name_of(contradicting)}"

    def is_signed(self, vote: Vote) -> bool:
        epoch = self.cluster.checks.history.epochs.get(vote.epoch)
        if epoch is None:
            return False
        try:
            verify_vote(vote, epoch.validators, self.cluster.root, self.cluster.scheme)
        except InvalidCertificate:
            return False
        return True

    def _signer_of(self, vote: Vote) -> str | None:
        epoch = self.cluster.checks.history.epochs.get(vote.epoch)
        if epoch is None or not 0 <= vote.signer < len(epoch.validators):
            return None
        return epoch.validators.validators[vote.signer].id

    def _vote_in(self, event: Message) -> Vote | None:
        """A well-signed vote, brought by its signer and by a proposal only as its leader."""
        try:
            message, _ = decode_message(event.data, MAX_PAYLOAD)
        except DecodeError:
            return None
        if not isinstance(message, VoteCast):
            return None
        vote = message.vote
        return vote if self._signer_of(vote) == event.sender and vote.view > 0 and self.is_signed(vote) else None
