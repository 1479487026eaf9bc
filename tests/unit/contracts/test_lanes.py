"""The rule of advances and guarantees, forecasts, the flash lane, and a hospital's statement of account in figures."""

from typing import Any

import pytest
from msgspec import to_builtins
from msgspec.structs import replace

from contracts.cases.batches import (
    Receivable,
    age_receivables,
    check_settlement,
    open_batch_settlement,
    open_draw,
    open_line,
    open_totals,
    review_lines,
)
from contracts.cases.documents import Record
from contracts.cases.errors import CaseError
from contracts.cases.holds import (
    Forecast,
    Interim,
    allowed_fen,
    drawn_fen,
    interim_faults,
    open_hold,
    place_effect,
)
from contracts.cases.lanes import AdvanceLane, GuaranteeLane, flash_faults, flash_until_ms, read_lanes
from contracts.holdstates import BatchLineState
from ledger.crypto import ed25519
from tests.support.network_builder import make_bytes, make_hex

SEED = make_bytes("forecaster")
KEY = ed25519.public_key(SEED).hex()
CLAIM, RECORD = make_hex("claim"), make_hex("record")
TABLES = {"plans": {"STD": {"benefits": {"IP": {"type": "inpatient_expense"}, "AL": {"type": "daily_allowance"}}}}}
CASE: Any = {"policies": [{"product": TABLES}]}
RESULT = {
    "total_fen": 42_000,
    "review": False,
    "benefits": [
        {"code": "IP", "payable_fen": 32_000, "by_period": {"2021": 20_000, "2022": 12_000}},
        {"code": "AL", "payable_fen": 10_000, "by_period": {"2021": 10_000}},
    ],
}
LANES = {"advance": {"ratio_bp": 5_000, "forecast_keys": [KEY]}, "guarantee": {"ratio_bp": 8_000, "days": 30}}


def interim(kind: Any = "advance") -> Interim:
    return Interim(kind, make_hex(f"hold {kind}"), CLAIM, "ab" * 16, Record(RECORD, "interim", {}, ""))


def hold(kind: str, amount: int) -> dict[str, Any]:
    return {"kind": kind, "amount_fen": amount, "effect": place_effect(RESULT, min(amount, 42_000))}


@pytest.mark.parametrize(
    ("kind", "lane", "would_pay", "holds", "forecast", "expected"),
    [
        ("advance", AdvanceLane(5_000), 42_001, [], None, 21_000),
        ("advance", AdvanceLane(5_000), 84_000, [hold("advance", 21_000)], None, 21_000),
        ("advance", AdvanceLane(5_000, limit_fen=15_000), 42_000, [hold("advance", 9_000)], None, 6_000),
        ("advance", AdvanceLane(5_000), 42_000, [], 20_999, 20_999),
        ("advance", AdvanceLane(5_000), 42_000, [], 21_001, 21_000),
        ("advance", AdvanceLane(10_000), 42_000, [hold("guarantee", 30_000)], None, 12_000),
        ("advance", AdvanceLane(5_000), 42_000, [hold("advance", 21_000)], None, 0),
        ("guarantee", GuaranteeLane(8_000), 32_000, [], None, 25_600),
        ("guarantee", GuaranteeLane(10_000), 32_000, [hold("advance", 12_000)], None, 20_000),
    ],
)
def test_the_rule_takes_the_least_of_its_bounds(
    kind: Any, lane: Any, would_pay: int, holds: list[dict[str, Any]], forecast: int | None, expected: int
) -> None:
    assert allowed_fen(kind, lane, would_pay, holds, forecast) == expected


def test_a_hold_has_its_place_in_the_account() -> None:
    effect = place_effect(RESULT, 25_000)
    assert effect["prior_use"] == {"2021": {"IP": {"paid_fen": 20_000}}, "2022": {"IP": {"paid_fen": 5_000}}}
    assert effect["lifetime_paid_fen"] == {"IP": 25_000}
    with pytest.raises(CaseError, match="HOLD_NOTHING_LEFT"):
        place_effect(RESULT, 42_001)
    first = hold("advance", 25_000)
    more = place_effect(RESULT, 17_000, [first])
    assert more["prior_use"] == {"2022": {"IP": {"paid_fen": 7_000}}, "2021": {"AL": {"paid_fen": 10_000}}}
    with pytest.raises(CaseError, match="HOLD_NOTHING_LEFT"):
        place_effect(RESULT, 17_001, [first])


