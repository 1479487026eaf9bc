"""A whole network in memory: deterministic members, a genesis, signed transactions, executed blocks.

Every key comes from a small integer, every id from a counter, every time from the block before, so a test reads
as a story and runs the same each time. Blocks are built, encoded, decoded and executed again before they count.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

from msgspec import Struct, structs, to_builtins

from contracts import bodies
from contracts.execution import ChainState, ExecutedBlock, build_block, execute_block, genesis_state
from contracts.genesis import (
    FinalityKey,
    Genesis,
    InvoiceKey,
    Limits,
    Parameters,
    Participant,
    Program,
    SigningKey,
    encode_genesis,
)
from contracts.identifiers import (
    derive_case_id,
    derive_claim_id,
    derive_payout_id,
    derive_pool_id,
    derive_product_hash,
    derive_record_id,
)
from contracts.machine.bundle import build_bundle, encode_bundle, program_hash
from contracts.receipts import Receipt
from contracts.statements import Delivery, OutcomeStatement, SignedStatement, StatementSignature, statement_message
from contracts.states import read_account, read_case, read_claim, read_key, read_payout, read_policy, read_pool
from contracts.tokens import (
    ACKNOWLEDGEMENT_TYPE,
    CONSENT_TYPE,
    REVOCATION_TYPE,
    Acknowledgement,
    Consent,
    Grantee,
    Revocation,
    decode_consent,
    encode_token,
)
from ledger.blocks import decode_block
from ledger.crypto import bls, ed25519
from ledger.crypto.hashing import tagged_hex
from ledger.state import Versioned
from ledger.transactions import (
    Endorsement,
    SignedTransaction,
    build_transaction,
    compute_core_hash,
    endorsement_message,
    verify_transaction,
)

NETWORK = "test.claims"
GENESIS_TIME_MS = 1_700_000_000_000
BLOCK_MS = 1_000
HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
YEAR_MS = 366 * DAY_MS

MEMBERS: dict[str, tuple[str, ...]] = {
    "auditor": ("auditor",),
    "commission": ("commission",),
    "commission-east": ("commission",),
    "hospital": ("hospital",),
    "hospital-two": ("hospital",),
    "insurer": ("insurer",),
    "insurer-two": ("insurer",),
    "tpa": ("tpa",),
    "tpa-owned": ("tpa",),
}
"""Ids and roles. `tpa-owned` belongs to the control group of `insurer`; every other member is its own group."""
GROUPS = {"tpa-owned": "insurer"}
VALIDATORS = frozenset({"hospital", "insurer", "commission", "tpa"})
PROGRAM = build_bundle({"program.star": "def adjudicate(case):\n    return case\n"})
PROGRAM_TWO = build_bundle({"program.star": "def adjudicate(case):\n    return [case]\n"})
CONTRACT_HASH = program_hash(PROGRAM)
CONTRACT_TWO_HASH = program_hash(PROGRAM_TWO)
TABLES_HASH = tagged_hex("tables", b"test tables")
PRODUCT_HASH = derive_product_hash(CONTRACT_HASH, TABLES_HASH)


def make_bytes(label: str, size: int = 32) -> bytes:
    """Deterministic bytes for a label."""
    return hashlib.shake_256(f"claimnode test {label}".encode()).digest(size)


def make_hex(label: str, size: int = 32) -> str:
    """Deterministic hexadecimal bytes for a label."""
    return make_bytes(label, size).hex()


@dataclass(frozen=True)
class Member:
    """A participant with its secrets and the signing key it uses."""

    id: str
    seed: bytes
    key_id: str
    finality_secret: bytes

    def sign(self, message: bytes) -> str:
        return ed25519.sign(self.seed, message).hex()


@dataclass(frozen=True)
class Customer:
    """The holder of one consent: signing seed, revocation slip, and the token's parts."""

    seed: bytes
    slip: str
    consent: Consent
    token: str
    consent_id: str

    @property
    def case_id(self) -> str:
        return derive_case_id(self.consent_id)


