"""Claims brought into every status there is, and one well-formed transaction for every action of the claim's table.

Everything that an action needs beside the status is made to hold (deadlines are over, tokens are signed, others
endorse), so that what decides is the table alone.
"""

from dataclasses import dataclass
from typing import Any

from msgspec import structs

from contracts import bodies, claimbodies
from contracts.claimtokens import (
    AGREEMENT_TYPE,
    DISPUTE_TYPE,
    ESCALATION_TYPE,
    REOPENING_TYPE,
    WITHDRAWAL_TYPE,
    Agreement,
    ClaimWord,
    Complaint,
    EscalationRequest,
    ReopeningRequest,
    Withdrawal,
)
from contracts.genesis import Parameters
from contracts.identifiers import derive_pool_id
from contracts.lifecycle import CLAIM_STEPS
from contracts.receipts import Receipt
from contracts.statements import Delivery, statement_message
from contracts.states import ClaimState, read_account, read_claim, read_participant, read_pool
from contracts.tokens import encode_token
from tests.support.network_builder import DAY_MS, HOUR_MS, Customer, Network, make_genesis, make_hex

STATUSES = (*dict.fromkeys(status for status, _ in CLAIM_STEPS if status), "WITHDRAWN")
ACTIONS = tuple(dict.fromkeys(action for _, action in CLAIM_STEPS if not action.startswith("ledger.")))
REASON = make_hex("reason")
LONG = Parameters(decide_ms=5 * DAY_MS, accept_ms=HOUR_MS, co_sign_ms=HOUR_MS, settle_ms=HOUR_MS, pause_max_ms=HOUR_MS)


@dataclass(frozen=True)
class Sent:
    """A transaction about to be sent."""

    kind: str
    body: Any
    author: str
    endorsers: tuple[str, ...] = ()


