"""Statements of validators of the test network, lawful or not, and the proofs they make."""

from contracts.bodies import ConsensusEvidence
from ledger.certificates import Kind, Subject, Vote, vote_message
from ledger.crypto import bls
from ledger.offences import Proof, Statement
from tests.support.network_chain import NetworkChain
from tests.support.network_members import make_hex, make_member


def sign_vote(
    network: NetworkChain,
    signer: str,
    kind: Kind,
    label: str | None = "a",
    *,
    view: int = 7,
    parent_view: int = 3,
    epoch: int = 1,
    chain: bytes | None = None,
) -> Vote:
    """A validator's true signature on a statement; `label` names the block."""
    member = make_member(signer)
    is_nullify = kind == "nullify"
    digest = None if is_nullify else make_hex(f"block {label}")
    subject = Subject(kind, epoch, view, 0 if is_nullify else parent_view, digest)
    message = vote_message(chain or network.state.chain, subject)
    signature = bls.sign(member.finality_secret, message).hex() if kind == "finalize" else member.sign(message)
    index = network.state.validators.index_of(signer)
    return Vote(kind, epoch, view, subject.parent_view, digest, index or 0, signature)


def statement(vote: Vote) -> Statement:
    return Statement(vote.kind, vote.parent_view, vote.digest, vote.signature)


def pair_up(signer: str, first: Vote, second: Vote) -> Proof:
    """A proof with two statements in exactly this order, however foolish."""
    return Proof(first.epoch, first.view, signer, statement(first), statement(second))


def in_order(signer: str, first: Vote, second: Vote) -> Proof:
    """`pair_up` in ascending order: what a careful forger writes."""
    first, second = sorted((first, second), key=lambda vote: statement(vote).subject)
    return pair_up(signer, first, second)


def as_body(proof: Proof) -> ConsensusEvidence:
    """The transaction's body."""
    return ConsensusEvidence(proof.epoch, proof.view, proof.signer, proof.first, proof.second)
