"""What must hold after every step of a simulated network; a violation raises AssertionError at once.

Sees every byte that honest nodes write, say and store, over all time and restarts, and judges it by the three
statements alone; shares no code with the rules. Traitors may say anything; a node whose disk or application was
damaged may stop, but must never sign twice.
"""

from collections import defaultdict
from typing import TYPE_CHECKING, TypeAlias

from consensus.effects import Blame, Block, Effect, Evidence, Halt
from consensus.inputs import Input, Message
from consensus.journal import OwnVote, Record, StoredCertificate, StoredPayload
from consensus.messages import Certified, Proposal, VoteCast, decode_message
from ledger.certificates import Certificate, Vote
from ledger.errors import DecodeError
from tests.support.simulator_app import MAX_DRIFT_MS, MAX_PAYLOAD, Executed, parent_of, time_of
from tests.support.simulator_memory import check_memory

if TYPE_CHECKING:
    from tests.support.simulator import Cluster
    from tests.support.simulator_node import Node

Name: TypeAlias = tuple[str, int, int, str | None]
"""Kind, view, parent view and digest: what a statement is about."""
MEMORY_EVERY = 32
"""Steps of a node between two looks at its memory."""


def name_of(said: Vote | Certificate) -> Name:
    return said.kind, said.view, said.parent_view, said.digest


def bits_of(certificate: Certificate) -> list[int]:
    data = bytes.fromhex(certificate.signers)
    return [8 * byte + bit for byte, value in enumerate(data) for bit in range(8) if value >> bit & 1]


