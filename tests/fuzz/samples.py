"""True inputs of every format, made once a process: one claim's journey on a ledger in memory, and its by-products.

Nothing here is random: the same samples in every run, so that a case that failed can be made again.
"""

import json
import tempfile
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import msgspec

from contracts import bodies
from contracts.claimtokens import DISPUTE_TYPE, Complaint
from contracts.execution import ChainState
from contracts.genesis import genesis_hash
from contracts.holdtokens import RECOVERY_TYPE, RecoveryWord
from contracts.machine.bundle import encode_bundle
from contracts.membership import validator_set
from contracts.risktokens import APPEAL_TYPE, AppealWord
from contracts.tokens import (
    ACKNOWLEDGEMENT_TYPE,
    AMENDMENT_TYPE,
    CONSENT_TYPE,
    CONTEST_TYPE,
    PAYEE_TYPE,
    REVOCATION_TYPE,
    Amendment,
    PayeeChange,
    encode_token,
)
from ledger.blocks import encode_block
from ledger.certificates import ValidatorSet
from ledger.crypto import ed25519
from ledger.crypto.envelopes import Envelope, encode_envelope, seal
from ledger.crypto.hashing import tagged_hash
from ledger.crypto.wrapping import MLKEM768_X25519, X25519, wrap_public_key
from ledger.encoding import encode
from node.audit.build import Material, build_dossier
from node.audit.dossier import encode_dossier
from node.audit.verify import read_trust
from node.machine.programs import standard_examples, standard_program
from tests.fuzz.mutations import Sample, around, document
from tests.support.ledger_source import MemorySource
from tests.support.lone_core import LoneCore
from tests.support.network_builder import NETWORK, Customer, Network, make_bytes

SECRET = make_bytes("fuzz mailbox")


class Story:
    """A claim from policy to payout, with a revocation and an acknowledgement."""

    def __init__(self) -> None:
        self.network = Network()
        policy = self.network.commit_policy()
        self.customer: Customer
        self.customer, self.claim_id = self.network.ready_claim(policy.policy_id)
        self.network.adjudicate(self.claim_id)
        self.payout_id = self.network.payout_id(self.claim_id, policy.policy_id)
        self.network.pay(self.payout_id)
        self.acknowledgement = self.network.make_ack(self.payout_id)
        amendment = Amendment(
            1, NETWORK, self.customer.consent_id, policy.account_id, 1, make_bytes("account").hex(), "ab" * 16
        )
        self.amendment = encode_token(amendment, AMENDMENT_TYPE, self.customer.seed)
        self.contest = self.network.make_contest(self.payout_id)
        change = PayeeChange(
            1, NETWORK, self.customer.consent_id, self.payout_id, 2, make_bytes("payee").hex(), "ab" * 16
        )
        complaint = Complaint(1, NETWORK, self.customer.consent_id, self.claim_id, 1, "cd" * 16, "ab" * 32, "ef" * 32)
        self.complaint = encode_token(complaint, DISPUTE_TYPE, self.customer.seed)
        self.payee_change = encode_token(change, PAYEE_TYPE, self.customer.seed)
        word = RecoveryWord(1, NETWORK, self.customer.consent_id, "ab" * 32, "paid", "cd" * 32, None, "ab" * 16)
        self.recovery_word = encode_token(word, RECOVERY_TYPE, self.customer.seed)
        appeal = AppealWord(1, NETWORK, "ab" * 32, "cd" * 32, "ab" * 16)
        self.risk_appeal = encode_token(appeal, APPEAL_TYPE, self.customer.seed)
        self.revocation = self.network.make_revocation(self.customer)
        revoke = bodies.ConsentRevoke(self.customer.consent_id, self.revocation, None)
        self.network.do("consent.revoke", revoke, "hospital-two")
        self.network.wait(1000)


@cache
def story() -> Story:
    return Story()


@cache
def folder() -> Path:
    """A folder for decoders that read files. It stays for the life of the process."""
    return Path(tempfile.mkdtemp(prefix="claimnode-fuzz-"))


@cache
def transactions() -> list[bytes]:
    """One transaction of each kind."""
    found: dict[str, bytes] = {}
    for block in story().network.blocks:
        for item in block.block.transactions:
            found[json.loads(item)["kind"]] = item
    return list(found.values())


