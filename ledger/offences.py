"""Proof that one validator signed two statements of which an honest one signs at most one.

Knows statements, signers and which of them exclude each other (rule R11). Knows nothing of who led a view, so two
proposals of a leader are two notarize statements like any others. Must always hold: a proof names its culprit with two
signatures that verify under the culprit's own keys, each alone, for one network, epoch and view; and one offence has
one id, whoever reports it and whichever of the pairs was seen first.
"""

from typing import Annotated, Literal, TypeAlias

from msgspec import Meta, Struct

from ledger.certificates import SIGNATURES, Kind, Scheme, ValidatorSet, Vote, verify_vote
from ledger.crypto.hashing import tagged_hex
from ledger.encoding import encode_trusted
from ledger.errors import InvalidCertificate, InvalidEvidence
from ledger.types import Count, Hex32, OrgId

Signature: TypeAlias = Annotated[str, Meta(pattern=r"\A(?:[0-9a-f]{128}|[0-9a-f]{192})\Z")]
"""64 bytes of Ed25519 or 96 bytes of BLS; which one follows from the kind."""
Offence: TypeAlias = Literal["double_notarize", "double_finalize", "nullify_finalize"]
OFFENCES: dict[tuple[Kind, Kind], Offence] = {
    ("finalize", "finalize"): "double_finalize",
    ("finalize", "nullify"): "nullify_finalize",
    ("notarize", "notarize"): "double_notarize",
}
"""What an honest validator never signs together in one view. Nullify after notarize is lawful (rule R5), so is
notarize beside finalize; two nullify statements of a view are one and the same."""


class Statement(Struct, frozen=True, forbid_unknown_fields=True):
    """One signed statement of the culprit: Ed25519, or BLS for finalize."""

    kind: Kind
    parent_view: Count
    digest: Hex32 | None
    signature: Signature

    @property
    def subject(self) -> tuple[str, int, str]:
        """What it speaks about, in the order in which a proof lists its two."""
        return self.kind, self.parent_view, self.digest or ""


class Proof(Struct, frozen=True, forbid_unknown_fields=True):
    """Two statements of participant `signer` about one view; `first` has the smaller subject."""

    epoch: Count
    view: Count
    signer: OrgId
    first: Statement
    second: Statement


def build_proof(signer: str, one: Vote, other: Vote) -> Proof:
    """The proof that two votes of participant `signer` make, in its one spelling. Nothing is verified here.

    Raises InvalidEvidence `view` for votes of two views, epochs or indices, and the codes of `check_proof`.
    """
    if (one.epoch, one.view, one.signer) != (other.epoch, other.view, other.signer):
        raise InvalidEvidence("view", "the votes are not of one signer in one view")
    listed = [Statement(vote.kind, vote.parent_view, vote.digest, vote.signature) for vote in (one, other)]
    first, second = sorted(listed, key=lambda statement: statement.subject)
    proof = Proof(one.epoch, one.view, signer, first, second)
    check_proof(proof)
    return proof


def check_proof(proof: Proof) -> Offence:
    """Which offence the pair would prove; costs no signature check.

    Raises InvalidEvidence `order` unless the subjects differ and ascend, `no_contradiction` for a lawful pair.
    """
    first, second = proof.first, proof.second
    if not first.subject < second.subject:
        raise InvalidEvidence("order", "two different statements are listed in ascending order")
    offence = OFFENCES.get((first.kind, second.kind))
    if offence is None:
        raise InvalidEvidence("no_contradiction", f"{first.kind} and {second.kind} may stand together")
    return offence


def verify_proof(proof: Proof, validators: ValidatorSet, chain: bytes, scheme: Scheme = SIGNATURES) -> Offence:
    """The offence that `proof.signer` committed; at most two signature checks.

    Finalize shares are checked one by one under the key whose possession was proved, never as a sum, so nobody can be
    framed with shares that cancel out. Raises InvalidEvidence with the codes of `check_proof`, `signer` for
    somebody without a seat, and those of `ledger.certificates.verify_vote`.
    """
    offence = check_proof(proof)
    index = validators.index_of(proof.signer)
    if index is None:
        raise InvalidEvidence("signer", f"{proof.signer} has no seat in epoch {validators.epoch}")
    for item in (proof.first, proof.second):
        vote = Vote(item.kind, proof.epoch, proof.view, item.parent_view, item.digest, index, item.signature)
        try:
            verify_vote(vote, validators, chain, scheme)
        except InvalidCertificate as error:
            raise InvalidEvidence(error.code, error.detail) from None
    return offence


def derive_offence_id(network: str, proof: Proof) -> str:
    """One id for each signer, view and pair of kinds, whatever else was signed there."""
    fields = {
        "network": network,
        "epoch": proof.epoch,
        "view": proof.view,
        "kinds": [proof.first.kind, proof.second.kind],
        "signer": proof.signer,
    }
    return tagged_hex("offence-id", encode_trusted(fields))
