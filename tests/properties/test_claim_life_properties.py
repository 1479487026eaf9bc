"""Random people act on claims for a long time: sound and unsound, in time and late, twice and in the wrong order.

A state machine over contracts alone. After each step: money is conserved (each account and pool version has one cause,
each payout one decision), no limit is exceeded, no clock is negative or runs back, a refusal changed nothing, and
executing all blocks again gives the same state.
"""

import random
from dataclasses import replace as replaced
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from contracts import bodies
from contracts.claimlife import MAX_ATTEMPTS, MAX_AUDITS, elapsed_ms, is_paused, paused_ms
from contracts.execution import execute_block
from contracts.lifecycle import CLAIM_STEPS, REMEMBERED, UNDECIDED
from contracts.states import (
    AccountState,
    ClaimState,
    PayoutState,
    PoolState,
    S,
    decode_state,
)
from ledger.blocks import decode_block
from ledger.state import Versioned
from tests.support.claim_lives import ACTIONS, LONG, REASON, STATUSES, Lives, make_lives
from tests.support.network_builder import HOUR_MS, Customer, make_hex
from tests.support.network_members import start_chain

VOLUME, MANY = 1_500, 10_000
"""Steps in all, of every run of the suite and of one that asks for the slow ones."""
STEPS = 50
AUTHORS = ("insurer", "insurer-two", "tpa", "tpa-owned", "commission", "hospital", "hospital-two", "auditor")
MOSTLY = st.integers(0, 9)
"""0: something is wrong with what is sent."""