def test_a_guarantee_is_of_expenses_and_an_advance_of_everything() -> None:
    lanes = read_lanes({"lanes": LANES})
    assert open_hold(interim(), lanes, CASE, 0, RESULT, [], "00" * 32)["amount_fen"] == 21_000
    letter = open_hold(interim("guarantee"), lanes, CASE, 0, RESULT, [], "00" * 32)
    assert (letter["would_pay_fen"], letter["amount_fen"]) == (32_000, 25_600)


@pytest.mark.parametrize(
    ("lanes", "result", "holds", "code"),
    [
        ({}, RESULT, [], "LANE_CLOSED"),
        (LANES, RESULT | {"review": True}, [], "INTERIM_REVIEW"),
        (LANES, RESULT | {"total_fen": 0}, [], "HOLD_NOTHING_LEFT"),
        (LANES, RESULT, [hold("advance", 21_000)], "HOLD_NOTHING_LEFT"),
    ],
)
def test_what_is_not_held(lanes: dict[str, Any], result: dict[str, Any], holds: list[Any], code: str) -> None:
    with pytest.raises(CaseError) as caught:
        open_hold(interim(), read_lanes({"lanes": lanes}), CASE, 0, result, holds, "00" * 32)
    assert caught.value.code == code


def signed(seed: bytes = SEED, **changes: Any) -> dict[str, Any]:
    unsigned = replace(Forecast(CLAIM, RECORD, 9_000, ed25519.public_key(seed).hex(), "00" * 64), **changes)
    made: dict[str, Any] = to_builtins(replace(unsigned, signature=ed25519.sign(seed, unsigned.message).hex()))
    return made


def test_a_forecast_lowers_an_advance_and_is_of_a_named_key_about_this_record() -> None:
    lanes = read_lanes({"lanes": LANES})
    opened = open_hold(interim(), lanes, CASE, 0, RESULT, [], "00" * 32, forecast=signed())
    assert (opened["amount_fen"], opened["forecast"]) == (9_000, signed())
    false = signed() | {"amount_fen": 20_000}
    spoilt = [false, signed(make_bytes("nobody")), signed(record_id=make_hex("x")), signed(claim_id=make_hex("x")), {}]
    for forecast in spoilt:
        with pytest.raises(CaseError, match="FORECAST"):
            open_hold(interim(), lanes, CASE, 0, RESULT, [], "00" * 32, forecast=forecast)
    with pytest.raises(CaseError, match="FORECAST"):
        open_hold(interim("guarantee"), lanes, CASE, 0, RESULT, [], "00" * 32, forecast=signed())


@pytest.mark.parametrize(
    ("charges", "sound"),
    [
        ({"total_fen": 100, "pooled_fund_fen": 60, "other_payment_fen": 40}, True),
        ({"total_fen": 100, "pooled_fund_fen": 60, "other_payment_fen": 41}, False),
        ({"total_fen": 0}, False),
        ({"total_fen": True}, False),
        ({"total_fen": 100, "self_funded_fen": -1}, False),
        (None, False),
    ],
)
def test_the_charges_of_an_interim_record(charges: Any, sound: bool) -> None:
    assert interim_faults({"charges": charges}) == (set() if sound else {"INTERIM_CHARGES"})


def test_terms_that_are_not_understood_open_no_lane() -> None:
    assert read_lanes({}).advance is None
    spoilt: list[Any] = [{"advance": {"ratio_bp": 10_001}}, {"more": 1}, [1], {"flash": {}}]
    for lanes in spoilt:
        with pytest.raises(CaseError, match="LANES_FORM"):
            read_lanes({"lanes": lanes})


SOUND: dict[str, Any] = {
    "claimed_fen": 100_000,
    "review_reasons": (),
    "is_complete": True,
    "grade": "LOW",
    "hospital": "hospital",
}


