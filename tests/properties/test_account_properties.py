"""Random lives of a coverage account: nothing is created or lost, no limit is passed, releases come in any order."""

import random
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from contracts.cases.accounts import empty_use
from contracts.cases.movements import (
    Balance,
    Movement,
    apply_movement,
    available_fen,
    book_outcome,
    capture_movement,
    outcome_movements,
    read_balance,
    release_movements,
    reservation_of,
    restore_movement,
    sum_paid,
    sum_reserved,
)
from contracts.cases.openings import open_account
from tests.support.network_builder import make_hex

LIMIT = 100_000
PERIODS, CODES = ("2021", "2022"), ("IP", "OP")
places = st.tuples(st.sampled_from(PERIODS), st.sampled_from(CODES))
claims = st.tuples(
    st.lists(st.tuples(places, st.integers(0, LIMIT), st.integers(0, 500), st.integers(0, 3)), min_size=1, max_size=3),
    st.sampled_from(["capture", "part", "release", "restore", "open"]),
    st.integers(0, LIMIT),
)
lives = st.lists(claims, max_size=12)


def outcome(before: Balance, wanted: list[Any], number: int) -> dict[str, Any]:
    """The use after a claim that asks for `wanted`, each cut to what the limit of its place leaves."""
    after = open_account("ab" * 16, 0, before, make_hex("salt"))["use"]
    after = {**empty_use(), **_deep(after)}
    for (period, code), asked, deductible, days in wanted:
        spent = after["prior_use"].get(period, {}).get(code, {}).get("paid_fen", 0)
        paid = min(asked, LIMIT - spent)
        entry = after["prior_use"].setdefault(period, {}).setdefault(code, {})
        for name, amount in (("paid_fen", paid), ("deductible_used_fen", deductible), ("days_paid", days)):
            entry[name] = entry.get(name, 0) + amount
        by_day = entry.setdefault("day_paid_fen", {})
        by_day[f"{period}-03-0{days + 1}"] = by_day.get(f"{period}-03-0{days + 1}", 0) + paid
        after["lifetime_paid_fen"][code] = after["lifetime_paid_fen"].get(code, 0) + paid
    after["used_invoices"] = [*after["used_invoices"], {"code": "", "number": str(number)}]
    return after


def _deep(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _deep(item) for name, item in value.items()}
    return [_deep(item) for item in value] if isinstance(value, list) else value


def check(balance: Balance) -> None:
    """What must hold after every movement."""
    assert read_balance(open_account("ab" * 16, 0, balance, make_hex("salt"))) == balance
    assert 0 <= sum_reserved(balance) <= sum_paid(balance.use)
    assert sum(balance.use["lifetime_paid_fen"].values()) == sum_paid(balance.use)
    for period in PERIODS:
        for code in CODES:
            entry = balance.use["prior_use"].get(period, {}).get(code, {})
            paid = entry.get("paid_fen", 0)
            assert 0 <= paid <= LIMIT
            assert available_fen(balance, LIMIT, period, code) == LIMIT - paid
            assert sum(entry.get("day_paid_fen", {}).values()) == paid


@given(lives)
def test_the_sums_agree_after_every_movement_of_any_life(life: list[Any]) -> None:
    balance, captured, given_back = Balance(empty_use()), 0, 0
    booked: list[Movement] = []
    for number, (wanted, end, amount) in enumerate(life):
        payout_id = make_hex(f"payout {number}")
        after = outcome(balance, wanted, number)
        booked += outcome_movements(balance.use, after, payout_id)
        balance = book_outcome(balance, after, payout_id)
        check(balance)
        held = reservation_of(balance, payout_id)
        if held is None or end == "open":
            continue
        if end == "release":
            moves = release_movements(balance, payout_id)
            given_back += held.expected_fen
        else:
            actual = min(amount, held.expected_fen) if end == "part" else held.expected_fen
            moves = [capture_movement(balance, payout_id, actual)]
            moves += [restore_movement(payout_id, held.effect)] if end == "restore" else []
            captured += 0 if end == "restore" else actual
            given_back += held.expected_fen - (0 if end == "restore" else actual)
        for movement in moves:
            balance = apply_movement(balance, movement)
            check(balance)
    reserved = sum(item.expected_fen for item in booked if item.kind == "reserve")
    assert reserved == captured + given_back + sum_reserved(balance)
    assert sum_paid(balance.use) == captured + sum_reserved(balance)


@given(lives, st.randoms(use_true_random=False))
def test_independent_releases_lead_to_the_same_account_in_any_order(life: list[Any], draw: random.Random) -> None:
    balance = Balance(empty_use())
    for number, (wanted, _, _) in enumerate(life):
        balance = book_outcome(balance, outcome(balance, wanted, number), make_hex(f"payout {number}"))
    names = [item.payout_id for item in balance.reserved]
    released = names[: len(names) // 2 + 1]
    ends = []
    for order in (released, released[::-1], draw.sample(released, len(released))):
        end = balance
        for payout_id in order:
            for movement in release_movements(end, payout_id):
                end = apply_movement(end, movement)
        ends.append(end)
    assert ends[0] == ends[1] == ends[2]
    check(ends[0])


@given(lives)
def test_the_movements_of_an_outcome_add_up_to_it(life: list[Any]) -> None:
    balance = Balance(empty_use())
    for number, (wanted, _, _) in enumerate(life):
        payout_id, after = make_hex(f"payout {number}"), outcome(balance, wanted, number)
        stepped = balance
        for movement in outcome_movements(balance.use, after, payout_id):
            stepped = apply_movement(stepped, movement)
        balance = book_outcome(balance, after, payout_id)
        assert stepped.reserved == balance.reserved
        assert outcome_movements(stepped.use, balance.use, payout_id) == []
