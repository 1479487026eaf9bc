"""Whatever is sent in whatever order, some things stay true of the state.

A small world (three policies, two insurers, a few customers, few invoice numbers) and long random sequences of
transactions, most of them refused. After each block: accounts and pools are consumed once, an invoice is used
once, payouts exist for decided claims only, and a refused transaction changed nothing.
"""

from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contracts import bodies
from contracts.genesis import CONTEST_MS
from contracts.identifiers import derive_pool_id
from contracts.lifecycle import TABLES
from contracts.states import (
    AccountState,
    CaseState,
    ClaimState,
    NullifierState,
    PayoutState,
    PoolState,
    RecordState,
    S,
    decode_state,
    read_claim,
)
from tests.support.network_builder import HOUR_MS, Customer, Network, make_hex

STEPS = st.lists(st.tuples(st.integers(0, 11), st.integers(0, 63), st.integers(0, 63)), min_size=10, max_size=60)


class World:
    """A network and the random choices made on it."""

    def __init__(self) -> None:
        self.network = Network()
        self.policies = [
            self.network.commit_policy(),
            self.network.commit_policy(),
            self.network.commit_policy("insurer-two"),
        ]
        self.customers: list[Customer] = []
        self.records: list[tuple[Customer, bodies.PublishedRecord]] = []
        self.statuses: dict[str, str] = {}
        for choice in (0, 2, 3):
            self.grant(choice, 0)
        self.actions: tuple[Callable[[int, int], None], ...] = (
            self.grant,
            self.publish,
            self.publish,
            self.endorse,
            self.endorse,
            self.complete,
            self.accept,
            self.adjudicate,
            self.adjudicate,
            self.pay,
            self.close,
            self.revoke_or_wait,
        )

    def send(self, kind: str, body: Any, author: str, endorsers: tuple[str, ...] = ()) -> None:
        """Run one transaction and check that a refusal changed nothing."""
        before = self.network.state.state_map.root
        receipt = self.network.do(kind, body, author, endorsers)
        changed = self.network.state.state_map.root != before
        assert changed == any(item.code == "ok" for item in receipt.results), receipt

    def values(self, kind: type[S]) -> dict[str, S]:
        """All values of a family, by id."""
        prefix = f"{kind.FAMILY}/"
        return {
            key.removeprefix(prefix): decode_state(item.value, kind)
            for key, item in self.network.store.items()
            if key.startswith(prefix) and item.value is not None
        }

    def pick(self, items: list[Any], choice: int) -> Any:
        return items[choice % len(items)] if items else None

    def claim(self, choice: int) -> tuple[str, ClaimState] | None:
        return self.pick(sorted(self.values(ClaimState).items()), choice)

    def grant(self, choice: int, _: int) -> None:
        listed = [policy.policy_id for bit, policy in enumerate(self.policies) if (choice % 7 + 1) >> bit & 1]
        self.customers.append(self.network.grant(*listed))

    def publish(self, choice: int, other: int) -> None:
        customer = self.pick(self.customers, choice)
        record = self.network.make_record(customer, ("admission", "discharge", "invoice", "charges")[other % 4])
        self.records.append((customer, record))
        self.send("record.publish", bodies.RecordPublish((record,)), ("hospital", "hospital-two")[other % 8 == 7])

    def endorse(self, choice: int, other: int) -> None:
        found = self.pick(self.records, choice)
        if found is None:
            return
        record = found[1]
        nullifier = make_hex(f"invoice number {other % 6}") if record.record_type == "invoice" else None
        item = self.network.make_endorsement(record, nullifier=nullifier)
        if other % 11 == 10:
            item = self.network.make_endorsement(record, verdict="rejected", code="EVIDENCE_INVALID", nullifier=None)
        self.send("record.endorse", bodies.RecordEndorse((item,), ()), "commission")

    def complete(self, choice: int, _: int) -> None:
        customer = self.pick(self.customers, choice)
        accepted = {name for name, item in self.values(RecordState).items() if item.status == "ACCEPTED"}
        own = [self.network.record_id(record) for owner, record in self.records if owner is customer]
        listed = tuple(name for name in own if name in accepted) or (make_hex("none"),)
        body = bodies.EvidenceCompletion(customer.case_id, listed, make_hex("pool"))
        self.send("record.endorse", bodies.RecordEndorse((), (body,)), "commission")

    def accept(self, choice: int, _: int) -> None:
        found = self.claim(choice)
        if found:
            self.send("claim.accept", self.network.make_accept(found[0]), found[1].insurer)

    def adjudicate(self, choice: int, other: int) -> None:
        found = self.claim(choice)
        if found:
            signers = (found[1].insurer, ("tpa", "tpa", "tpa", "tpa-owned")[other % 4])
            body = self.network.make_adjudication(found[0], signers)
            self.send("claim.adjudicate", body, found[1].insurer)

    def pay(self, choice: int, other: int) -> None:
        found = self.pick(sorted(self.values(PayoutState).items()), choice)
        if found is None:
            return
        payout_id, payout = found
        attempt, action = max(payout.attempt, 1), PAYOUT_ACTIONS[other % len(PAYOUT_ACTIONS)]
        if action == "payout.lapse" and choice % 2:
            self.network.wait(CONTEST_MS)
        following = payout.attempt + 1 if choice % 3 else attempt
        body: Any = {
            "payout.order": bodies.PayoutOrder(payout_id, following, make_hex("order")),
            "payout.settle": bodies.PayoutSettle(payout_id, attempt, make_hex(f"settlement {other % 4}")),
            "payout.ack": bodies.PayoutAck(self.network.make_ack(payout_id)),
            "payout.fail": bodies.PayoutFail(payout_id, attempt, make_hex("bank")),
            "payout.contest": bodies.PayoutContest(self.network.make_contest(payout_id)),
            "payout.lapse": bodies.PayoutLapse(payout_id),
        }[action]
        before = self.values(PayoutState)[payout_id]
        self.send(action, body, payout.insurer)
        after = self.values(PayoutState)[payout_id]
        assert after.attempt == before.attempt or (before.status in ("AUTHORISED", "FAILED")), "no second order"

    def close(self, choice: int, other: int) -> None:
        found = self.claim(choice)
        if found:
            endorsers = ("tpa",) if other % 2 else ()
            self.send("claim.close", bodies.ClaimClose(found[0]), found[1].insurer, endorsers)

    def revoke_or_wait(self, choice: int, other: int) -> None:
        if other % 3:
            self.network.wait(other * HOUR_MS)
            return
        customer = self.pick(self.customers, choice)
        body = bodies.ConsentRevoke(customer.consent_id, None, customer.slip)
        self.send("consent.revoke", body, "hospital")

    def check(self) -> None:
        """What must be true of every state."""
        claims, payouts = self.values(ClaimState), self.values(PayoutState)
        decided = {name for name, claim in claims.items() if claim.status in ("DECIDED", "CLOSED")}
        self._check_accounts(claims, decided)
        self._check_pools(claims, decided)
        assert {payout.claim_id for payout in payouts.values()} == decided
        assert {name for claim in claims.values() for name in claim.payouts} == set(payouts)
        for name in decided:
            assert len(claims[name].payouts) == len(claims[name].policies)
        for name, claim in claims.items():
            if claim.status == "CLOSED":
                assert {payouts[item].status for item in claim.payouts} <= {"PAID", "PAID_UNCONTESTED", "NOT_DUE"}, name
        self._check_invoices()
        self._check_steps(claims, payouts)

    def _check_accounts(self, claims: dict[str, ClaimState], decided: set[str]) -> None:
        for name, account in self.values(AccountState).items():
            consumers = [claim for claim in decided if any(p.account_id == name for p in claims[claim].policies)]
            assert account.version == len(consumers), "each verdict consumes one version"
            if account.lease is not None:
                assert claims[account.lease].status in ("FILED", "EVIDENCE_COMPLETE")

    def _check_pools(self, claims: dict[str, ClaimState], decided: set[str]) -> None:
        pools = self.values(PoolState)
        cases = self.values(CaseState)
        complete = {derive_pool_id(name) for name, case in cases.items() if case.status == "COMPLETE"}
        assert set(pools) == complete
        for pool in pools.values():
            statements = [len(claims[name].policies) for name in decided if claims[name].case_id == pool.case_id]
            assert pool.version == sum(statements)

    def _check_invoices(self) -> None:
        records, nullifiers = self.values(RecordState), self.values(NullifierState)
        used = [item.nullifier for item in records.values() if item.nullifier is not None]
        assert len(set(used)) == len(used)
        assert {item.record_id for item in nullifiers.values()} == {n for n, r in records.items() if r.nullifier}

    def _check_steps(self, claims: dict[str, ClaimState], payouts: dict[str, PayoutState]) -> None:
        """No status changed but by a row, or two rows of one transaction, of the table."""
        for subject, values in (("claim", claims), ("payout", payouts)):
            table = TABLES[subject]  # type: ignore[index]
            for name, value in values.items():
                before = self.statuses.get(name)
                following = {step.to for (status, _), step in table.items() if status == before}
                following |= {step.to for (status, _), step in table.items() if status in following}
                assert value.status == before or value.status in following
                self.statuses[name] = value.status


PAYOUT_ACTIONS = ("payout.order", "payout.settle", "payout.ack", "payout.fail", "payout.contest", "payout.lapse")
SCRIPT = [(1, 0, 0), (1, 0, 1), (1, 0, 2), (3, 0, 0), (3, 1, 0), (3, 2, 1), (6, 0, 0), (5, 0, 0), (7, 0, 0)]
SCRIPT += [(9, 0, 0), (9, 0, 1), (9, 0, 2), (10, 0, 0)]
"""One claim from admission to close, in terms of the random actions."""


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(0, len(SCRIPT)), STEPS)
def test_invariants_hold_after_every_block(told: int, steps: list[tuple[int, int, int]]) -> None:
    world = World()
    for action, choice, other in SCRIPT[:told] + steps:
        world.actions[action](choice, other)
        world.check()


def test_the_world_reaches_its_end() -> None:
    """The random actions are able to bring a claim to its close; else the property would hold of nothing."""
    world = World()
    for action, choice, other in SCRIPT:
        world.actions[action](choice, other)
        world.check()
    (claim_id,) = world.values(ClaimState)
    claim = read_claim(world.network.state.read, claim_id)
    assert claim is not None
    assert claim.status == "CLOSED"