class Checks:
    """The global ledger of votes, certificates and final blocks."""

    def __init__(self, cluster: "Cluster", quorum: int, faulty: int, root: bytes) -> None:
        self.cluster, self.quorum, self.faulty, self.root = cluster, quorum, faulty, root
        self.is_beyond = False
        """More than f are faulty: only what each honest node does by itself is checked."""
        self.votes: dict[tuple[str, int, str], Vote] = {}
        self.backing: dict[Name, set[str]] = defaultdict(set)
        """Honest signers of a statement; a quorum less the traitors of them makes a certificate possible."""
        self.in_view: dict[int, set[Name]] = defaultdict(set)
        self.certificates: dict[Name, Certificate] = {}
        self.payloads: dict[str, bytes] = {}
        self.final: list[str] = []
        """Digests of final blocks in order, by certificates."""
        self.position: dict[str, int] = {root.hex(): -1}
        self.chain: list[bytes] = []
        """Digests of delivered blocks in order."""
        self.roots: dict[bytes, Executed] = {}
        self.highest_wall = 0
        self.heard: dict[tuple[str, int, int, int, str], Vote] = {}
        self.steps = 0

    # --- votes ------------------------------------------------------------------------------------------------------

    def persisted(self, node: "Node", records: tuple[Record, ...]) -> None:
        """A vote counts from the moment it is durable: it may have been sent by then."""
        for record in records:
            if isinstance(record, StoredPayload):
                self.payloads[record.digest.hex()] = record.payload
        if self._is_traitor(node.name):
            return
        for record in records:
            if isinstance(record, OwnVote):
                self._cast(node, record.vote)
            elif isinstance(record, StoredCertificate):
                self._saw(record.certificate)

    def said(self, node: "Node", data: bytes) -> None:
        """Durable before said; certificates are what they claim."""
        if self._is_traitor(node.name):
            return
        message, _ = decode_message(data, MAX_PAYLOAD)
        if isinstance(message, (VoteCast, Proposal)):
            assert message.vote in node.disk.votes, f"{node.name} said a vote that is not on its disk"
        elif isinstance(message, Certified):
            self._saw(message.certificate)

    def _cast(self, node: "Node", vote: Vote) -> None:
        """Uniqueness of what an honest key signed, ever; and what the statement claims about others."""
        assert self.votes.setdefault((node.name, vote.view, vote.kind), vote) == vote, (
            f"{node.name} voted {vote.kind} twice in view {vote.view}"
        )
        other = {"nullify": "finalize", "finalize": "nullify"}.get(vote.kind, "")
        assert (node.name, vote.view, other) not in self.votes, f"{node.name} nullified and finalized view {vote.view}"
        self.backing[name_of(vote)].add(node.name)
        self.in_view[vote.view].add(name_of(vote))
        if self.is_beyond:
            return
        if vote.kind == "notarize":
            self._check_ancestry(vote)
        elif vote.kind == "finalize":
            assert self._is_possible(("notarize", *name_of(vote)[1:])), f"finalize of view {vote.view} out of nothing"
        self._check_exclusion(vote.view)

    def _check_ancestry(self, vote: Vote) -> None:
        """R4: the parent is notarized under the digest that the block names, every view between is nullified."""
        assert vote.digest is not None
        payload = self.payloads.get(vote.digest)
        assert payload is not None, f"a notarize vote for view {vote.view} without durable bytes"
        parent = parent_of(payload).hex()
        if vote.parent_view == 0:
            assert parent == self.root.hex(), f"view {vote.view} builds on view 0 and names another parent"
        else:
            named = [n for n in self.in_view[vote.parent_view] if n[0] == "notarize" and n[3] == parent]
            assert any(self._is_possible(n) for n in named), f"the parent of view {vote.view} is not notarized"
        for view in range(vote.parent_view + 1, vote.view):
            assert self._is_possible(("nullify", view, 0, None)), f"view {vote.view} skips view {view}"

    def _is_possible(self, name: Name) -> bool:
        """Whether a certificate for this statement can exist, if every traitor signed it too."""
        return len(self.backing.get(name, ())) + len(self.cluster.traitors) >= self.quorum

    def _check_exclusion(self, view: int) -> None:
        possible = [name for name in self.in_view[view] if self._is_possible(name)]
        blocks = {name[2:] for name in possible if name[0] == "notarize"}
        assert len(blocks) <= 1, f"two blocks of view {view} can be notarized"
        kinds = {name[0] for name in possible}
        assert not {"nullify", "finalize"} <= kinds, f"view {view} can be nullified and finalized"

    # --- certificates -----------------------------------------------------------------------------------------------

    def _saw(self, certificate: Certificate) -> None:
        """A certificate that an honest node believes: each honest bit stands for a vote that was cast."""
        name = name_of(certificate)
        if self.is_beyond or name in self.certificates:
            return
        signers = [self.cluster.validators.validators[bit].id for bit in bits_of(certificate)]
        assert len(signers) >= self.quorum, f"{name}: {len(signers)} signers are no quorum"
        for signer in signers:
            cast = self._is_traitor(signer) or signer in self.backing[name]
            assert cast, f"a {name[0]} certificate of view {name[1]} bears a vote that {signer} never cast"
        self.certificates[name] = certificate
        if certificate.kind == "notarize" and certificate.view > self._top():
            self._check_holders(name)
        elif certificate.kind == "finalize":
            self._extend_final(certificate)

    def _check_holders(self, name: Name) -> None:
        """A1: the bytes of a notarized block are on q-f honest disks."""
        digest = bytes.fromhex(name[3] or "")
        holders = sum(node.disk.holds(digest) for node in self.cluster.sound())
        assert holders >= self.quorum - self.faulty, f"bytes of view {name[1]} on {holders} honest disks"

    def _top(self) -> int:
        """The highest final view that anybody knows of: below it, bytes of skipped blocks may go."""
        return max((name[1] for name in self.certificates if name[0] == "finalize"), default=0)

    def rewritten(self, node: "Node") -> None:
        """A1: dropping bytes leaves those of open views on q-f honest disks."""
        if self.is_beyond:
            return
        top = self._top()
        for name in [name for name in self.certificates if name[0] == "notarize" and name[1] > top]:
            self._check_holders(name)

    def _extend_final(self, certificate: Certificate) -> None:
        """Finalization ancestry: of two final blocks one is the ancestor of the other."""
        assert certificate.digest is not None
        path, digest = [], certificate.digest
        while digest not in self.position:
            assert digest in self.payloads, f"final view {certificate.view}: an ancestor's bytes were never durable"
            path.append(digest)
            digest = parent_of(self.payloads[digest]).hex()
        assert not path or self.position[digest] == len(self.final) - 1, (
            f"final view {certificate.view} does not descend from the last final block"
        )
        for one in reversed(path):
            self.position[one] = len(self.final)
            self.final.append(one)

    # --- blocks -----------------------------------------------------------------------------------------------------

    def delivered(self, node: "Node", block: Block, certificate: Certificate, after: Executed) -> None:
        """Agreement, prefix, no gap, no repetition, equal roots, a time that some honest clock allowed."""
        height, digest = len(node.disk.blocks), block.ref.digest  # height of the new block, counted from 0
        expected = node.disk.blocks[-1].ref.digest if node.disk.blocks else self.root
        assert parent_of(block.payload) == expected, f"{node.name} got view {block.ref.view} on another parent"
        if self.is_beyond or self._is_traitor(node.name):
            return
        self._saw(certificate)
        assert certificate.kind == "finalize"
        assert certificate.view >= block.ref.view, f"{node.name} was given view {block.ref.view} before it was final"
        assert self.position.get(digest.hex()) == height, f"{node.name} got view {block.ref.view} at {height + 1}"
        if height == len(self.chain):
            self.chain.append(digest)
            walls = [one.wall for one in self.cluster.honest()]
            self.highest_wall = max([self.highest_wall, *walls])
            assert time_of(block.payload) <= self.highest_wall + MAX_DRIFT_MS, "a block from the future is final"
        assert self.chain[height] == digest, f"{node.name} disagrees at height {height + 1}"
        assert self.roots.setdefault(digest, after) == after, f"{node.name} computed another state at {height + 1}"

    # --- faults -----------------------------------------------------------------------------------------------------

    def halted(self, node: "Node", halt: Halt) -> None:
        sound = node.name not in self.cluster.damaged and not self._is_traitor(node.name) and not self.is_beyond
        assert not sound, f"{node.name} halted: {halt.code}: {halt.detail}"

    def blamed(self, node: "Node", blame: Blame) -> None:
        just = self._is_traitor(node.name) or self._is_traitor(blame.peer)
        assert just, f"{node.name} blamed the honest {blame.peer} for {blame.code}"

    def accused(self, node: "Node", evidence: Evidence) -> None:
        """Sound: two statements that both bear the signer's signature and exclude each other."""
        if self._is_traitor(node.name):
            return
        assert self._is_traitor(evidence.signer), f"evidence against the honest {evidence.signer}"
        first, second = evidence.first, evidence.second
        assert first.signer == second.signer == self.cluster.validators.index_of(evidence.signer)
        assert self._is_signed(first)
        assert self._is_signed(second)
        assert _contradict(first, second), f"{name_of(first)} and {name_of(second)} may both be said"

    def before_step(self, node: "Node", event: Input) -> Vote | None:
        """Complete: a traitor's vote that contradicts one this node holds must become evidence in this step."""
        if not isinstance(event, Message) or event.sender not in self.cluster.traitors or node.core is None:
            return None
        vote = self._vote_in(event)
        state = node.core._state
        if vote is None or not max(0, state.final_view - 64) < vote.view <= state.view + 1 or vote.epoch != 1:
            return None
        kinds = [vote.kind, {"nullify": "finalize", "finalize": "nullify"}.get(vote.kind, "")]
        held = [self.heard.get((node.name, node.life, vote.signer, vote.view, kind)) for kind in kinds]
        if any(one is not None and _contradict(one, vote) for one in held):
            return vote
        view = state.views.get(vote.view)
        if vote.view > state.final_view and (view is None or vote.kind not in view.certificates):
            self.heard.setdefault((node.name, node.life, vote.signer, vote.view, vote.kind), vote)
        return None

    def _vote_in(self, event: Message) -> Vote | None:
        """A well-signed vote, brought by its signer and by a proposal only as its leader."""
        try:
            message, _ = decode_message(event.data, MAX_PAYLOAD)
        except DecodeError:
            return None
        if not isinstance(message, VoteCast):
            return None
        vote = message.vote
        own = vote.signer == self.cluster.validators.index_of(event.sender)
        return vote if own and vote.view > 0 and self._is_signed(vote) else None

    def _is_signed(self, vote: Vote) -> bool:
        return self.cluster.is_signed(vote)

    def after_step(self, node: "Node", effects: tuple[Effect, ...], contradicting: Vote | None) -> None:
        if contradicting is not None and node.halted is None and not self._is_traitor(node.name):
            new = [effect for effect in effects if isinstance(effect, Evidence)]
            found = any(
                one.signer == self.cluster.validators.validators[contradicting.signer].id
                and one.first.view == contradicting.view
                for one in [*node.evidence, *new]
            )
            assert found, f"{node.name} kept no evidence of {name_of(contradicting)}"
        self.steps += 1
        if node.core is not None and self.steps % MEMORY_EVERY == 0:
            check_memory(node.core, effects)

    def _is_traitor(self, name: str) -> bool:
        return name in self.cluster.traitors


def _contradict(first: Vote, second: Vote) -> bool:
    if first.view != second.view or first.signer != second.signer:
        return False
    if first.kind == second.kind:
        return name_of(first) != name_of(second)
    return {first.kind, second.kind} == {"nullify", "finalize"}
