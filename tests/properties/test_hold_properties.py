"""Money before and after a decision over random lives: what left the insurer less what came back was decided."""

import random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contracts.cases.building import PolicyInput
from contracts.cases.errors import CaseError
from contracts.cases.holds import allowed_fen, drawn_fen, find_room, place_effect, reserve_hold, sum_advanced
from contracts.cases.lanes import AdvanceLane, GuaranteeLane
from contracts.cases.movements import Balance, apply_movement, book_outcome, capture_movement, read_balance, sum_paid
from contracts.cases.openings import open_account

LIFE = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
FIGURES = st.integers(min_value=0, max_value=300_000)


def result_of(draw: random.Random, most: int) -> dict[str, Any]:
    """A result over two benefits and two policy years."""
    parts = [draw.randrange(most + 1) for _ in range(4)]
    benefits = [
        {"code": "IP", "by_period": {"2021": parts[0], "2022": parts[1]}},
        {"code": "AL", "by_period": {"2021": parts[2], "2022": parts[3]}},
    ]
    return {"total_fen": sum(parts), "benefits": benefits}


def use_of(result: dict[str, Any], before: dict[str, Any]) -> dict[str, Any]:
    """`use` with a result's money, as an outcome books it."""
    after = Balance(before, ())
    effect = place_effect(result, result["total_fen"])
    hold = {"hold_id": "ee" * 32, "amount_fen": result["total_fen"], "effect": effect}
    return reserve_hold(after, hold).use if result["total_fen"] else before


@LIFE
@given(st.randoms(use_true_random=False), FIGURES, st.integers(1, 10_000), st.integers(1, 10_000))
def test_money_in_is_money_out(draw: random.Random, most: int, advance_bp: int, guarantee_bp: int) -> None:
    start = read_balance({"use": use_of(result_of(draw, 5_000), {}), "reserved": []})
    balance, would = start, 0
    holds: list[dict[str, Any]] = []
    for number in range(draw.randrange(6)):
        so_far = result_of(draw, most)
        would = so_far["total_fen"]
        guaranteed = any(item["kind"] == "guarantee" for item in holds)
        kind: Any = "guarantee" if draw.random() < 0.3 and not guaranteed else "advance"
        lane = GuaranteeLane(guarantee_bp) if kind == "guarantee" else AdvanceLane(advance_bp)
        room = find_room(so_far, holds)
        amount = min(allowed_fen(kind, lane, would, holds, None), sum(room.values()))
        if amount <= 0:
            continue
        assert sum(h["amount_fen"] for h in holds) + amount <= would, "never more than would be paid"
        effect = place_effect(so_far, amount, holds)
        for (code, period), most_there in room.items():
            assert effect["prior_use"].get(period, {}).get(code, {}).get("paid_fen", 0) <= most_there
        hold = {"hold_id": f"{number:02x}" * 32, "kind": kind, "amount_fen": amount, "effect": effect}
        balance = reserve_hold(balance, hold)
        holds.append(hold)
        if kind == "advance" and draw.random() < 0.5:
            balance = apply_movement(balance, capture_movement(balance, hold["hold_id"]))
    assert sum_paid(balance.use) == sum_paid(start.use) + sum(h["amount_fen"] for h in holds)

    account = open_account("ab" * 16, 1, balance, "00" * 32)
    found = PolicyInput("ab" * 16, {}, {}, account, tuple(holds)).balance
    assert found.use == start.use, "the decision sees the account without what it holds for the claim"
    assert found.reserved == start.reserved

    final = result_of(draw, most)
    after = book_outcome(found, use_of(final, found.use), "dd" * 32)
    assert sum_paid(after.use) == sum_paid(start.use) + final["total_fen"]

    total, advanced = final["total_fen"], sum_advanced(holds)
    net, recoverable = max(0, total - advanced), max(0, advanced - total)
    letters = sum(h["amount_fen"] for h in holds if h["kind"] == "guarantee")
    expenses = sum(final["benefits"][0]["by_period"].values())
    hospital = drawn_fen(expenses, net, letters)
    assert 0 <= hospital <= min(expenses, net, letters) if letters else hospital == 0
    assert advanced + hospital + (net - hospital) - recoverable == total


@LIFE
@given(st.randoms(use_true_random=False))
def test_an_account_that_lacks_a_hold_is_no_input(draw: random.Random) -> None:
    """A hold whose money the account does not have is a fault, never a negative figure."""
    result = result_of(draw, 900)
    if not result["total_fen"]:
        return
    hold = {"hold_id": "aa" * 32, "amount_fen": 1, "effect": place_effect(result, 1)}
    account = open_account("ab" * 16, 1, Balance({}, ()), "00" * 32)
    with pytest.raises(CaseError, match="ACCOUNT_NEGATIVE"):
        _ = PolicyInput("ab" * 16, {}, {}, account, (hold,)).balance
