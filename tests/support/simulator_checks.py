"""What must hold after every step of a simulated network; a violation raises AssertionError at once.

Sees every byte that honest nodes write, say and store, over all time, restarts and epochs, and judges it by the three
statements alone; shares no code with the rules. Traitors may say anything; a node whose disk or application was
damaged may stop, but must never sign twice. Final blocks are judged in `simulator_history`, evidence in
`simulator_treason`.
"""

from collections import defaultdict
from typing import TYPE_CHECKING

from consensus.effects import Blame, Block, Effect, Evidence, Halt
from consensus.inputs import Input
from consensus.journal import OwnVote, Record, StoredCertificate, StoredPayload
from consensus.messages import Certified, Proposal, VoteCast, decode_message
from ledger.certificates import Certificate, Vote
from tests.support.simulator_app import MAX_PAYLOAD, Executed, boundary_under, parent_of
from tests.support.simulator_epochs import Epoch
from tests.support.simulator_history import History
from tests.support.simulator_memory import check_memory
from tests.support.simulator_treason import Name, Treason, name_of

if TYPE_CHECKING:
    from tests.support.simulator import Cluster
    from tests.support.simulator_node import Node

MEMORY_EVERY = 32
"""Steps of a node between two looks at its memory."""


def bits_of(certificate: Certificate) -> list[int]:
    data = bytes.fromhex(certificate.signers)
    return [8 * byte + bit for byte, value in enumerate(data) for bit in range(8) if value >> bit & 1]


