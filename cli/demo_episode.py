"""One episode on a running network: what staff and customer would do, each through its own node's interface.

Knows the steps of a stay and the wallet of its patient. Must not know how the network works inside. Always true:
nobody but the customer holds the wallet, every wait ends, and the amount that is reported is the insurer's own.
"""

import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

from msgspec import Struct
from msgspec.structs import replace

from cli.client import NodeClient
from cli.episodes import Episode, EpisodePolicy, Status, discharge_documents
from cli.errors import CliError, NetworkFailure
from contracts.identifiers import derive_claim_id
from node.wallet import ConsentWallet, make_acknowledgement, make_consent, open_mail, seal_payee, standard_grantees

COMMISSION: Final = "commission"
CO_ADJUDICATOR: Final = "tpa"
FINAL_S: Final = 30
"""Asked of a node: wait until a transaction is final. It takes a fraction of a second, more while a node is down."""
EPISODE_S: Final = 240.0
"""One episode, a killed and returning validator included."""
POLL_S: Final = 0.2
CONSENT_DAYS: Final = 365
EARLIER_MS: Final = 60_000
"""A consent is valid from a minute before: block time may run a little behind the clock."""
DAY_MS: Final = 86_400_000
LOOK_BACK_DAYS: Final = 2_000
"""Claims of old stays may use every program that is in force since then."""


class EpisodeResult(Struct, frozen=True):
    """What came of an episode. `claim_ids` names its claims, by insurer; times are block time in milliseconds."""

    id: str
    label: str
    status: Status
    currency: str
    decision: str | None = None
    amount_fen: int | None = None
    refusal_code: str | None = None
    reported_ms: int | None = None
    discharged_ms: int | None = None
    authorise_ms: int | None = None
    human_steps: int = 0
    claim_ids: dict[str, str] = {}
    dossier_verified: bool | None = None


