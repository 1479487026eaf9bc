"""A ledger with one endorsed invoice, and the signatures with which any invoice is asked for."""

from dataclasses import dataclass
from functools import cache

from msgspec import structs

from contracts.bodies import RecordEndorse, RecordPublish, SeatTaken
from contracts.identifiers import derive_nullifier, invoice_message
from contracts.invoicekeys import Identity
from ledger.crypto import bls
from node.audit.build import LedgerSource
from node.audit.proofs import AbsenceProof, InclusionProof, PresenceProof
from node.audit.proving import build_inclusion, build_invoice_proof
from tests.support.agent_world import REGION, build_genesis
from tests.support.governance import decide, seat
from tests.support.ledger_source import MemorySource
from tests.support.network_builder import Network, make_bytes

USED: Identity = ("medical", "33060121", "0000000001")
UNUSED: Identity = ("medical", "33060121", "0000000002")


@dataclass(frozen=True)
class InvoiceStory:
    """The network, and the record that was locked."""

    network: Network
    record_id: str

    @property
    def source(self) -> LedgerSource:
        return MemorySource(self.network)


def lock_signature(identity: Identity, year: int = 2021) -> bytes:
    """The commission's signature over an identity, with its key of a year."""
    secret = bls.secret_key_from_seed(make_bytes(f"invoice {REGION} {year}"))
    return bls.sign(secret, invoice_message(*identity))


@cache
def invoice_story(epochs: int = 1) -> InvoiceStory:
    """`epochs` 2: the set changes once, before the last block."""
    network = Network(build_genesis())
    customer = network.grant(network.commit_policy().policy_id)
    record = network.make_record(customer, "invoice")
    assert network.do("record.publish", RecordPublish((record,)), "hospital").code == "ok"
    lock = derive_nullifier(lock_signature(USED))
    endorsement = structs.replace(network.make_endorsement(record), nullifier=lock)
    assert network.do("record.endorse", RecordEndorse((endorsement,), ()), "commission").code == "ok"
    if epochs == 2:
        assert decide(network, SeatTaken("tpa"), seat("auditor")).code == "ok"
    network.wait(1000)
    return InvoiceStory(network, network.record_id(record))


def absence(story: InvoiceStory, identity: Identity = UNUSED) -> AbsenceProof:
    proof = build_invoice_proof(story.source, identity, lock_signature(identity))
    assert isinstance(proof, AbsenceProof)
    return proof


def presence(story: InvoiceStory) -> PresenceProof:
    proof = build_invoice_proof(story.source, USED, lock_signature(USED))
    assert isinstance(proof, PresenceProof)
    return proof


def inclusion(story: InvoiceStory) -> InclusionProof:
    return build_inclusion(story.source, story.record_id)
