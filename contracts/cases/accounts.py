"""Coverage accounts: what a policy's earlier outcomes used, and how one more outcome moves it.

An account's opening holds `use` = {prior_use, family_deductible_used_fen, lifetime_paid_fen, used_invoices}, the
fields of a policy in a case. A result says what was paid in each policy year; the deductible and the days of each
year, and the payments of each day, stand in the program's explanation (`share`, `deductible`, `allowance`, `paid`).
Must always hold: the explanation adds up to the result, or nothing is booked.

An outcome uses the case's invoices unless it is `declined` without any deductible: what was refused altogether can be
claimed again with better evidence, what counted towards a deductible cannot.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from contracts.case import Case
from contracts.cases.errors import CaseError

Use: TypeAlias = dict[str, Any]
Step: TypeAlias = Mapping[str, Any]
Place: TypeAlias = tuple[str, str]
"""(policy year, benefit code)"""


def empty_use() -> Use:
    """The account of a policy under which nothing was ever paid."""
    return {"prior_use": {}, "family_deductible_used_fen": {}, "lifetime_paid_fen": {}, "used_invoices": []}


@dataclass(slots=True)
class Movements:
    """What one outcome uses of one policy's account, by place."""

    deductible: dict[Place, int] = field(default_factory=lambda: defaultdict(int))
    days: dict[Place, int] = field(default_factory=lambda: defaultdict(int))
    day_paid: dict[Place, dict[str, int]] = field(default_factory=lambda: defaultdict(dict))


def advance_account(use: Use, case: Case, position: int, result: Step, trace: Iterable[Step]) -> Use:
    """The account after `result`, the outcome of policy number `position` of the case.

    Raises CaseError `UNEXPLAINED` when the trace does not add up to the result.
    """
    policy = case["policies"][position]
    after = _copy(use)
    try:
        moved = _read_movements(case, policy["policy_no"], trace)
        _check_sums(moved, result)
        _book(after, case, policy, result, moved)
    except (KeyError, TypeError, ValueError, ZeroDivisionError):
        raise CaseError("UNEXPLAINED", "result or explanation are not in the form of the specification") from None
    return after


def _book(after: Use, case: Case, policy: Step, result: Step, moved: "Movements") -> None:
    for benefit in result["benefits"]:
        code = benefit["code"]
        for period, paid in benefit["by_period"].items():
            _entry(after, period, code)["paid_fen"] += paid
        if benefit["payable_fen"] > 0:
            lifetime = after["lifetime_paid_fen"]
            lifetime[code] = lifetime.get(code, 0) + benefit["payable_fen"]
    _book_movements(after, policy, moved)
    if result["decision"] != "declined" or any(moved.deductible.values()):
        after["used_invoices"] = _used_invoices(after["used_invoices"], case)


def _book_movements(after: Use, policy: Step, moved: Movements) -> None:
    family = _family_codes(policy)
    for (period, code), taken in moved.deductible.items():
        if taken > 0:
            _entry(after, period, code)["deductible_used_fen"] += taken
            if code in family:
                shared = after["family_deductible_used_fen"].setdefault(period, {})
                shared[code] = shared.get(code, 0) + taken
    for (period, code), days in moved.days.items():
        if days > 0:
            _entry(after, period, code)["days_paid"] += days
    for (period, code), by_day in moved.day_paid.items():
        paid = _entry(after, period, code)["day_paid_fen"]
        for date, amount in by_day.items():
            paid[date] = paid.get(date, 0) + amount


def _read_movements(case: Case, policy_no: str, trace: Iterable[Step]) -> Movements:
    moved = Movements()
    dates = {f"{item['code']}/{item['number']}": item["visit_date"] or item["issue_date"] for item in case["invoices"]}
    shares: dict[Place, int] = defaultdict(int)
    units: dict[Place, int] = {}
    for step in trace:
        at = step["at"]
        if step["policy_no"] != policy_no or "benefit" not in at or "period" not in at:
            continue
        place = (at["period"], at["benefit"])
        if step["what"] == "share":
            shares[place] += int(step["inputs"]["taken"])
            units[place] = step["inputs"]["of"]
        elif step["what"] == "deductible":
            moved.deductible[place] += step["result"]
        elif step["what"] == "allowance":
            moved.days[place] += step["inputs"]["days"]
        elif step["what"] == "paid" and "invoice" in at and step["result"] > 0:
            date = dates[at["invoice"]]
            moved.day_paid[place][date] = moved.day_paid[place].get(date, 0) + step["result"]
    for place, taken in shares.items():
        moved.deductible[place] += (2 * taken + units[place]) // (2 * units[place])
    return moved


def _check_sums(moved: Movements, result: Step) -> None:
    for benefit in result["benefits"]:
        code = benefit["code"]
        deductible = sum(amount for (_, other), amount in moved.deductible.items() if other == code)
        days = sum(count for (_, other), count in moved.days.items() if other == code)
        split = sum(benefit["by_period"].values()) == benefit["payable_fen"]
        if deductible != benefit["deductible_applied_fen"] or days != benefit.get("days_paid", 0) or not split:
            raise CaseError("UNEXPLAINED", f"the explanation of benefit {code} does not add up to its result")


def _family_codes(policy: Step) -> set[str]:
    plans = policy["product"]["plans"].values()
    return {
        code
        for plan in plans
        for code, benefit in plan["benefits"].items()
        if benefit.get("deductible", {}).get("type") == "per_family_year"
    }


def _used_invoices(used: Iterable[Step], case: Case) -> list[dict[str, str]]:
    keys = {(item["code"], item["number"]) for item in used}
    keys |= {(item["code"], item["number"]) for item in case["invoices"] if item["kind"] == "blue"}
    return [{"code": code, "number": number} for code, number in sorted(keys)]


def _entry(use: Use, period: str, code: str) -> dict[str, Any]:
    empty = {"deductible_used_fen": 0, "paid_fen": 0, "days_paid": 0, "day_paid_fen": {}}
    entry: dict[str, Any] = use["prior_use"].setdefault(period, {}).setdefault(code, empty)
    return entry


def _copy(use: Use) -> Use:
    """A deep copy with every field of every entry filled in."""
    after = empty_use()
    for period, codes in (use.get("prior_use") or {}).items():
        for code, before in codes.items():
            entry = _entry(after, period, code)
            entry |= before
            entry["day_paid_fen"] = dict(before.get("day_paid_fen") or {})
    for period, codes in (use.get("family_deductible_used_fen") or {}).items():
        after["family_deductible_used_fen"][period] = dict(codes)
    after["lifetime_paid_fen"] = dict(use.get("lifetime_paid_fen") or {})
    used = use.get("used_invoices") or []
    after["used_invoices"] = [{"code": item.get("code") or "", "number": item["number"]} for item in used]
    return after
