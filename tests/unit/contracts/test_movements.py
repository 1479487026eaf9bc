"""Movements of a coverage account, one by one: what each does to `use`, to the reservations, and what is refused."""

from typing import Any

import pytest

from contracts.cases.accounts import empty_use
from contracts.cases.errors import CaseError
from contracts.cases.movements import (
    MAX_RESERVATIONS,
    Balance,
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

ONE, TWO = make_hex("payout one"), make_hex("payout two")


def use(paid: int = 0, *, deductible: int = 0, days: int = 0, invoices: tuple[str, ...] = ()) -> dict[str, Any]:
    """The account of one benefit in one year."""
    if not (paid or deductible or days or invoices):
        return empty_use()
    entry = {"paid_fen": paid, "deductible_used_fen": deductible, "days_paid": days}
    entry = {name: value for name, value in entry.items() if value}
    days_of = {"day_paid_fen": {"2022-02-01": paid // 3, "2022-02-02": paid - paid // 3}} if paid else {}
    return {
        "prior_use": {"2022": {"OP": entry | days_of}},
        "family_deductible_used_fen": {},
        "lifetime_paid_fen": {"OP": paid} if paid else {},
        "used_invoices": [{"code": "", "number": number} for number in invoices],
    }


def code_of(call: Any, *arguments: Any) -> str:
    with pytest.raises(CaseError) as caught:
        call(*arguments)
    return caught.value.code


def test_an_outcome_reserves_its_money_and_deducts_the_rest() -> None:
    moved = outcome_movements(empty_use(), use(900, deductible=100, invoices=("7",)), ONE)
    assert [(item.kind, item.cause, item.expected_fen, item.actual_fen) for item in moved] == [
        ("reserve", ONE, 900, None),
        ("deduct", ONE, 0, 0),
    ]
    balance = book_outcome(Balance(empty_use()), use(900, deductible=100, invoices=("7",)), ONE)
    assert sum_reserved(balance) == sum_paid(balance.use) == 900
    assert available_fen(balance, 1_000, "2022", "OP") == 100, "what is reserved cannot be spent again"
    held = reservation_of(balance, ONE)
    assert held is not None
    assert held.effect == use(900, deductible=100, invoices=("7",))


def test_an_outcome_without_money_reserves_nothing() -> None:
    balance = book_outcome(Balance(empty_use()), use(deductible=100, invoices=("7",)), ONE)
    assert balance.reserved == ()
    assert balance.use == use(deductible=100, invoices=("7",))
    assert outcome_movements(empty_use(), empty_use(), ONE) == []


def test_a_capture_closes_the_reservation_and_leaves_the_use() -> None:
    balance = book_outcome(Balance(empty_use()), use(900, deductible=100), ONE)
    moved = capture_movement(balance, ONE)
    assert (moved.expected_fen, moved.actual_fen) == (900, 900)
    paid = apply_movement(balance, moved)
    assert (paid.reserved, paid.use) == ((), balance.use)
    assert code_of(capture_movement, paid, ONE) == "RESERVATION_UNKNOWN", "nothing is captured twice"


def test_a_smaller_actual_amount_gives_the_difference_back() -> None:
    balance = book_outcome(Balance(empty_use()), use(900, deductible=100), ONE)
    moved = capture_movement(balance, ONE, 250)
    assert (moved.expected_fen, moved.actual_fen) == (900, 250)
    paid = apply_movement(balance, moved)
    assert sum_paid(paid.use) == paid.use["lifetime_paid_fen"]["OP"] == 250
    assert paid.use["prior_use"]["2022"]["OP"]["day_paid_fen"] == {"2022-02-01": 250}, "the last days go first"
    assert code_of(capture_movement, balance, ONE, 901) == "ACTUAL_ABOVE_EXPECTED"
    assert code_of(capture_movement, balance, ONE, -1) == "ACTUAL_ABOVE_EXPECTED"


def test_a_release_gives_back_all_that_the_outcome_took() -> None:
    before = use(300, deductible=50, invoices=("1",))
    after = use(1_200, deductible=150, days=2, invoices=("1", "2"))
    after["prior_use"]["2022"]["OP"]["day_paid_fen"] = {"2022-02-01": 100, "2022-02-02": 200, "2022-03-01": 900}
    balance = book_outcome(Balance(before), after, ONE)
    moved = release_movements(balance, ONE)
    assert [(item.kind, item.expected_fen, item.actual_fen) for item in moved] == [
        ("release", 900, 0),
        ("restore", 0, 0),
    ]
    for item in moved:
        balance = apply_movement(balance, item)
    assert balance == Balance(before)
    assert code_of(release_movements, balance, ONE) == "RESERVATION_UNKNOWN"


def test_what_was_captured_is_restored_once() -> None:
    balance = book_outcome(Balance(empty_use()), use(900, deductible=100, invoices=("7",)), ONE)
    held = reservation_of(balance, ONE)
    assert held is not None
    paid = apply_movement(balance, capture_movement(balance, ONE))
    restored = apply_movement(paid, restore_movement(ONE, held.effect))
    assert restored == Balance(empty_use())
    assert code_of(apply_movement, restored, restore_movement(ONE, held.effect)) == "ACCOUNT_NEGATIVE"


def test_what_is_reserved_is_not_restored_from_another_claims_money() -> None:
    """A restoration that would eat into an open reservation is refused: those sums are still to be paid."""
    balance = book_outcome(Balance(empty_use()), use(900), ONE)
    assert code_of(apply_movement, balance, restore_movement(TWO, use(500))) == "ACCOUNT_NEGATIVE"


def test_a_payout_is_reserved_once() -> None:
    balance = book_outcome(Balance(empty_use()), use(300), ONE)
    assert code_of(book_outcome, balance, use(600), ONE) == "RESERVATION_REPEATED"


def test_open_reservations_are_bounded_and_captured_ones_make_room() -> None:
    balance = Balance(empty_use())
    for number in range(MAX_RESERVATIONS):
        balance = book_outcome(balance, use(3 * (number + 1)), make_hex(f"payout {number}"))
    after = use(3 * (MAX_RESERVATIONS + 1))
    assert code_of(book_outcome, balance, after, ONE) == "ACCOUNT_CROWDED"
    folded = book_outcome(balance, after, ONE, [make_hex("payout 0")])
    assert len(folded.reserved) == MAX_RESERVATIONS
    assert sum_paid(folded.use) == 3 * (MAX_RESERVATIONS + 1)


def test_an_opening_is_read_as_it_was_written_and_an_older_one_has_no_reservations() -> None:
    balance = book_outcome(Balance(empty_use()), use(900, deductible=100), ONE)
    assert read_balance(open_account("ab" * 16, 1, balance, make_hex("salt"))) == balance
    assert read_balance({"use": use(900)}) == Balance(use(900))


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"use": None}, "ACCOUNT_FORM"),
        ({"use": {"prior_use": {"2022": {"OP": {"paid_fen": "900"}}}}}, "ACCOUNT_FORM"),
        ({"use": {"prior_use": {"2022": 7}}}, "ACCOUNT_FORM"),
        ({"use": {"used_invoices": [{}]}}, "ACCOUNT_FORM"),
        ({"reserved": [{"payout_id": "x"}]}, "ACCOUNT_FORM"),
        ({"reserved": 7}, "ACCOUNT_FORM"),
        ({"use": use(899)}, "ACCOUNT_NEGATIVE"),
        ({"use": use(-3)}, "ACCOUNT_NEGATIVE"),
    ],
)
def test_openings_that_hold_no_balance_are_refused(change: dict[str, Any], code: str) -> None:
    opening = open_account("ab" * 16, 1, book_outcome(Balance(empty_use()), use(900), ONE), make_hex("salt"))
    assert code_of(read_balance, opening | change) == code


def test_a_reservation_is_as_large_as_its_effect_and_stands_once() -> None:
    opening = open_account("ab" * 16, 1, book_outcome(Balance(empty_use()), use(900), ONE), make_hex("salt"))
    (held,) = opening["reserved"]
    assert code_of(read_balance, opening | {"reserved": [held | {"expected_fen": 800}]}) == "ACCOUNT_FORM"
    assert code_of(read_balance, opening | {"use": use(1_800), "reserved": [held, held]}) == "ACCOUNT_FORM"