class Lives(Network):
    """A network whose claims take every way: one policy each, the TPA co-adjudicates, an auditor may read."""

    def start(self) -> tuple[Customer, str]:
        """A reported claim, its case not complete."""
        policy = self.commit_policy()
        draft = self.make_consent([policy.policy_id])
        auditor = structs.replace(draft.consent.grantees[-1], participant="auditor", purposes=("audit",))
        customer = self.grant(policy.policy_id, grantees=(*draft.consent.grantees, auditor))
        self.publish(customer, "admission")
        return customer, self.claim_id(customer)

    def finish_case(self, customer: Customer) -> None:
        self.complete(customer, self.publish(customer, "discharge", "invoice"))

    def reach(self, status: str) -> tuple[Customer, str]:
        """A claim with this status; its deadlines are over, and everything it needs to go on is there."""
        customer, claim_id = self.start()
        match status:
            case "REPORTED":
                self.finish_case(customer)
            case "FILED":
                self.accept(claim_id)
            case _:
                self.accept(claim_id)
                self.finish_case(customer)
                self._go(customer, claim_id, status)
        self.wait(6 * DAY_MS)
        assert self.status(claim_id) == status
        return customer, claim_id

    def _go(self, customer: Customer, claim_id: str, status: str) -> None:
        ways = {
            "EVIDENCE_PENDING": ("claim.request_evidence",),
            "EVIDENCE_COMPLETE": (),
            "IN_REVIEW": ("claim.review/open",),
            "INVESTIGATION": ("claim.review/open", "claim.investigate"),
            "SUSPENDED": ("claim.suspend",),
            "DECIDED": ("claim.adjudicate",),
            "DISPUTED": ("claim.adjudicate", "claim.dispute"),
            "CLOSED": ("claim.adjudicate", "claim.close"),
            "WITHDRAWN": ("claim.withdraw",),
        }
        for action in ways[status]:
            receipt = self.act(action, customer, claim_id)
            assert receipt.code == "ok", (action, receipt)

    def act(self, action: str, customer: Customer, claim_id: str, **changes: Any) -> Receipt:
        """Send the transaction of an action; `changes` replace fields of its body."""
        sent = self.make(action, customer, claim_id)
        body = structs.replace(sent.body, **changes) if changes else sent.body
        return self.do(sent.kind, body, sent.author, sent.endorsers)

    def make(self, action: str, customer: Customer, claim_id: str) -> Sent:
        """The transaction of an action as its actor sends it."""
        kind, _, part = action.partition("/")
        person = make_hex(f"person {self.count()}")
        match kind:
            case "claim.accept":
                return Sent(kind, self.make_accept(claim_id), "insurer")
            case "claim.request_evidence":
                body: Any = claimbodies.ClaimRequestEvidence(claim_id, make_hex("items"), self.readers(customer))
                return Sent(kind, body, "insurer")
            case "claim.suspend":
                return Sent(kind, claimbodies.ClaimSuspend(claim_id, REASON, pauses_clock=True), "insurer")
            case "claim.resume":
                return Sent(kind, claimbodies.ClaimResume(claim_id), "insurer")
            case "claim.review":
                body = claimbodies.ClaimReview(claim_id, part, person, REASON, is_complex=False)  # type: ignore[arg-type]
                return Sent(kind, body, "insurer", ("tpa",) if part == "release" else ())
            case "claim.investigate":
                return Sent(kind, claimbodies.ClaimInvestigate(claim_id, REASON, pauses_clock=False), "insurer")
            case "claim.adjudicate":
                if part == "substitute":
                    return Sent(kind, self.make_adjudication(claim_id, ("commission", "tpa")), "commission")
                return Sent(kind, self.make_adjudication(claim_id), "insurer")
            case "claim.close":
                return Sent(kind, bodies.ClaimClose(claim_id), "insurer", ("tpa",))
            case "claim.audit":
                body = claimbodies.ClaimAudit(claim_id, self.claim(claim_id).attempt, "same", make_hex("audit"))
                return Sent(kind, body, "auditor")
        return self._make_disputed(action, customer, claim_id)

    def _make_disputed(self, action: str, customer: Customer, claim_id: str) -> Sent:
        kind, _, part = action.partition("/")
        match kind:
            case "claim.withdraw":
                decided = self.claim(claim_id).status == "DECIDED"
                restored = self.make_restoration(claim_id) if decided else None
                token = self.word(customer, claim_id, WITHDRAWAL_TYPE, Withdrawal)
                body: Any = claimbodies.ClaimWithdraw(claim_id, token, None, restored)
                return Sent(kind, body, "insurer" if decided else "hospital-two", ("tpa",) if decided else ())
            case "claim.escalate":
                return Sent(kind, claimbodies.ClaimEscalate(claim_id, self.due(claim_id), None), "hospital")
            case "claim.dispute":
                commits = {"complaint_commit": REASON, "disclosure_commit": make_hex("disclosed")}
                token = self.word(customer, claim_id, DISPUTE_TYPE, Complaint, **commits)
                return Sent(kind, claimbodies.ClaimDispute(token), "hospital-two")
            case "claim.ruling":
                statements = self.statements(claim_id, "commission") if part == "award" else ()
                return Sent(kind, claimbodies.ClaimRuling(claim_id, REASON, statements), "commission")
            case "claim.reopen":
                token = self.word(customer, claim_id, REOPENING_TYPE, ReopeningRequest, reason_commit=REASON)
                return Sent(kind, claimbodies.ClaimReopen(claim_id, REASON, token), "tpa")
        assert kind == "claim.negotiate"
        later = self.claim(claim_id).status == "DISPUTED"
        statements = (
            self.statements(claim_id, "insurer", "tpa") if later else self.make_adjudication(claim_id).statements
        )
        agreed = tuple(statement_message(item.statement).hex() for item in statements)
        token = self.word(customer, claim_id, AGREEMENT_TYPE, Agreement, statements=agreed)
        return Sent(kind, claimbodies.ClaimNegotiate(claim_id, statements, token), "insurer")

    # -- parts

    def claim(self, claim_id: str) -> ClaimState:
        found = read_claim(self.state.read, claim_id)
        assert found is not None
        return found

    def status(self, claim_id: str) -> str:
        return self.claim(claim_id).status

    def due(self, claim_id: str) -> Any:
        """The deadline that is over for a claim with this status."""
        claim = self.claim(claim_id)
        if claim.status == "DECIDED":
            return "settle"
        return "accept" if claim.accepted_ms is None else "decide"

    def word(self, customer: Customer, claim_id: str, token_type: str, kind: type[ClaimWord], /, **more: Any) -> str:
        """A customer's token about a claim as it stands; `more` adds or replaces fields."""
        fields: dict[str, Any] = {
            "v": 1,
            "network": self.genesis.network,
            "consent_id": customer.consent_id,
            "claim_id": claim_id,
            "attempt": self.claim(claim_id).attempt,
            "nonce": make_hex(f"word {self.count()}", 16),
        }
        return encode_token(kind(**{**fields, **more}), token_type, customer.seed)

    def escalation_word(self, customer: Customer, claim_id: str, deadline: str) -> str:
        return self.word(customer, claim_id, ESCALATION_TYPE, EscalationRequest, deadline=deadline)

    def readers(self, customer: Customer) -> tuple[Delivery, ...]:
        hospital = read_participant(self.state.read, "hospital")
        assert hospital is not None
        keys = (customer.consent.mailbox_key, hospital.envelope_key)
        return tuple(Delivery(key, make_hex("sealed list")) for key in keys)

    def statements(self, claim_id: str, *signers: str) -> Any:
        """Statements of the next attempt."""
        return self.make_adjudication(claim_id, signers, attempt=self.claim(claim_id).attempt + 1).statements

    def make_restoration(self, claim_id: str) -> claimbodies.Restoration:
        claim = self.claim(claim_id)
        accounts = []
        for item in claim.policies:
            account = read_account(self.state.read, item.account_id)
            assert account is not None
            commit = make_hex(f"restored {self.count()}")
            accounts.append(claimbodies.RestoredAccount(item.policy_id, account.version, commit))
        pool = read_pool(self.state.read, derive_pool_id(claim.case_id))
        return claimbodies.Restoration(tuple(accounts), pool.version if pool else 0, make_hex("restored pool"))


def make_lives() -> Lives:
    """A network with short deadlines."""
    return Lives(make_genesis(parameters=LONG))


def code(lives: Lives, action: str, at: tuple[Customer, str], **changes: Any) -> str:
    """The receipt code; a refusal left the state as it was."""
    root = lives.state.state_map.root
    found = lives.act(action, *at, **changes).code
    assert found == "ok" or lives.state.state_map.root == root
    return found


def sent_by(lives: Lives, author: str, action: str, at: tuple[Customer, str], *endorsers: str, **changes: Any) -> str:
    """The receipt code of an action that `author` sends."""
    sent = lives.make(action, *at)
    return lives.do(sent.kind, structs.replace(sent.body, **changes), author, endorsers).code