class ClaimLives(RuleBasedStateMachine):
    """One network, a few claims, and what each step may do to them."""

    @initialize()
    def begin(self) -> None:
        self.lives: Lives = make_lives()
        self.claims: list[tuple[Customer, str]] = []
        self.elapsed: dict[str, tuple[int, int, int]] = {}
        self.statuses: dict[str, str] = {}
        self.done = 0
        self.report()

    @precondition(lambda self: len(self.claims) < 3)
    @rule()
    def report(self) -> None:
        self.claims.append(self.lives.start())

    @rule(hours=st.integers(1, 60))
    def wait(self, hours: int) -> None:
        self.lives.wait(hours * HOUR_MS)

    @rule(at=st.integers(0, 9))
    def finish_case(self, at: int) -> None:
        customer, _ = self.claims[at % len(self.claims)]
        records = self.lives.publish(customer, "discharge", "invoice")
        endorsed = tuple(self.lives.make_endorsement(item) for item in records)
        body = bodies.RecordEndorse(endorsed, (self.lives.make_completion(customer, records),))
        self.send("record.endorse", body, "commission")

    @rule(at=st.integers(0, 9), action=st.sampled_from(ACTIONS), wrong=MOSTLY, who=st.sampled_from(AUTHORS))
    def act(self, at: int, action: str, wrong: int, who: str) -> None:
        """Any action at any time; now and then by somebody else, or without whoever has to endorse."""
        customer, claim_id = self.claims[at % len(self.claims)]
        if action in ("claim.adjudicate/substitute", "claim.ruling/award") and self.lives.claim(claim_id).attempt > 8:
            return
        sent = self.lives.make(action, customer, claim_id)
        author = who if wrong == 0 else sent.author
        self.send(sent.kind, sent.body, author, () if wrong == 1 else sent.endorsers)

    @rule(at=st.integers(0, 9), choice=st.integers(0, 63), wrong=MOSTLY)
    def follow(self, at: int, choice: int, wrong: int) -> None:
        """An action that the table has for the claim's status: lives get far this way."""
        customer, claim_id = self.claims[at % len(self.claims)]
        status = self.lives.status(claim_id)
        known = [action for (came, action) in CLAIM_STEPS if came == status and not action.startswith("ledger.")]
        if known:
            sent = self.lives.make(known[choice % len(known)], customer, claim_id)
            self.send(sent.kind, sent.body, sent.author, () if wrong == 0 else sent.endorsers)

    @rule(at=st.integers(0, 9), choice=st.integers(0, 63), action=st.sampled_from(["order", "settle", "ack", "fail"]))
    def pay(self, at: int, choice: int, action: str) -> None:
        _, claim_id = self.claims[at % len(self.claims)]
        payouts = self.lives.claim(claim_id).payouts
        if not payouts:
            return
        payout_id = payouts[choice % len(payouts)]
        attempt = max(1, self.values(PayoutState)[payout_id].attempt)
        body: Any = {
            "order": bodies.PayoutOrder(payout_id, attempt + choice % 2, make_hex("order")),
            "settle": bodies.PayoutSettle(payout_id, attempt, make_hex(f"settlement {choice}")),
            "fail": bodies.PayoutFail(payout_id, attempt, REASON),
            "ack": bodies.PayoutAck(self.lives.make_ack(payout_id)),
        }[action]
        self.send(f"payout.{action}", body, "insurer")

    def send(self, kind: str, body: Any, author: str, endorsers: tuple[str, ...] = ()) -> None:
        before = self.lives.state.state_map.root
        receipt = self.lives.do(kind, body, author, endorsers)
        changed = self.lives.state.state_map.root != before
        assert changed == any(item.code == "ok" for item in receipt.results), receipt
        self.done += 1

    def values(self, kind: type[S]) -> dict[str, S]:
        prefix = f"{kind.FAMILY}/"
        return {
            key.removeprefix(prefix): decode_state(item.value, kind)
            for key, item in self.lives.store.items()
            if key.startswith(prefix) and item.value is not None
        }

    @invariant()
    def clocks_run_forward_and_never_below_nothing(self) -> None:
        now = self.lives.now_ms
        for claim_id, claim in self.values(ClaimState).items():
            life = claim.lived
            counted = elapsed_ms(life, claim.ready_ms, now, LONG.pause_ms)
            assert counted >= 0
            assert 0 <= paused_ms(life, now, LONG.pause_ms) <= LONG.pause_ms
            assert life.paused_ms >= 0
            stands = claim.ready_ms is not None and is_paused(claim.status, life)
            assert (life.paused_since is not None) == stands
            attempt, before, then = self.elapsed.get(claim_id, (claim.attempt, 0, now))
            if attempt == claim.attempt:
                assert before <= counted <= before + (now - then)
            self.elapsed[claim_id] = (claim.attempt, counted, now)

    @invariant()
    def money_has_one_cause_each(self) -> None:
        claims, payouts = self.values(ClaimState), self.values(PayoutState)
        assert {name for claim in claims.values() for name in claim.payouts} == set(payouts)
        for claim_id, claim in claims.items():
            own = [payouts[name] for name in claim.payouts]
            decisions = len(own)
            assert len(set(claim.payouts)) == decisions <= claim.attempt <= MAX_ATTEMPTS
            (policy,) = claim.policies
            account = self.values(AccountState)[policy.account_id]
            given_back = sum(item.status == "RELEASED" for item in own) > 0
            assert account.version == decisions + given_back, (
                "one version for each decision, and one for giving it back"
            )
            if claim.status in UNDECIDED and claim.attempt == 1:
                assert not own
            if claim.status == "WITHDRAWN":
                assert account.lease is None
                assert claim.attempt > 1 or {item.status for item in own} <= {"RELEASED"}, "earlier decisions stand"
            if account.lease is not None:
                assert account.lease == claim_id

    @invariant()
    def pools_follow_decisions_and_completions(self) -> None:
        claims = self.values(ClaimState).values()
        pools = {pool.case_id: pool for pool in self.values(PoolState).values()}
        for claim in claims:
            if claim.payouts:
                assert pools[claim.case_id].version >= len(claim.payouts)

    @invariant()
    def steps_are_rows_and_lists_are_bounded(self) -> None:
        for claim_id, claim in self.values(ClaimState).items():
            before = self.statuses.get(claim_id)
            rows = {step.to for (came, _), step in CLAIM_STEPS.items() if came == before}
            rows |= {step.to for (came, _), step in CLAIM_STEPS.items() if came in rows}
            if REMEMBERED in rows:
                rows |= set(UNDECIDED)
            assert claim.status == before or claim.status in rows
            self.statuses[claim_id] = claim.status
            assert len(claim.lived.audits) <= MAX_AUDITS
            assert len({item.deadline for item in claim.lived.escalations}) == len(claim.lived.escalations)

    def teardown(self) -> None:
        """Everybody who executes the blocks again has the same state."""
        state = start_chain(self.lives.genesis_bytes, 4)
        store: dict[str, Versioned] = {}
        first = state.read
        state = replaced(state, read=lambda key: store.get(key) or first(key), is_recent=lambda _: False)
        for block in self.lives.blocks:
            executed = execute_block(state, decode_block(block.encoded), lambda _: None)
            assert executed.header_hash == block.header_hash
            store.update(executed.changes)
            state = replaced(executed.after, read=lambda key: store.get(key) or first(key), is_recent=lambda _: False)
        assert state.state_map.root == self.lives.state.state_map.root


def _settings(volume: int) -> settings:
    return settings(
        max_examples=volume // STEPS,
        stateful_step_count=STEPS,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
    )


def test_random_lives() -> None:
    run_state_machine_as_test(ClaimLives, settings=_settings(VOLUME))


@pytest.mark.slow
def test_many_random_lives() -> None:
    run_state_machine_as_test(ClaimLives, settings=_settings(MANY))


def test_random_lives_get_far() -> None:
    """The rules are able to bring claims into every status; else the invariants would hold of little."""
    seen: set[str] = set()
    for seed in range(8):
        draw, machine = random.Random(seed), ClaimLives()
        machine.begin()
        for _ in range(STEPS):
            if machine.lives.status(machine.claims[-1][1]) == "WITHDRAWN":
                machine.report()
            machine.follow(len(machine.claims) - 1, draw.randrange(64), 9)
            machine.steps_are_rows_and_lists_are_bounded()
            if draw.random() < 0.3:
                machine.wait(draw.randrange(1, 60))
            if draw.random() < 0.3:
                machine.finish_case(len(machine.claims) - 1)
            machine.steps_are_rows_and_lists_are_bounded()
            machine.clocks_run_forward_and_never_below_nothing()
            machine.money_has_one_cause_each()
            seen |= set(machine.statuses.values())
    assert seen == set(STATUSES)