class Checks:
    """The global ledger of votes and certificates."""

    def __init__(self, cluster: "Cluster", first: Epoch) -> None:
        self.cluster = cluster
        self.history, self.treason = History(cluster, first), Treason(cluster)
        self.is_beyond = False
        """More than f are faulty: only what each honest node does by itself is checked."""
        self.votes: dict[tuple[str, int, int, str], Vote] = {}
        """By name, epoch, view and kind."""
        self.backing: dict[Name, set[str]] = defaultdict(set)
        """Honest signers of a statement; a quorum less the traitors of them makes a certificate possible."""
        self.in_view: dict[tuple[int, int], set[Name]] = defaultdict(set)
        self.certificates: dict[Name, Certificate] = {}
        self.steps = 0

    @property
    def chain(self) -> list[bytes]:
        """Digests of delivered blocks in order."""
        return self.history.chain

    # --- votes ------------------------------------------------------------------------------------------------------

    def persisted(self, node: "Node", records: tuple[Record, ...]) -> None:
        """A vote counts from the moment it is durable: it may have been sent by then."""
        for record in records:
            if isinstance(record, StoredPayload):
                self.history.payloads[record.digest.hex()] = record.payload
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
        place = (node.name, vote.epoch, vote.view)
        assert self.votes.setdefault((*place, vote.kind), vote) == vote, (
            f"{node.name} voted {vote.kind} twice in view {vote.view}"
        )
        other = {"nullify": "finalize", "finalize": "nullify"}.get(vote.kind, "")
        assert (*place, other) not in self.votes, f"{node.name} nullified and finalized view {vote.view}"
        assert vote.epoch in self.history.epochs, f"{node.name} votes in epoch {vote.epoch}, which nothing opened"
        assert node.name in self.history.epochs[vote.epoch].seats, f"{node.name} has no seat in epoch {vote.epoch}"
        self.backing[name_of(vote)].add(node.name)
        self.in_view[(vote.epoch, vote.view)].add(name_of(vote))
        if self.is_beyond:
            return
        if vote.kind == "notarize":
            self._check_ancestry(vote)
        elif vote.kind == "finalize":
            assert self._is_possible(("notarize", *name_of(vote)[1:])), f"finalize of view {vote.view} out of nothing"
        self._check_exclusion(vote.epoch, vote.view)

    def _check_ancestry(self, vote: Vote) -> None:
        """R4: the parent is notarized under the digest that the block names, every view between is nullified."""
        assert vote.digest is not None
        payload = self.history.payloads.get(vote.digest)
        assert payload is not None, f"a notarize vote for view {vote.view} without durable bytes"
        boundary = boundary_under(bytes.fromhex(vote.digest), payload)
        parents = {parent_of(payload).hex()} if boundary is None else {boundary.hex(), vote.digest}
        if vote.parent_view == 0:
            root = self.history.epochs[vote.epoch].root.hex()
            assert parents == {root}, f"view {vote.view} builds on view 0 and names another parent"
        else:
            stated = [name for name in self.in_view[(vote.epoch, vote.parent_view)] if name[0] == "notarize"]
            possible = [name[4] for name in stated if name[4] in parents and self._is_possible(name)]
            assert possible, f"the parent of view {vote.view} is not notarized"
            self._check_tail(vote, boundary is not None, possible[0] or "")
        for view in range(vote.parent_view + 1, vote.view):
            assert self._is_possible(("nullify", vote.epoch, view, 0, None)), f"view {vote.view} skips view {view}"

    def _check_tail(self, vote: Vote, is_tail: bool, parent: str) -> None:
        """R12: above the block that closes its epoch stand tail blocks, and nowhere else."""
        below = self.history.payloads.get(self.history.block_of(parent), b"")
        assert self.cluster.membership.closes(below) == is_tail, (
            f"view {vote.view} mistakes the end of epoch {vote.epoch}"
        )

    def _is_possible(self, name: Name) -> bool:
        """Whether a certificate for this statement can exist, if every traitor signed it too."""
        epoch = self.history.epochs[name[1]]
        traitors = sum(one in epoch.seats for one in self.cluster.traitors)
        return len(self.backing.get(name, ())) + traitors >= epoch.quorum

    def _check_exclusion(self, epoch: int, view: int) -> None:
        possible = [name for name in self.in_view[(epoch, view)] if self._is_possible(name)]
        blocks = {name[3:] for name in possible if name[0] == "notarize"}
        assert len(blocks) <= 1, f"two blocks of view {view} can be notarized"
        kinds = {name[0] for name in possible}
        assert not {"nullify", "finalize"} <= kinds, f"view {view} can be nullified and finalized"

    # --- certificates -----------------------------------------------------------------------------------------------

    def _saw(self, certificate: Certificate) -> None:
        """A certificate that an honest node believes: each honest bit stands for a vote that was cast."""
        name = name_of(certificate)
        if self.is_beyond or name in self.certificates:
            return
        epoch = self.history.epochs.get(certificate.epoch)
        assert epoch is not None, f"a certificate of epoch {certificate.epoch}, which nothing opened"
        signers = [epoch.validators.validators[bit].id for bit in bits_of(certificate)]
        assert len(signers) >= epoch.quorum, f"{name}: {len(signers)} signers are no quorum"
        for signer in signers:
            cast = self._is_traitor(signer) or signer in self.backing[name]
            assert cast, f"a {name[0]} certificate of view {name[2]} bears a vote that {signer} never cast"
        self.certificates[name] = certificate
        if certificate.kind == "notarize":
            self._check_holders(name)
        elif certificate.kind == "finalize":
            self.history.extend(certificate)

    def _check_holders(self, name: Name) -> None:
        """A1: the bytes of a notarized block above the last final one are on q-f honest disks of its epoch."""
        if name[1] != self.history.epoch or name[1:3] <= self.history.top:
            return
        epoch, digest = self.history.epochs[name[1]], bytes.fromhex(name[4] or "")
        holders = sum(node.name in epoch.seats and node.disk.holds(digest) for node in self.cluster.sound())
        assert holders >= epoch.quorum - epoch.faulty, f"bytes of view {name[2]} on {holders} honest disks"

    def rewritten(self, node: "Node") -> None:
        """A1: dropping bytes leaves those of open views on q-f honest disks."""
        if self.is_beyond:
            return
        for name in [name for name in self.certificates if name[0] == "notarize" and name[1:3] > self.history.top]:
            self._check_holders(name)

    # --- blocks, faults, memory -------------------------------------------------------------------------------------

    def delivered(self, node: "Node", block: Block, certificate: Certificate, after: Executed) -> None:
        """A node makes a block part of its store."""
        self.history.check_parent(node, block)
        if self.is_beyond or self._is_traitor(node.name):
            return
        self._saw(certificate)
        self.history.check_delivered(node, block, certificate, after)

    def halted(self, node: "Node", halt: Halt) -> None:
        sound = node.name not in self.cluster.damaged and not self._is_traitor(node.name) and not self.is_beyond
        assert not sound, f"{node.name} halted: {halt.code}: {halt.detail}"

    def blamed(self, node: "Node", blame: Blame) -> None:
        just = self._is_traitor(node.name) or self._is_traitor(blame.peer)
        assert just, f"{node.name} blamed the honest {blame.peer} for {blame.code}"

    def accused(self, node: "Node", evidence: Evidence) -> None:
        self.treason.check_evidence(node, evidence)

    def before_step(self, node: "Node", event: Input) -> Vote | None:
        return self.treason.before_step(node, event)

    def after_step(self, node: "Node", effects: tuple[Effect, ...], contradicting: Vote | None) -> None:
        self.treason.after_step(node, effects, contradicting)
        self.steps += 1
        if node.epochs is not None and self.steps % MEMORY_EVERY == 0:
            for core in (node.epochs._core, node.epochs._old):
                if core is not None:
                    check_memory(core, effects)

    def _is_traitor(self, name: str) -> bool:
        return name in self.cluster.traitors