class Refused(Exception):
    """The network, or a node of it, said no with a code: the end of an episode, not an error."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class EpisodeRunner:
    """Runs episodes against the nodes of one network; threads may share it."""

    def __init__(self, network: str, clients: Mapping[str, NodeClient], envelope_keys: Mapping[str, str]) -> None:
        self._network = network
        self._clients = clients
        self._envelope_keys = envelope_keys
        self._stopping = threading.Event()

    def stop(self) -> None:
        """Let every episode end at its next wait."""
        self._stopping.set()

    def pause(self) -> None:
        """Wait a moment. Raises NetworkFailure `stopped` once `stop` was called."""
        if self._stopping.wait(POLL_S):
            raise NetworkFailure("stopped", "the demo was stopped before this episode ended")

    def run(self, episode: Episode) -> EpisodeResult:
        """The episode from policy to payment. Raises NetworkFailure `timeout` when the network does not get on."""
        result = EpisodeResult(id=episode.id, label=episode.label, status="refused", currency=episode.currency)
        if episode.not_reported is not None:
            return replace(result, refusal_code=episode.not_reported)
        stay = self.begin(episode, [self.commit(policy, episode.currency) for policy in episode.policies])
        try:
            stay.grant()
            stay.admit()
            stay.discharge()
            return stay.conclude(result)
        except Refused as refusal:
            return stay.describe(replace(result, refusal_code=refusal.code))

    def begin(self, episode: Episode, policy_ids: Sequence[str]) -> "Stay":
        """The stay of an episode under policies that were committed to before, in their order."""
        insurers = list(dict.fromkeys(policy.insurer for policy in episode.policies))
        return Stay(self, episode, self._make_consent(episode, insurers, policy_ids), insurers)

    def client(self, participant: str) -> NodeClient:
        """The operator's client of a participant's node. Raises CliError `participant`."""
        if participant not in self._clients:
            raise CliError("participant", f"an episode names {participant}, which has no node in this network")
        return self._clients[participant]

    def envelope_key(self, participant: str) -> str:
        """The registered envelope key, in hexadecimal."""
        return self._envelope_keys[participant]

    def commit(self, policy: EpisodePolicy, currency: str) -> str:
        """The insurer commits to the policy before any consent names it."""
        answer = self.client(policy.insurer).commit_policies(
            [
                {
                    "terms": {"currency": currency, **policy.terms},
                    "product": policy.product,
                    "co_adjudicators": [CO_ADJUDICATOR],
                    "escalation_to": COMMISSION,
                    "look_back_days": LOOK_BACK_DAYS,
                    **({"use": policy.account} if policy.account else {}),
                }
            ],
            wait_s=FINAL_S,
        )
        require_ok(answer)
        return str(answer["policies"][0]["policy_id"])

    def _make_consent(self, episode: Episode, insurers: Sequence[str], policy_ids: Sequence[str]) -> ConsentWallet:
        now_ms = int(self.client(episode.hospital).status()["block_time_ms"])
        return make_consent(
            network=self._network,
            hospitals=[episode.hospital],
            grantees=standard_grantees(insurers, [COMMISSION], [CO_ADJUDICATOR]),
            policy_ids=policy_ids,
            payee={"name": episode.patient["name"], "account": f"DEMO-{episode.id}"},
            nbf_ms=max(0, now_ms - EARLIER_MS),
            exp_ms=now_ms + CONSENT_DAYS * DAY_MS,
        )


class Stay:
    """One patient's stay, as the hospital's staff and the customer's software go through it."""

    def __init__(self, runner: EpisodeRunner, episode: Episode, wallet: ConsentWallet, insurers: Sequence[str]) -> None:
        self._runner = runner
        self._episode = episode
        self.wallet = wallet
        self._hospital = runner.client(episode.hospital)
        self.claims = {name: derive_claim_id(wallet.case_id, name) for name in insurers}
        self.records: list[str] = []
        self.received: dict[str, int] = {}
        """By payout, what the customer's own mail says that it got, in minor units; each was acknowledged."""
        self._deadline = time.monotonic() + EPISODE_S

    def grant(self) -> None:
        """The customer's consent, and the account to be paid, sealed to the insurers."""
        if self._episode.consent == "missing":
            return
        require_ok(self._hospital.grant([self.wallet.token], wait_s=FINAL_S))
        keys = [self._runner.envelope_key(name) for name in self.claims]
        self._hospital.relay_payee(self.wallet.token, seal_payee(self.wallet, keys))

    def admit(self) -> None:
        """Admission: the ledger itself reports the claim to each insurer."""
        self.publish([("admission", self._episode.admission)])
        for insurer, claim_id in self.claims.items():
            while self._runner.client(insurer).find(f"/v1/claims/{claim_id}") is None:
                self.pause("reported")
        if self._episode.consent == "revoked_before_discharge":
            slip = self.wallet.slip
            require_ok(self._hospital.revoke(self.wallet.consent_id, slip=slip, wait_s=FINAL_S))

    def discharge(self) -> None:
        """Discharge summary, invoices and lists, published together."""
        self.publish(discharge_documents(self._episode))

    def conclude(self, result: EpisodeResult) -> EpisodeResult:
        """Wait for the end: paid and acknowledged, decided without payment, or in front of a person."""
        while True:
            details = self.details()
            if any(detail["ready_ms"] is None for detail in details):
                self._check_records()
            if any(payout["status"] == "SETTLED_CLAIMED" for detail in details for payout in detail["payouts"]):
                self.acknowledge()
            if any(detail["status"] == "stopped" for detail in details):
                raise Refused("CONSENT_REVOKED")
            if any(detail["status"] == "in_review" for detail in details):
                return self.describe(replace(result, status="in_review"))
            if details and all(detail["status"] == "closed" for detail in details):
                return self._closed(result, details)
            self.pause("concluded")

    def describe(self, result: EpisodeResult) -> EpisodeResult:
        """Times and claims, as far as the ledger has them."""
        claims = [
            view
            for insurer, claim_id in self.claims.items()
            if (view := self._runner.client(insurer).find(f"/v1/claims/{claim_id}")) is not None
        ]
        if not claims:
            return result
        complete = claims[0]["complete_ms"]
        authorised = [payout["authorised_ms"] for claim in claims for payout in claim["payouts"]]
        return replace(
            result,
            claim_ids={claim["insurer"]: claim["claim_id"] for claim in claims},
            reported_ms=min(claim["reported_ms"] for claim in claims),
            discharged_ms=complete,
            authorise_ms=max(authorised) - complete if authorised and complete is not None else None,
        )

    def _closed(self, result: EpisodeResult, details: Sequence[dict[str, Any]]) -> EpisodeResult:
        decisions = [str(detail["decision"]) for detail in details]
        order = ("approved", "partial", "zero_pay", "declined")
        decision = next(word for word in order if word in decisions)
        amount = sum(int(detail["amount_fen"]) for detail in details)
        status: Status = "paid" if amount else "declined" if decision == "declined" else "zero"
        steps = sum(int(detail["human_steps"]) for detail in details)
        return self.describe(replace(result, status=status, decision=decision, amount_fen=amount, human_steps=steps))

    def publish(self, documents: Sequence[tuple[str, dict[str, Any]]]) -> None:
        try:
            answer = self._hospital.publish(self.wallet.consent_id, documents, wait_s=FINAL_S)
        except CliError as error:
            if error.code == "CONSENT_MISSING":
                raise Refused(error.code) from None
            raise
        require_ok(answer)
        self.records.extend(answer["record_ids"])

    def _check_records(self) -> None:
        """A record that the commission rejects, or that the ledger refuses, ends the episode."""
        for record_id in self.records:
            record = self._hospital.find(f"/v1/records/{record_id}")
            if record is None:
                continue
            codes = [item["code"] for item in record["refusals"]] + record["rejection"]
            if "DUPLICATE_OF" in codes:
                raise Refused("DUPLICATE_OF")
            if record["status"] == "REJECTED":
                raise Refused("EVIDENCE_INVALID")

    def details(self) -> list[dict[str, Any]]:
        found = (
            self._runner.client(insurer).find(f"/v1/claims/{claim_id}/decision")
            for insurer, claim_id in self.claims.items()
        )
        return [detail for detail in found if detail is not None]

    def acknowledge(self) -> None:
        """What the customer's software does by itself: open the notice, compare it with the ledger, say thanks."""
        mail = self._hospital.find(f"/v1/consents/{self.wallet.consent_id}/mail")
        for item in mail["items"] if mail else ():
            if item["kind"] != "settlement" or item["subject"] in self.received:
                continue
            message = open_mail(self.wallet, bytes.fromhex(item["envelope"]))
            payout = self._find_payout(message.subject)
            if payout is None or payout["status"] != "SETTLED_CLAIMED":
                continue
            token = make_acknowledgement(self.wallet, message.subject, payout["settlement_commit"], message.content)
            require_ok(self._hospital.acknowledge(token, wait_s=FINAL_S))
            self.received[message.subject] = int(message.content["amount_fen"])

    def _find_payout(self, payout_id: str) -> dict[str, Any] | None:
        for claim_id in self.claims.values():
            claim = self._hospital.find(f"/v1/claims/{claim_id}")
            for payout in claim["payouts"] if claim else ():
                if payout["payout_id"] == payout_id:
                    return dict(payout)
        return next((item for item in self._hospital.pages("/v1/payouts") if item["payout_id"] == payout_id), None)

    def pause(self, what: str) -> None:
        if time.monotonic() > self._deadline:
            raise NetworkFailure("timeout", f"episode {self._episode.id} was not {what} within {EPISODE_S:.0f} s")
        self._runner.pause()


def require_ok(answer: Mapping[str, Any]) -> None:
    """Raise Refused with the ledger's code, NetworkFailure `pending` for what did not become final."""
    receipt = answer.get("receipt")
    if receipt is None:
        raise NetworkFailure("pending", f"transaction {answer.get('tx_id')} is not final after {FINAL_S} s")
    if receipt["code"] != "ok":
        codes = [item["code"] for item in receipt["results"] if item["code"] != "ok"]
        raise Refused(codes[0] if codes else receipt["code"])
