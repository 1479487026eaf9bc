"""Dossiers across a change of validators: with a witness' word, without it, and with one that does not fit."""

from typing import Any

import pytest
from msgspec.structs import replace

from contracts.bodies import SeatTaken
from ledger.checkpoints import Checkpoint, origin_of, sign_checkpoint
from ledger.crypto import ed25519
from ledger.errors import DecodeError
from ledger.merkle import Log, leaf_hash
from ledger.notes import COSIGNATURE, Note, VerifierKey, cosign_text, with_signatures
from node.audit.build import Material, build_dossier
from node.audit.dossier import Dossier, decode_dossier, encode_dossier
from node.audit.report import AuditFailure
from node.audit.verify import read_trust, verify_dossier
from node.audit.witnessed import Witnessing, add_checkpoint
from tests.support.governance import decide, seat
from tests.support.ledger_source import MemorySource
from tests.support.network_builder import Network, make_bytes

WITNESS_SEED = b"\x21" * 32
WITNESS = VerifierKey("witness.example/w1", COSIGNATURE, ed25519.public_key(WITNESS_SEED))
TIME_S = 1_800_000_000


def no_program(contract_hash: str, case_text: str) -> tuple[str, str]:
    raise AssertionError("nothing is disclosed, so nothing is run")


class Story:
    """A claim that begins in the first epoch and is decided in the second."""

    def __init__(self) -> None:
        self.network = network = Network()
        policy = network.commit_policy()
        decide(network, SeatTaken("tpa"), seat("auditor"))
        _, self.claim = network.ready_claim(policy.policy_id)
        network.adjudicate(self.claim)
        network.wait(1000)
        self.dossier = build_dossier(MemorySource(network), self.claim, Material())
        network.wait(1000)
        self.log = Log(leaf_hash(entry) for block in network.blocks for entry in block.entries)
        self.origin = origin_of(network.genesis.network, network.state.chain)

    def note(self, size: int, *, seed: bytes | None = None, origin: str = "", root: bytes | None = None) -> Note:
        """A checkpoint by the hospital's node, cosigned."""
        checkpoint = Checkpoint(origin or self.origin, size, root or self.log.root(size))
        note = sign_checkpoint(checkpoint, seed or make_bytes("note hospital"))
        return with_signatures(note, [cosign_text(note.text, WITNESS.name, WITNESS_SEED, TIME_S)])

    def verify(self, dossier: Dossier, *trusted: VerifierKey) -> Witnessing:
        trust = read_trust(self.network.genesis_bytes)
        return verify_dossier(encode_dossier(dossier), trust, no_program, witnesses=trusted).witness

    def failure(self, dossier: Dossier) -> tuple[int, str]:
        with pytest.raises(AuditFailure) as caught:
            self.verify(dossier, WITNESS)
        return caught.value.number, caught.value.code


@pytest.fixture(scope="module")
def story() -> Story:
    return Story()


def sizes(story: Story) -> dict[str, int]:
    """Checkpoints that cover the change: just so, below the anchor, at it, above it."""
    anchor = story.dossier.anchor.header.log_size
    return {"least": story.dossier.epochs[-1].header.log_size + 1, "anchor": anchor, "above": len(story.log)}


@pytest.mark.parametrize("place", ["least", "anchor", "above"])
def test_a_witnessed_checkpoint_that_covers_the_change_makes_the_file_witnessed(story: Story, place: str) -> None:
    dossier = add_checkpoint(story.dossier, story.note(sizes(story)[place]), story.log.node)
    found = story.verify(dossier, WITNESS)
    assert (found.state, [item.time_s for item in found.cosignatures]) == ("witnessed", [TIME_S])
    assert story.verify(dossier).state == "not_witnessed", "who trusts no witness has no witness"
    other = VerifierKey(WITNESS.name, COSIGNATURE, ed25519.public_key(b"\x22" * 32))
    assert story.verify(dossier, other).state == "not_witnessed"


def test_without_a_checkpoint_the_file_says_not_witnessed(story: Story) -> None:
    assert story.verify(story.dossier, WITNESS).state == "not_witnessed"
    assert b'"witness"' not in encode_dossier(story.dossier)
    early = story.note(story.dossier.epochs[-1].header.log_size)
    assert add_checkpoint(story.dossier, early, story.log.node) is story.dossier, "it ends before the change"
    assert add_checkpoint(story.dossier, None, story.log.node) is story.dossier


def test_a_file_of_the_first_epoch_needs_none() -> None:
    network = Network()
    policy = network.commit_policy()
    _, claim = network.ready_claim(policy.policy_id)
    dossier = build_dossier(MemorySource(network), claim, Material())
    trust = read_trust(network.genesis_bytes)
    assert verify_dossier(encode_dossier(dossier), trust, no_program).witness.state == "not_needed"
    assert add_checkpoint(dossier, Note(b"", ()), lambda level, index: b"") is dossier


def test_a_second_history_told_with_old_keys_is_not_what_the_witness_saw(story: Story) -> None:
    """The validators of the first epoch, or who took their keys, tell another second epoch: its end is in no log that
    the witness signed, and a proof for the true one does not fit."""
    twin = Story.__new__(Story)
    twin.network = network = Network()
    policy = network.commit_policy()
    network.wait(500)
    decide(network, SeatTaken("tpa"), seat("auditor"))
    _, claim = network.ready_claim(policy.policy_id)
    network.adjudicate(claim)
    network.wait(1000)
    forged = build_dossier(MemorySource(network), claim, Material())
    assert story.verify(forged).state == "not_witnessed", "but for the witness it would hold"
    true = add_checkpoint(story.dossier, story.note(len(story.log)), story.log.node)
    assert story.failure(replace(forged, witness=true.witness))[0] == 3
    assert story.failure(add_checkpoint(forged, story.note(len(story.log)), story.log.node)) == (3, "root")


def change(name: str, story: Story, good: Dossier) -> Any:
    assert good.witness is not None
    carried, size = good.witness, len(story.log)
    notes = {
        "another origin": story.note(size, origin=story.origin + "0"),
        "a stranger's signature": story.note(size, seed=b"\x23" * 32),
        "another root": story.note(size, root=bytes(32)),
    }
    if name in notes:
        return add_checkpoint(story.dossier, notes[name], story.log.node).witness
    return {
        "no path": replace(carried, path=()),
        "no consistency": replace(carried, consistency=()),
        "no note": replace(carried, checkpoint="nothing"),
        "spoilt cosignature": replace(carried, checkpoint=spoil(carried.checkpoint)),
    }[name]


def spoil(note: str) -> str:
    """The last line with its time changed."""
    head, _, last = note.rpartition(" ")
    return head + " " + last[:6] + ("B" if last[6] != "B" else "C") + last[7:]


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("another origin", "origin"),
        ("a stranger's signature", "unsigned"),
        ("another root", "root"),
        ("no path", "length"),
        ("no consistency", "length"),
        ("no note", "note"),
        ("spoilt cosignature", "bad_signature"),
    ],
)
def test_a_tie_that_does_not_hold_spoils_the_file(story: Story, name: str, code: str) -> None:
    good = add_checkpoint(story.dossier, story.note(len(story.log)), story.log.node)
    assert story.failure(replace(good, witness=change(name, story, good))) == (3, code)


def test_an_absent_checkpoint_has_one_spelling(story: Story) -> None:
    data = encode_dossier(story.dossier)
    with pytest.raises(DecodeError):
        decode_dossier(data[:-1] + b',"witness":null}')
