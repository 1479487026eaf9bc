"""Proposals and votes on a test network, and the keys that they name."""

from contracts.bodies import Change, GovernanceFreeze, GovernancePropose, GovernanceVote, KeyRotated, SeatGiven
from contracts.genesis import FinalityKey
from contracts.receipts import Receipt
from ledger.crypto import bls, ed25519
from tests.support.network_chain import DAY_MS, NetworkChain
from tests.support.network_members import make_bytes, make_member

VOTERS = ("commission", "hospital", "insurer")


def finality_key(label: str) -> FinalityKey:
    """A BLS key made from a label, with its proof of possession."""
    secret = bls.secret_key_from_seed(make_bytes(f"finality {label}"))
    return FinalityKey(bls.public_key(secret).hex(), bls.prove_possession(secret).hex())


def signing_key(member_id: str, number: int = 0) -> str:
    """The public half of one of a member's signing keys."""
    return ed25519.public_key(make_member(member_id, number).seed).hex()


def seat(member_id: str, label: str | None = None, number: int = 0) -> SeatGiven:
    """A seat with the member's normal keys, or with the finality key of another label."""
    return SeatGiven(member_id, signing_key(member_id, number), finality_key(label or member_id))


def rotation(member_id: str, number: int = 1, overlap: int = 10) -> KeyRotated:
    """From the member's first signing key to another."""
    return KeyRotated(member_id, signing_key(member_id, number), make_member(member_id).key_id, overlap)


def propose(network: NetworkChain, *changes: Change, author: str = "hospital", days: int = 1) -> Receipt:
    """One proposal in a block of its own."""
    body = GovernancePropose(changes, network.now_ms + days * DAY_MS)
    return network.do("governance.propose", body, author)


def vote(network: NetworkChain, proposal: Receipt, author: str) -> Receipt:
    """One vote in a block of its own."""
    assert proposal.code == "ok", proposal
    assert proposal.results[0].subject is not None
    return network.do("governance.vote", GovernanceVote(proposal.results[0].subject), author)


def decide(network: NetworkChain, *changes: Change, voters: tuple[str, ...] = VOTERS) -> Receipt:
    """Propose and vote; the receipt of the last vote."""
    proposal = propose(network, *changes)
    return [vote(network, proposal, name) for name in voters][-1]


def freeze(network: NetworkChain, participant: str, *authors: str) -> Receipt:
    """Each of the authors asks for it; the receipt of the last."""
    body = GovernanceFreeze(participant)
    return [network.do("governance.freeze", body, name) for name in authors][-1]
