"""Old result against new: what counts as changed, how it is summed, and what never gets into a report."""

from typing import Any

from contracts.products.backtest import OTHER, Difference, compare_results, summarise


def result(*benefits: tuple[str, int, list[str]], decision: str = "approved", review: tuple[str, ...] = ()) -> Any:
    return {
        "decision": decision,
        "total_fen": sum(paid for _, paid, _ in benefits),
        "benefits": [{"code": code, "payable_fen": paid, "reasons": reasons} for code, paid, reasons in benefits],
        "review_reasons": list(review),
    }


def compare(old: Any, new: Any, claim: str = "c1", currency: str = "CNY") -> Difference:
    return compare_results(claim, "p1", currency, old, new)


def test_the_same_result_is_no_change() -> None:
    one = result(("IP", 100, ["ANNUAL_LIMIT"]), review=("HIGH_AMOUNT",))
    found = compare(one, one)
    assert (found.is_changed, found.difference_fen, found.benefits) == (False, 0, ())
    assert summarise([found], 20)["worst"] == []


def test_each_kind_of_change_is_seen() -> None:
    old = result(("IP", 100, ["A"]), ("OP", 50, []))
    assert compare(old, result(("IP", 90, ["A"]), ("OP", 50, []))).difference_fen == -10
    shifted = compare(old, result(("IP", 50, ["A"]), ("OP", 100, [])))
    assert (shifted.is_changed, shifted.difference_fen) == (True, 0)
    assert shifted.benefits == (("IP", 100, 50), ("OP", 50, 100))
    reasons = compare(old, result(("IP", 100, ["B"]), ("OP", 50, []), review=("R",)))
    assert (reasons.reasons_added, reasons.reasons_removed) == (("IP/B", "review/R"), ("IP/A",))
    assert reasons.is_changed
    assert compare(old, old | {"decision": "partial"}).is_changed
    gone = compare(old, result(("IP", 100, ["A"])))
    assert gone.benefits == (("OP", 50, 0),)


def test_the_summary_adds_up_and_currencies_stay_apart() -> None:
    found = [
        compare(result(("IP", 100, [])), result(("IP", 70, ["L"]), decision="partial"), "c1"),
        compare(result(("IP", 100, [])), result(("IP", 170, [])), "c2"),
        compare(result(("IP", 5, [])), result(("IP", 5, [])), "c3"),
        compare(result(("IP", 1_000, [])), result(decision="declined"), "c4", "JPY"),
        compare(result(("IP", 100, [])), result(("IP", 100, []), decision="partial"), "c5"),
    ]
    whole = summarise(found, 3)
    assert (whole["claims"], whole["policies"], whole["changed"]) == (5, 5, 4)
    assert whole["totals"] == [
        {"currency": "CNY", "sum_old_fen": 305, "sum_new_fen": 345, "difference_fen": 40},
        {"currency": "JPY", "sum_old_fen": 1_000, "sum_new_fen": 0, "difference_fen": -1_000},
    ]
    assert [(item["old"], item["new"], item["policies"]) for item in whole["decisions"]] == [
        ("approved", "approved", 2),
        ("approved", "declined", 1),
        ("approved", "partial", 2),
    ]
    assert whole["reasons_added"] == {"IP/L": 1}
    assert [item["claim_id"] for item in whole["worst"]] == ["c4", "c2", "c1"]
    assert [item["claim_id"] for item in summarise(found, 9)["worst"]] == ["c4", "c2", "c1", "c5"]


def test_one_claim_with_two_policies_is_one_claim() -> None:
    old, new = result(("IP", 100, [])), result(("IP", 90, []))
    found = [compare_results("c1", name, "CNY", old, new) for name in ("p1", "p2")]
    whole = summarise(found, 20)
    assert (whole["claims"], whole["policies"], whole["changed"]) == (1, 2, 1)


def test_words_of_a_program_do_not_reach_a_report() -> None:
    """A program may put what it read of the case into its reasons and codes."""
    old = result(("IP", 100, []))
    new = result(("张三 J20.9", 60, ["patient 张三"]), ("x" * 65, 40, []), review=("diagnosis\x1b[2J",))
    found = compare(old, new)
    assert found.reasons_added == (f"{OTHER}/{OTHER}", f"review/{OTHER}")
    assert found.benefits == (("IP", 100, 0), (OTHER, 0, 100))
    assert "张三" not in str(summarise([found], 20))