def make_member(member_id: str, key: int = 0) -> Member:
    """The secrets of a member; `key` numbers its signing keys, 0 is the one it normally signs with."""
    seed = make_bytes(f"signing {member_id} {key}")
    finality = bls.secret_key_from_seed(make_bytes(f"finality {member_id}"))
    return Member(member_id, seed, ed25519.key_id(ed25519.public_key(seed)), finality)


def make_signing_key(member: Member, from_height: int = 0, until_height: int | None = None) -> SigningKey:
    """The public side of a signing key with its active heights."""
    return SigningKey(
        public_key=ed25519.public_key(member.seed).hex(), from_height=from_height, until_height=until_height
    )


@lru_cache(maxsize=64)
def make_participant(
    member_id: str, *, keys: tuple[SigningKey, ...] = (), invoice_keys: tuple[InvoiceKey, ...] = ()
) -> Participant:
    """A participant of the standard network."""
    member = make_member(member_id)
    secret = member.finality_secret
    return Participant(
        id=member_id,
        name=member_id.replace("-", " ").title(),
        roles=MEMBERS[member_id],
        control_group=GROUPS.get(member_id, member_id),
        validator=member_id in VALIDATORS,
        signing_keys=keys or (make_signing_key(member),),
        finality_key=FinalityKey(
            public_key=bls.public_key(secret).hex(), possession=bls.prove_possession(secret).hex()
        ),
        envelope_key=make_hex(f"envelope {member_id}"),
        note_key=ed25519.public_key(make_bytes(f"note {member_id}")).hex(),
        transport_spki=make_hex(f"transport {member_id}"),
        endpoint=None,
        invoice_keys=invoice_keys,
    )


def make_invoice_key(region: str = "330100", year: int = 2023) -> InvoiceKey:
    """A commission's nullifier key."""
    secret = bls.secret_key_from_seed(make_bytes(f"invoice {region} {year}"))
    return InvoiceKey(
        region=region,
        year=year,
        public_key=bls.public_key(secret).hex(),
        possession=bls.prove_possession(secret).hex(),
    )


def make_program(bundle: Any = PROGRAM, active_from_ms: int = 0) -> Program:
    """An approved program."""
    return Program(
        contract_hash=program_hash(bundle),
        machine="starlark-c1",
        source=encode_bundle(bundle).decode(),
        active_from_ms=active_from_ms,
    )


def make_genesis(
    *,
    limits: Limits | None = None,
    parameters: Parameters | None = None,
    participants: Iterable[Participant] | None = None,
    programs: Sequence[Program] | None = None,
) -> Genesis:
    """The genesis of the standard network, or a variation of it."""
    members = participants if participants is not None else [make_participant(name) for name in sorted(MEMBERS)]
    return Genesis(
        v=1,
        network=NETWORK,
        time_ms=GENESIS_TIME_MS,
        limits=limits or Limits(),
        parameters=parameters or Parameters(),
        participants=tuple(members),
        programs=tuple(programs) if programs is not None else (make_program(),),
    )


@lru_cache(maxsize=8)
def start_chain(genesis_bytes: bytes, min_validators: int = 4) -> ChainState:
    """`genesis_state`, once for the tests that share a genesis: proofs of possession take a while."""
    return genesis_state(genesis_bytes, min_validators=min_validators)