def before(rest: bytes) -> Callable[[bytes], bytes]:
    """A builder: the document behind its length, then `rest`."""
    return lambda doc: len(doc).to_bytes(4, "big") + doc + rest


def transaction_samples() -> list[Sample]:
    return [document(item) for item in transactions()]


def block_samples() -> list[Sample]:
    """Blocks, and blocks whose header fits whatever the transactions were made into."""
    blocks = [item.block for item in story().network.blocks[:4]]

    samples = []
    for block in blocks:
        whole, header = encode_block(block), encode(block.header)
        samples.append(around(header, before(whole[4 + len(header) :])))
    return samples


@cache
def dossier() -> bytes:
    return encode_dossier(build_dossier(MemorySource(story().network), story().claim_id, Material()))


@cache
def trust() -> ChainState:
    return read_trust(story().network.genesis_bytes)


def range_trust() -> tuple[bytes, ValidatorSet, bytes]:
    """What a range of blocks above the genesis is checked against: parent, validators, chain."""
    chain = genesis_hash(story().network.genesis_bytes)
    return chain, validator_set(story().network.genesis), chain


def token_sample(token: str, seed: bytes) -> list[Sample]:
    """A token whose payload, or whose header, is replaced and signed again."""
    header, payload, _ = (_from_base64(part) for part in token.split("."))

    def sign(first: bytes, second: bytes) -> bytes:
        signing_input = to_base64(first) + b"." + to_base64(second)
        return signing_input + b"." + to_base64(ed25519.sign(seed, signing_input))

    return [
        around(payload, lambda doc: sign(header, doc)),
        around(header, lambda doc: sign(doc, payload)),
        Sample(token.encode("ascii")),
    ]


def token_samples(kind: str) -> list[Sample]:
    tokens = {
        CONSENT_TYPE: story().customer.token,
        REVOCATION_TYPE: story().revocation,
        ACKNOWLEDGEMENT_TYPE: story().acknowledgement,
        AMENDMENT_TYPE: story().amendment,
        CONTEST_TYPE: story().contest,
        PAYEE_TYPE: story().payee_change,
        RECOVERY_TYPE: story().recovery_word,
        APPEAL_TYPE: story().risk_appeal,
        DISPUTE_TYPE: story().complaint,
    }
    return token_sample(tokens[kind], story().customer.seed)


def to_base64(data: bytes) -> bytes:
    return urlsafe_b64encode(data).rstrip(b"=")


def _from_base64(part: str) -> bytes:
    return urlsafe_b64decode(part + "=" * (-len(part) % 4))


@cache
def envelope(subject: str = "decision:" + "ab" * 32, suite: int = X25519) -> Envelope:
    """An envelope whose content is a small document."""
    size = 32 if suite == X25519 else 96
    secret = (SECRET * 3)[:size]
    recipients = sorted(
        [wrap_public_key(suite, secret), wrap_public_key(suite, make_bytes("other " * 3)[:32] * (size // 32))]
    )
    return seal(
        encode({"decision": [1, 2, {"a": "b"}]}), network=NETWORK, subject=subject, recipients=recipients, suite=suite
    )


def envelope_samples() -> list[Sample]:
    samples = []
    for suite in (X25519, MLKEM768_X25519):
        found = envelope(suite=suite)
        header = encode(found.header)
        samples.append(around(header, before(found.ciphertext)))
    return samples


def content_samples() -> list[Sample]:
    """Envelopes that open: the document inside is the one that is broken."""
    public = wrap_public_key(X25519, SECRET)

    def build(doc: bytes) -> bytes:
        return encode_envelope(seal(doc, network=NETWORK, subject="decision:" + "ab" * 32, recipients=[public]))

    return [around(b'{"decision":[1,2,{"a":"b"}],"net_fen":5}', build), *envelope_samples()]


@cache
def core() -> LoneCore:
    return LoneCore(start=False)


@cache
def cases() -> list[Any]:
    return [json.loads(example)["input"] for example in standard_examples()]


@cache
def bundle() -> bytes:
    return encode_bundle(standard_program())


def values(*items: Any) -> list[Sample]:
    """Samples of JSON documents."""
    return [document(encode(msgspec.to_builtins(item))) for item in items]


def guard_bytes(doc: bytes) -> bytes:
    """A vote guard around foreign fields, with the check that belongs to them."""
    check = tagged_hash("vote-guard", doc).hex().encode()
    return doc[:1] + b'"check":"' + check + b'",' + doc[1:]
