"""A stay during which money moves: a claim on its way with interim records, and the bodies that move it."""

from typing import Any

from contracts import holdbodies as bodies
from contracts.holdstates import GuaranteeState, HoldItem, RecoveryState, read_guarantee, read_holds, read_recovery
from contracts.holdtokens import RECOVERY_TYPE, RecoveryWord
from contracts.identifiers import derive_hold_id, derive_recovery_id
from contracts.states import AccountState, ClaimState, read_account, read_claim
from contracts.tokens import encode_token
from tests.support.network_builder import DAY_MS, Network, make_bytes, make_hex


class HoldStory:
    """One policy, one claim of one stay. `filed`: the insurer accepted it."""

    def __init__(self, network: Network | None = None, *, filed: bool = True) -> None:
        self.network = network or Network()
        self.policy = self.network.commit_policy()
        self.policy_id = self.policy.policy_id
        self.customer = self.network.grant(self.policy_id)
        self.records = self.network.publish(self.customer, "admission")
        self.claim_id = self.network.claim_id(self.customer)
        if filed:
            self.network.accept(self.claim_id)

    @property
    def claim(self) -> ClaimState:
        found = read_claim(self.network.state.read, self.claim_id)
        assert found is not None
        return found

    @property
    def account(self) -> AccountState:
        found = read_account(self.network.state.read, self.policy.account_id)
        assert found is not None
        return found

    @property
    def holds(self) -> tuple[HoldItem, ...]:
        return read_holds(self.network.state.read, self.claim_id)

    def do(self, kind: str, body: Any, by: str = "insurer", heard: tuple[str, ...] = ("tpa",)) -> str:
        return self.network.do(kind, body, by, list(heard)).code

    def interim(self, record_type: str = "interim", *, accepted: bool = True) -> str:
        """Publish an interim record, and endorse it. Returns its id."""
        from contracts.bodies import RecordEndorse

        (record,) = self.network.publish(self.customer, record_type)
        if accepted:
            self.records.append(record)
            body = RecordEndorse(endorsements=(self.network.make_endorsement(record),), completions=())
            assert self.do("record.endorse", body, "commission", ()) == "ok"
        return self.network.record_id(record)

    def make(self, kind: str, record_id: str, **changes: Any) -> Any:
        """The body of an advance or a guarantee on this record."""
        fields: dict[str, Any] = {
            "claim_id": self.claim_id,
            "policy_id": self.policy_id,
            "record_id": record_id,
            "account_version": self.account.version,
            "account_commit": make_hex(f"account {self.network.count()}"),
            "hold_commit": make_hex(f"hold {self.network.count()}"),
        }
        if kind == "guarantee":
            fields["valid_to_ms"] = self.network.now_ms + 30 * DAY_MS
            return bodies.GuaranteeIssue(**fields | changes)
        return bodies.AdvancePay(**fields | changes)

    def advance(self, record_id: str | None = None, *, heard: tuple[str, ...] = ("tpa",), **changes: Any) -> str:
        return self.do("advance.pay", self.make("advance", record_id or self.interim(), **changes), heard=heard)

    def guarantee(self, record_id: str | None = None, *, heard: tuple[str, ...] = ("tpa",), **changes: Any) -> str:
        return self.do("guarantee.issue", self.make("guarantee", record_id or self.interim(), **changes), heard=heard)

    def hold_id(self, kind: str, number: int = 1) -> str:
        return derive_hold_id(kind, self.claim_id, self.policy_id, number)

    def read_guarantee(self) -> GuaranteeState:
        found = read_guarantee(self.network.state.read, self.hold_id("guarantee"))
        assert found is not None
        return found

    def complete(self) -> None:
        """Discharge and invoice: the stay is over."""
        found = self.network.publish(self.customer, "discharge", "invoice")
        from contracts.bodies import RecordEndorse

        records = [*self.records, *found]
        ready = [item for item in records if item.record_type != "interim"]
        body = RecordEndorse(
            endorsements=tuple(self.network.make_endorsement(item) for item in ready),
            completions=(self.network.make_completion(self.customer, records),),
        )
        assert self.do("record.endorse", body, "commission", ()) == "ok"

    def decide(self) -> str:
        """Complete and decide; the id of the payout that pays the rest."""
        self.complete()
        self.network.adjudicate(self.claim_id)
        return self.network.payout_id(self.claim_id, self.policy_id)

    def draw(self, *, by: str = "insurer", heard: tuple[str, ...] = ("hospital",)) -> str:
        body = bodies.GuaranteeDraw(self.hold_id("guarantee"), make_hex(f"draw {self.claim_id}"))
        return self.do("guarantee.draw", body, by, heard)

    def release(self, heard: tuple[str, ...], version: int | None, by: str = "insurer") -> str:
        commitment = None if version is None else make_hex("account after the release")
        return self.do(
            "guarantee.release", bodies.GuaranteeRelease(self.hold_id("guarantee"), version, commitment), by, heard
        )

    @property
    def recovery_id(self) -> str:
        return derive_recovery_id(self.claim_id, self.policy_id, self.claim.attempt)

    @property
    def recovery(self) -> RecoveryState | None:
        return read_recovery(self.network.state.read, self.recovery_id)

    def open_recovery(self, *, by: str = "insurer", heard: tuple[str, ...] = ("tpa",), **changes: Any) -> str:
        fields = {"claim_id": self.claim_id, "policy_id": self.policy_id, "recovery_commit": make_hex("recovery")}
        return self.do("recovery.open", bodies.RecoveryOpen(**fields | changes), by, heard)

    def make_settle(self, **changes: Any) -> bodies.RecoverySettle:
        fields: dict[str, Any] = {
            "recovery_id": self.recovery_id,
            "way": "paid",
            "settlement_commit": make_hex("came back"),
            "set_off_payout": None,
            "token": None,
        }
        return bodies.RecoverySettle(**fields | changes)

    def sign_recovery(self, *, signed_by: bytes | None = None, **changes: Any) -> str:
        """The customer's word on the settlement that make_settle gives."""
        fields: dict[str, Any] = {
            "v": 1,
            "network": self.network.genesis.network,
            "consent_id": self.customer.consent_id,
            "recovery_id": self.recovery_id,
            "way": "paid",
            "settlement_commit": make_hex("came back"),
            "set_off_payout": None,
            "nonce": "00" * 16,
        }
        return encode_token(RecoveryWord(**fields | changes), RECOVERY_TYPE, signed_by or self.customer.seed)


STRANGER = make_bytes("stranger")