@dataclass
class Network:
    """A running network. `store` is the final state by key; `blocks` are all executed blocks."""

    genesis: Genesis = field(default_factory=make_genesis)
    min_validators: int = 4

    def __post_init__(self) -> None:
        self.genesis_bytes = encode_genesis(self.genesis)
        self.state: ChainState = start_chain(self.genesis_bytes, self.min_validators)
        self.members = {item.id: make_member(item.id) for item in self.genesis.participants}
        self.store: dict[str, Versioned] = {}
        self.recent: set[str] = set()
        self.blocks: list[ExecutedBlock] = []
        self.customers: dict[str, Customer] = {}
        self._counter = 0
        genesis_read = self.state.read
        self.state = replace(
            self.state, read=lambda key: self.store.get(key) or genesis_read(key), is_recent=self.recent.__contains__
        )

    # -- transactions and blocks ---------------------------------------------------------------------------------

    @property
    def now_ms(self) -> int:
        """Time of the latest block."""
        return self.state.time_ms

    def count(self) -> int:
        """A number that was not used before."""
        self._counter += 1
        return self._counter

    def sign(
        self,
        kind: str,
        body: Struct | dict[str, Any],
        author: str,
        endorsers: Iterable[str] = (),
        *,
        member: Member | None = None,
        **changes: Any,
    ) -> SignedTransaction:
        """A transaction of `author`. `member` signs with another of its keys; `changes` replace signed fields."""
        signer = member or self.members[author]
        fields: dict[str, Any] = {
            "network": self.genesis.network,
            "kind": kind,
            "body": to_builtins(body) if isinstance(body, Struct) else body,
            "author": author,
            "nonce": make_hex(f"nonce {self.count()}", 16),
            "expires_time": self.now_ms + HOUR_MS,
        } | changes
        endorsements = [self.endorse(self.members[name], fields) for name in endorsers]
        return build_transaction(**fields, key_id=signer.key_id, seed=signer.seed, endorsements=endorsements)

    def endorse(self, member: Member, fields: dict[str, Any]) -> Endorsement:
        """An endorser's signature over the core of `fields`."""
        core_hash = compute_core_hash(**fields)
        message = endorsement_message(core_hash, member.id, member.key_id)
        return Endorsement(participant=member.id, key_id=member.key_id, signature=member.sign(message))

    def resolve(self, participant: str, key_id: str) -> bytes | None:
        """Key resolver for verify_transaction."""
        key = read_key(self.state.read, key_id)
        return bytes.fromhex(key.public_key) if key and key.participant == participant else None

    def verify(self, signed: SignedTransaction) -> None:
        """Signatures of one transaction against the registry."""
        verify_transaction(signed, self.resolve)

    def run(self, *transactions: SignedTransaction, time_ms: int | None = None) -> ExecutedBlock:
        """Build a block, execute its bytes as a voter would, and make it final."""
        built = build_block(self.state, transactions, time_ms=time_ms or self.now_ms + BLOCK_MS)
        executed = execute_block(self.state, decode_block(built.encoded), self.verify)
        assert executed.header_hash == built.header_hash
        assert len(executed.receipts) == len(transactions), "the builder left a transaction out"
        self.finalize(executed)
        return executed

    def finalize(self, executed: ExecutedBlock) -> None:
        """Flush a block into the final state."""
        self.store.update(executed.changes)
        self.recent.update(signed.tx_id for signed in executed.transactions)
        self.blocks.append(executed)
        self.state = replace(executed.after, read=self.state.read, is_recent=self.state.is_recent)

    def wait(self, milliseconds: int) -> None:
        """An empty block `milliseconds` later."""
        self.run(time_ms=self.now_ms + milliseconds)

    def do(
        self, kind: str, body: Struct | dict[str, Any], author: str, endorsers: Iterable[str] = (), **changes: Any
    ) -> Receipt:
        """One transaction in a block of its own; its receipt."""
        return self.run(self.sign(kind, body, author, endorsers, **changes)).receipts[0]

    # -- bodies of the journey -----------------------------------------------------------------------------------

    def make_policy(self, **changes: Any) -> bodies.PolicyCommitment:
        """A policy with the TPA as co-adjudicator and the commission for escalation."""
        number = self.count()
        policy = bodies.PolicyCommitment(
            policy_id=make_hex(f"policy {number}", 16),
            terms_commit=make_hex(f"terms {number}"),
            product_hash=PRODUCT_HASH,
            account_id=make_hex(f"account {number}", 16),
            account_v0_commit=make_hex(f"account v0 {number}"),
            co_adjudicators=("tpa",),
            threshold=1,
            escalation_to="commission",
            look_back_days=30,
        )
        return structs.replace(policy, **changes)

    def make_consent(self, policy_ids: Sequence[str], *, signed_by: bytes | None = None, **changes: Any) -> Customer:
        """A customer's consent for `hospital`, both commissions' endorsement by `commission`, and these policies."""
        number = self.count()
        seed, slip = make_bytes(f"customer {number}"), make_hex(f"slip {number}")
        insurers = [self._policy_insurer(policy_id) for policy_id in policy_ids]
        ranked = list(dict.fromkeys(insurers))
        grantees = [
            Grantee(
                participant=name,
                purposes=("report", "adjudicate", "pay"),
                data_classes=("identity", "clinical", "charges"),
                rank=rank,
            )
            for rank, name in enumerate(ranked, start=1)
        ]
        grantees.append(Grantee("commission", ("endorse",), ("clinical", "charges"), None))
        grantees.append(Grantee("tpa", ("co-adjudicate",), ("clinical", "charges"), None))
        consent = Consent(
            v=1,
            network=self.genesis.network,
            basis="self",
            scope="case",
            key=ed25519.public_key(seed).hex(),
            nonce=make_hex(f"consent nonce {number}", 16),
            hospitals=("hospital",),
            grantees=tuple(grantees),
            policy_ids=tuple(policy_ids),
            payee_commit=make_hex(f"payee {number}"),
            mailbox_key=make_hex(f"mailbox {number}"),
            revoke_hash=tagged_hex("revocation-slip", bytes.fromhex(slip)),
            notify="mailbox",
            nbf_ms=self.now_ms,
            exp_ms=self.now_ms + YEAR_MS,
            delegable=False,
        )
        consent = structs.replace(consent, **changes)
        token = encode_token(consent, CONSENT_TYPE, signed_by or seed)
        consent_id = decode_consent(token).consent_id if signed_by is None else ""
        return Customer(seed, slip, consent, token, consent_id)

    def make_record(self, customer: Customer, record_type: str, **changes: Any) -> bodies.PublishedRecord:
        """A record of the customer's case."""
        number = self.count()
        record = bodies.PublishedRecord(
            case_id=customer.case_id,
            consent_id=customer.consent_id,
            record_type=record_type,  # type: ignore[arg-type]
            commitment=make_hex(f"commitment {number}"),
            ciphertext_digest=make_hex(f"ciphertext {number}"),
            padded_size=65_536,
            replaces=None,
        )
        return structs.replace(record, **changes)

    def record_id(self, record: bodies.PublishedRecord, hospital: str = "hospital") -> str:
        """The id under which a record is published."""
        return derive_record_id(self.genesis.network, hospital, record.commitment)

    def make_endorsement(
        self, record: bodies.PublishedRecord, *, hospital: str = "hospital", **changes: Any
    ) -> bodies.RecordEndorsement:
        """An accepting endorsement, with a fresh nullifier for an invoice."""
        fresh = make_hex(f"nullifier {self.count()}") if record.record_type == "invoice" else None
        endorsement = bodies.RecordEndorsement(
            record_id=self.record_id(record, hospital),
            commitment=record.commitment,
            profile="national-2021",
            verdict="accepted",
            code="ok",
            nullifier=fresh,
            reverses=None,
        )
        return structs.replace(endorsement, **changes)

    def make_statement(self, claim_id: str, policy_id: str, *, offset: int = 0, **changes: Any) -> OutcomeStatement:
        """The statement that state allows for one policy; `offset` is its place among the claim's statements."""
        read = self.state.read
        claim, policy = read_claim(read, claim_id), read_policy(read, policy_id)
        assert claim is not None
        assert policy is not None
        account, case = read_account(read, policy.account_id), read_case(read, claim.case_id)
        pool = read_pool(read, derive_pool_id(claim.case_id))
        assert account is not None
        assert case is not None
        customer = self.customers[claim.consent_id]
        number = self.count()
        statement = OutcomeStatement(
            v=1,
            network=self.genesis.network,
            claim_id=claim_id,
            attempt=claim.attempt,
            policy_id=policy_id,
            account_id=policy.account_id,
            account_version_in=account.version,
            account_commit_out=make_hex(f"account out {number}"),
            pool_id=derive_pool_id(claim.case_id),
            pool_version_in=(pool.version if pool else 0) + offset,
            pool_commit_out=make_hex(f"pool out {number}"),
            evidence_root=case.evidence_root or make_hex("no evidence"),
            consent_id=claim.consent_id,
            contract_hash=CONTRACT_HASH,
            tables_hash=TABLES_HASH,
            machine="starlark-c1",
            event_date_commit=make_hex(f"event date {number}"),
            payee_commit=customer.consent.payee_commit,
            result_commit=make_hex(f"result {number}"),
            delivered=(Delivery(to=customer.consent.mailbox_key, ciphertext_digest=make_hex(f"decision {number}")),),
            valid_until=self.now_ms + DAY_MS,
        )
        return structs.replace(statement, **changes)

    def sign_statement(self, statement: OutcomeStatement, *signers: str | Member) -> SignedStatement:
        """The statement with the signatures of these members, in their order."""
        members = [self.members[item] if isinstance(item, str) else item for item in signers]
        signatures = [
            StatementSignature(
                participant=item.id, key_id=item.key_id, signature=item.sign(statement_message(statement))
            )
            for item in members
        ]
        ordered = sorted(signatures, key=lambda item: (item.participant, item.key_id))
        return SignedStatement(statement=statement, signatures=tuple(ordered))

    # -- steps of the journey, each in a block of its own -----------------------------------------------------------

    def commit_policy(self, insurer: str = "insurer", **changes: Any) -> bodies.PolicyCommitment:
        policy = self.make_policy(**changes)
        _require_ok(self.do("policy.commit", bodies.PolicyCommit((policy,)), insurer))
        return policy

    def grant(self, *policy_ids: str, **changes: Any) -> Customer:
        customer = self.make_consent(policy_ids, **changes)
        _require_ok(self.do("consent.grant", bodies.ConsentGrant((customer.token,)), "hospital"))
        self.customers[customer.consent_id] = customer
        return customer

    def publish(
        self, customer: Customer, *record_types: str, hospital: str = "hospital"
    ) -> list[bodies.PublishedRecord]:
        records = [self.make_record(customer, record_type) for record_type in record_types]
        _require_ok(self.do("record.publish", bodies.RecordPublish(tuple(records)), hospital))
        return records

    def complete(self, customer: Customer, records: Sequence[bodies.PublishedRecord]) -> Receipt:
        """Endorse these records and complete the case with them."""
        body = bodies.RecordEndorse(
            endorsements=tuple(self.make_endorsement(record) for record in records),
            completions=(self.make_completion(customer, records),),
        )
        return _require_ok(self.do("record.endorse", body, "commission"))

    def make_completion(
        self, customer: Customer, records: Sequence[bodies.PublishedRecord]
    ) -> bodies.EvidenceCompletion:
        return bodies.EvidenceCompletion(
            case_id=customer.case_id,
            records=tuple(self.record_id(record) for record in records),
            pool_commit=make_hex(f"pool v0 {self.count()}"),
        )

    def make_accept(self, claim_id: str, **versions: int) -> bodies.ClaimAccept:
        """Leases on every account of the claim at its current version; `versions` by policy id override."""
        claim = read_claim(self.state.read, claim_id)
        assert claim is not None
        leases = []
        for item in claim.policies:
            account = read_account(self.state.read, item.account_id)
            assert account is not None
            leases.append(bodies.AccountLease(item.policy_id, versions.get(item.policy_id, account.version)))
        return bodies.ClaimAccept(claim_id, tuple(leases), make_hex(f"escalation {claim_id}"))

    def accept(self, claim_id: str, insurer: str = "insurer") -> Receipt:
        return _require_ok(self.do("claim.accept", self.make_accept(claim_id), insurer))

    def make_adjudication(
        self, claim_id: str, signers: Sequence[str | Member] = ("insurer", "tpa"), **changes: Any
    ) -> bodies.ClaimAdjudicate:
        """Signed statements for every policy of the claim; `changes` go into each of them."""
        claim = read_claim(self.state.read, claim_id)
        assert claim is not None
        statements = [
            self.sign_statement(self.make_statement(claim_id, item.policy_id, offset=offset, **changes), *signers)
            for offset, item in enumerate(claim.policies)
        ]
        return bodies.ClaimAdjudicate(claim_id, tuple(statements))

    def adjudicate(self, claim_id: str, insurer: str = "insurer") -> Receipt:
        body = self.make_adjudication(claim_id, (insurer, "tpa"))
        return _require_ok(self.do("claim.adjudicate", body, insurer))

    def pay(self, payout_id: str, insurer: str = "insurer") -> None:
        """Order, settle and acknowledge a payout."""
        _require_ok(self.do("payout.order", bodies.PayoutOrder(payout_id, 1, make_hex("order")), insurer))
        _require_ok(self.do("payout.settle", bodies.PayoutSettle(payout_id, 1, make_hex("settlement")), insurer))
        _require_ok(self.do("payout.ack", bodies.PayoutAck(self.make_ack(payout_id)), "hospital"))

    def make_ack(self, payout_id: str, /, *, signed_by: bytes | None = None, **changes: Any) -> str:
        """The payee's acknowledgement token."""
        payout = read_payout(self.state.read, payout_id)
        assert payout is not None
        ack = Acknowledgement(
            v=1,
            network=self.genesis.network,
            consent_id=payout.consent_id,
            payout_id=payout_id,
            settlement_commit=payout.settlement_commit or make_hex("nothing"),
            nonce=make_hex(f"ack {self.count()}", 16),
        )
        seed = signed_by or self.customers[payout.consent_id].seed
        return encode_token(structs.replace(ack, **changes), ACKNOWLEDGEMENT_TYPE, seed)

    def make_revocation(self, customer: Customer, /, *, signed_by: bytes | None = None, **changes: Any) -> str:
        """The customer's revocation token."""
        revocation = Revocation(
            v=1,
            network=self.genesis.network,
            consent_id=customer.consent_id,
            nonce=make_hex(f"revocation {self.count()}", 16),
        )
        return encode_token(structs.replace(revocation, **changes), REVOCATION_TYPE, signed_by or customer.seed)

    def claim_id(self, customer: Customer, insurer: str = "insurer") -> str:
        return derive_claim_id(customer.case_id, insurer)

    def payout_id(self, claim_id: str, policy_id: str) -> str:
        return derive_payout_id(claim_id, policy_id, 1)

    def ready_claim(self, *policy_ids: str, insurer: str = "insurer") -> tuple[Customer, str]:
        """A claim that can be adjudicated: consent, records, endorsements, completion and acceptance."""
        customer = self.grant(*policy_ids)
        records = self.publish(customer, "admission", "discharge", "invoice")
        claim_id = self.claim_id(customer, insurer)
        self.accept(claim_id, insurer)
        self.complete(customer, records)
        return customer, claim_id

    def _policy_insurer(self, policy_id: str) -> str:
        policy = read_policy(self.state.read, policy_id)
        return policy.insurer if policy else "insurer"


def _require_ok(receipt: Receipt) -> Receipt:
    assert receipt.code == "ok", receipt
    return receipt