@pytest.mark.parametrize(
    ("changes", "faults"),
    [
        ({}, []),
        ({"claimed_fen": 100_001}, ["FLASH_LIMIT"]),
        ({"review_reasons": ["REPEATED_RETURN"], "is_complete": False}, ["EVIDENCE", "REVIEW_REASON"]),
        ({"grade": "MEDIUM"}, ["RISK_GRADE"]),
        ({"hospital": "hospital-two"}, ["HOSPITAL_NOT_DESIGNATED"]),
    ],
)
def test_the_standard_of_the_flash_lane(changes: dict[str, Any], faults: list[str]) -> None:
    lanes = read_lanes({"lanes": {"flash": {"limit_fen": 100_000}, "hospitals": ["hospital"]}})
    assert flash_faults(lanes, **SOUND | changes) == faults
    assert flash_until_ms(lanes, 1_000) == 1_000 + 30 * 60_000


def test_without_a_flash_lane_in_the_terms_there_is_none() -> None:
    assert flash_faults(read_lanes({}), **SOUND) == ["LANE_CLOSED"]
    assert flash_until_ms(read_lanes({}), 1_000) is None


# --- draws and batches


@pytest.mark.parametrize(
    ("expenses", "net", "guaranteed", "hospital"),
    [
        (105_334, 135_334, 80_000, 80_000),
        (105_334, 135_334, 200_000, 105_334),
        (105_334, 60_000, 200_000, 60_000),
        (0, 30_000, 80_000, 0),
        (105_334, 0, 80_000, 0),
    ],
)
def test_hospital_and_insured_share_what_the_decision_leaves(
    expenses: int, net: int, guaranteed: int, hospital: int
) -> None:
    assert drawn_fen(expenses, net, guaranteed) == hospital
    assert hospital + (net - hospital) == net


def draws(count: int) -> list[dict[str, Any]]:
    names = [
        {"guarantee_id": make_hex(f"g{i}"), "claim_id": make_hex(f"c{i}"), "policy_id": "ab" * 16} for i in range(count)
    ]
    return [open_draw(item, 1_000 * (at + 1), 10**9, 10**9, "CNY", "00" * 32) for at, item in enumerate(names)]


def test_fifty_lines_of_which_three_are_returned_and_one_payment() -> None:
    known = draws(50)
    lines = [open_line(item, "00" * 32) for item in known]
    lines[7] = lines[7] | {"amount_fen": 8_001}
    lines[8] = lines[8] | {"currency": "USD"}
    with pytest.raises(CaseError, match="CURRENCY_MISMATCH"):
        open_totals(lines, "00" * 32)
    lines[8] = lines[8] | {"currency": "CNY", "amount_fen": 1}
    own = {item["guarantee_id"]: item for item in known if item is not known[49]}
    words = review_lines(lines, own, lambda: "11" * 32)
    returned = {place: reason["code"] for place, reason in words if reason is not None}
    assert returned == {7: "AMOUNT_DIFFERS", 8: "AMOUNT_DIFFERS", 49: "UNKNOWN_DRAW"}
    states = [
        BatchLineState(line["guarantee_id"], "", "returned" if place in returned else "endorsed", None)
        for place, line in enumerate(lines)
    ]
    booking = {"account": "A-1", "booking_date": "2022-01-31", "bank_reference": "REF"}
    paid = open_batch_settlement(make_hex("batch"), states, lines, booking, "00" * 32)
    assert len(paid["breakdown"]) == 47
    assert paid["amount_fen"] == 1_000 * (50 * 51 // 2) - 8_000 - 9_000 - 50_000
    assert [part["line"] for part in paid["breakdown"]][6:9] == [6, 9, 10], "lines keep their places"
    check_settlement(paid, states, lines)
    for spoilt in (paid | {"amount_fen": paid["amount_fen"] + 1}, paid | {"breakdown": paid["breakdown"][1:]}):
        with pytest.raises(CaseError, match="SETTLEMENT_DIFFERS"):
            check_settlement(spoilt, states, lines)
    assert open_totals(lines, "00" * 32)["amount_fen"] == sum(line["amount_fen"] for line in lines)


def test_what_is_owed_to_hospitals_grows_old() -> None:
    day = 86_400_000
    owed = [Receivable("b", "i", (100 - age) * day, 10 + age) for age in (0, 30, 31, 60, 61, 90, 91)]
    owed.append(Receivable("a", "i", 200 * day, 5))
    assert age_receivables(owed, 100 * day) == {
        "a": {"0-30": 5, "31-60": 0, "61-90": 0, "over-90": 0, "total": 5},
        "b": {"0-30": 50, "31-60": 111, "61-90": 171, "over-90": 101, "total": 433},
    }
