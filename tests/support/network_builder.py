"""A whole network in memory: signed transactions, executed blocks, and each step from policy to payout.

Ids come from a counter, times from the block before, so a test reads as a story and runs the same each time.
Blocks are built, encoded, decoded and executed again before they count. Members are in network_members.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from msgspec import structs

from contracts import bodies
from contracts.identifiers import (
    derive_case_id,
    derive_claim_id,
    derive_payout_id,
    derive_pool_id,
    derive_record_id,
)
from contracts.receipts import Receipt
from contracts.statements import Delivery, OutcomeStatement, SignedStatement, StatementSignature, statement_message
from contracts.states import read_account, read_case, read_claim, read_payout, read_policy, read_pool
from contracts.tokens import (
    ACKNOWLEDGEMENT_TYPE,
    CONSENT_TYPE,
    CONTEST_TYPE,
    REVOCATION_TYPE,
    Acknowledgement,
    Consent,
    Contest,
    Grantee,
    Revocation,
    decode_consent,
    encode_token,
)
from ledger.crypto import ed25519
from ledger.crypto.hashing import tagged_hex
from tests.support.network_chain import BLOCK_MS, DAY_MS, HOUR_MS, YEAR_MS, NetworkChain
from tests.support.network_members import (
    CONTRACT_HASH,
    CONTRACT_TWO_HASH,
    GENESIS_TIME_MS,
    GROUPS,
    MEMBERS,
    NETWORK,
    PRODUCT_HASH,
    PROGRAM,
    PROGRAM_TWO,
    TABLES_HASH,
    VALIDATORS,
    Member,
    make_bytes,
    make_genesis,
    make_hex,
    make_invoice_key,
    make_member,
    make_participant,
    make_program,
    make_signing_key,
    start_chain,
)

__all__ = [
    "BLOCK_MS",
    "CONTRACT_HASH",
    "CONTRACT_TWO_HASH",
    "DAY_MS",
    "GENESIS_TIME_MS",
    "GROUPS",
    "HOUR_MS",
    "MEMBERS",
    "NETWORK",
    "PRODUCT_HASH",
    "PROGRAM",
    "PROGRAM_TWO",
    "TABLES_HASH",
    "VALIDATORS",
    "YEAR_MS",
    "Customer",
    "Member",
    "Network",
    "make_bytes",
    "make_genesis",
    "make_hex",
    "make_invoice_key",
    "make_member",
    "make_participant",
    "make_program",
    "make_signing_key",
    "start_chain",
]


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


@dataclass
class Network(NetworkChain):
    """A chain and the customers on it, with the bodies and steps of a claim's journey."""

    customers: dict[str, Customer] = field(default_factory=dict)

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

    def make_contest(self, payout_id: str) -> str:
        """The payee's contest of the settlement that stands."""
        payout = read_payout(self.state.read, payout_id)
        assert payout is not None
        contest = Contest(
            v=1,
            network=self.genesis.network,
            consent_id=payout.consent_id,
            payout_id=payout_id,
            settlement_commit=payout.settlement_commit or make_hex("nothing"),
            nonce=make_hex(f"contest {self.count()}", 16),
        )
        return encode_token(contest, CONTEST_TYPE, self.customers[payout.consent_id].seed)

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
