"""Random cases that meet: few dates, few codes, few amounts, so that rules collide.

`build_random_case(random)` draws a valid raw case, optional fields often absent or null. `build_paying_case(random)`
draws one in which most checks pass, so that what is paid, capped and carried over a year's end is seen more often.
"""

from datetime import date, timedelta
from random import Random
from typing import Any

ORIGIN = date(2023, 12, 20)
"""Twelve days before the second policy year: stays and visits of the test cross into it."""
ICD = ["J20.900", "j20.1", "K80.101", "N84.000x001", "I21", "E11.9", ""]
PREFIXES = ["J20", "k80", "N84.000X", "I", "E11.90"]
CODES = ["IP", "IP2", "OP", "OP2", "AL", "LS", "XX"]
KINDS = {
    "IP": "inpatient_expense",
    "IP2": "inpatient_expense",
    "OP": "outpatient_expense",
    "OP2": "outpatient_expense",
    "AL": "daily_allowance",
    "LS": "lump_sum",
}
REQUIRED = ("total_fen", "daily_fen", "amount_fen")
ABSENT = object()


def build_random_case(random: Random) -> dict[str, Any]:
    """A valid case."""
    return _build(_Draw(random))


def build_paying_case(random: Random) -> dict[str, Any]:
    """A valid case of a person who is covered: years without gaps, no exclusions, larger bills and limits."""
    return _build(_PayingDraw(random))


def _build(draw: "_Draw") -> dict[str, Any]:
    random = draw.random
    invoices = [draw.invoice() for _ in range(random.choice([0, 1, 2, 3, 5]))]
    invoices += [draw.twisted(invoice) for invoice in invoices if random.random() < 0.25]
    random.shuffle(invoices)
    return draw.thinned(
        {
            "claim": draw.claim(),
            "stay": draw.stay() if random.random() < 0.8 else None,
            "invoices": invoices,
            "policies": [draw.policy(number) for number in range(random.choice([1, 1, 2, 3]))],
        }
    )


class _Draw:
    def __init__(self, random: Random) -> None:
        self.random = random
        self.pick = random.choice

    def chance(self, share: float) -> bool:
        return self.random.random() < share

    def date(self, low: int = -10, high: int = 40) -> str:
        return (ORIGIN + timedelta(days=self.random.randint(low, high))).isoformat()

    def fen(self) -> int:
        return self.pick([0, 1, 99, 3333, 10_000, 12_345, 50_000, 100_001, self.random.randint(0, 300_000)])

    def limit(self, share: float = 0.6) -> int | None:
        return None if self.chance(share) else self.fen()

    def thinned(self, record: dict[str, Any]) -> dict[str, Any]:
        """Without some of the fields whose absence means what they say."""
        return {
            name: value
            for name, value in record.items()
            if name in REQUIRED or value not in (None, 0, [], {}) or self.chance(0.5)
        }

    def claim(self) -> dict[str, Any]:
        return self.thinned(
            {
                "claim_no": "C",
                "cause": self.pick(["illness", "illness", "accident", None]),
                "diagnoses": self.pick([[self.pick(ICD)], [self.pick(ICD), "J20"], []]),
                "first_onset": None if self.chance(0.7) else self.date(-60, 10),
                "diagnosis_date": None if self.chance(0.7) else self.date(),
                "claimed_fen": None if self.chance(0.7) else self.fen() * 4,
                "returned_count": self.pick([0, 0, 1, 2, 3]),
            }
        )

    def stay(self) -> dict[str, Any]:
        admitted = self.random.randint(-3, 16)
        return self.thinned(
            {
                "admission_date": (ORIGIN + timedelta(days=admitted)).isoformat(),
                "discharge_date": None if self.chance(0.2) else self.date(admitted - 1, admitted + 25),
                "half_days": None if self.chance(0.5) else self.random.randint(1, 50),
                "institution_level": self.pick("0123"),
            }
        )

    def invoice(self) -> dict[str, Any]:
        kind = self.pick(["outpatient", "outpatient", "inpatient", "inpatient", "vat"])
        invoice: dict[str, Any] = {
            "type": kind,
            "kind": self.pick(["blue", "blue", "blue", None]),
            "code": self.pick(["", "A", "B", None]),
            "number": self.pick(["1", "2", "3", "4", "5", "6", "7"]),
            "issue_date": self.date(-5, 30),
            "total_fen": self.fen(),
            "pooled_fund_fen": self.pick([0, self.fen()]),
            "other_payment_fen": self.pick([0, 0, self.fen() // 3]),
            "self_funded_fen": self.pick([0, self.fen() // 4]),
            "class_copay_fen": self.pick([0, self.fen() // 5]),
            "disallowed_fen": self.pick([0, 0, self.fen() // 6]),
            "third_party": [{"payer": "P", "amount_fen": self.fen() // 5}] if self.chance(0.2) else [],
        }
        if kind == "vat":
            invoice["prescription"] = self.chance(0.7)
        else:
            invoice["insurance_type"] = self.pick(["employee", "resident", "other", "self_pay", None])
            invoice["institution_level"] = self.pick("0123")
        if kind == "outpatient":
            invoice["visit_date"] = self.pick([self.date(-5, 30), self.date(8, 14), None])
        return self.thinned(invoice) | self.earlier(invoice)

    def earlier(self, invoice: dict[str, Any]) -> dict[str, Any]:
        """What better ranks paid on it. Nothing is drawn for it: the seeds' other figures stay as they were."""
        share = {"3": 4, "6": 2, "9": 1}.get(invoice["issue_date"][-1])
        return {"earlier_paid_fen": invoice["total_fen"] // share} if share else {}

    def twisted(self, invoice: dict[str, Any]) -> dict[str, Any]:
        """A copy, a copy on another day, or a red invoice that reverses it."""
        copy = dict(invoice)
        if self.chance(0.4):
            copy["issue_date"] = self.date(-5, 30)
        if self.chance(0.4):
            copy |= {"kind": "red", "number": "9", "total_fen": -invoice["total_fen"]}
            copy["reverses"] = {"code": invoice.get("code"), "number": invoice["number"]}
            if self.chance(0.1):
                copy["reverses"] = None
        return copy

    def policy(self, number: int) -> dict[str, Any]:
        product = self.product()
        periods = self.periods(list(product["plans"]))
        ids = [period["id"] for period in periods] + ["old"]
        return self.thinned(
            {
                "policy_no": f"P{number}",
                "insurer": "I",
                "relation": self.pick(["employee", "dependant"]),
                "first_effective": self.date(-60, 5),
                "periods": periods,
                "product": product,
                "history": [self.history() for _ in range(self.pick([0, 0, 0, 1, 2]))],
                "excluded_icd_prefixes": self.prefixes(0.1),
                "prior_use": {pid: self.by_code(self.use) for pid in ids if self.chance(0.4)},
                "family_deductible_used_fen": {pid: self.by_code(self.fen) for pid in ids if self.chance(0.4)},
                "lifetime_paid_fen": self.by_code(self.fen, 0.15),
                "used_invoices": [{"code": self.pick(["", "A", None]), "number": self.pick("123")}]
                if self.chance(0.15)
                else [],
                "advance_fen": self.pick([0, 0, self.fen()]),
            }
        )

    def prefixes(self, share: float) -> list[str]:
        return [prefix for prefix in PREFIXES if self.chance(share)]

    def history(self) -> dict[str, Any]:
        return self.thinned(
            {
                "icd": self.pick(ICD),
                "date": self.pick([None, self.date(-90, 0)]),
                "declared": self.chance(0.3),
            }
        )

    def by_code(self, value: Any, share: float = 0.5) -> dict[str, Any]:
        return {code: value() for code in [*CODES, "??"] if self.chance(share)}

    def use(self) -> dict[str, Any]:
        return self.thinned(
            {
                "deductible_used_fen": self.pick([0, self.fen()]),
                "paid_fen": self.pick([0, self.fen()]),
                "days_paid": self.random.randint(0, 20),
                "day_paid_fen": {self.date(8, 14): self.fen() for _ in range(self.pick([0, 1, 2]))},
            }
        )

    def periods(self, plans: list[str]) -> list[dict[str, Any]]:
        """Up to three years around the origin, sometimes with a gap, sometimes ending within a stay."""
        found = []
        start = ORIGIN + timedelta(days=self.pick([-300, -5, 3]))
        for number in range(self.pick([1, 2, 2, 3])):
            end = self.pick([start + timedelta(days=self.random.randint(0, 12)), ORIGIN + timedelta(days=11)])
            end = max(start, end)
            found.append(
                {
                    "id": f"Y{number}",
                    "start": start.isoformat(),
                    "end": end.isoformat(),
                    "plan": self.pick(plans),
                }
            )
            start = end + timedelta(days=self.pick([1, 1, 1, 4]))
        if self.chance(0.5):
            found[-1]["end"] = (ORIGIN + timedelta(days=300)).isoformat()
        return found

    def product(self) -> dict[str, Any]:
        deductibles = {
            code: self.pick(["none", "none", "per_visit", "per_case", "per_year", "per_family_year"]) for code in CODES
        }
        order = [code for code in CODES if self.chance(0.7)]
        self.random.shuffle(order)
        plans = {f"plan{number}": self.plan(deductibles) for number in range(self.pick([1, 2, 2]))}
        product = self.thinned(
            {
                "product_code": "P",
                "pre_existing": self.pick(["exclude", "cover", None]),
                "excluded_icd_prefixes": self.prefixes(0.05),
                "review_threshold_fen": self.pick([None, 500_000, 0, 12_345]),
                "run_off_days": self.pick([0, 0, 3, 30]),
                "benefit_order": order,
            }
        )
        return product | {"plans": plans}

    def plan(self, deductibles: dict[str, str]) -> dict[str, Any]:
        return self.thinned(
            {
                "annual_limit_fen": self.limit(0.7),
                "covered_hospital_levels": None if self.chance(0.7) else [x for x in "0123" if self.chance(0.7)],
                "benefits": {
                    code: self.benefit(kind, deductibles[code]) for code, kind in KINDS.items() if self.chance(0.85)
                },
            }
        )

    def benefit(self, kind: str, deductible: str) -> dict[str, Any]:
        waiting = self.pick([0, 0, 10, 30, 31])
        if kind == "daily_allowance":
            return self.thinned(
                {
                    "type": kind,
                    "daily_fen": self.pick([8_000, 12_000, 1]),
                    "deductible_days": self.pick([0, 0, 1, 3, 30]),
                    "max_days_per_stay": self.pick([None, None, 0, 2, 10]),
                    "max_days_per_year": self.pick([None, None, 0, 5, 20]),
                    "waiting_days": waiting,
                }
            )
        if kind == "lump_sum":
            prefixes = self.prefixes(0.4)
            return self.thinned(
                {"type": kind, "amount_fen": self.fen(), "icd_prefixes": prefixes, "waiting_days": waiting}
            )
        return self.expense(kind, deductible, waiting)

    def expense(self, kind: str, deductible: str, waiting: int) -> dict[str, Any]:
        rows: list[dict[str, Any]] = [self.ratio() for _ in range(self.pick([0, 1, 2]))]
        rows.append({"ratio_bp": self.pick([10_000, 8_500, 3_333, 0])})
        benefit = {
            "type": kind,
            "scope": self.pick(["social_only", "social_strict", "all"]),
            "ratios": rows,
            "deductible": self.thinned({"type": deductible, "amount_fen": self.fen()}),
            "waiting_days": waiting,
            "per_visit_limit_fen": self.limit(),
            "annual_limit_fen": self.limit(),
            "lifetime_limit_fen": self.limit(),
        }
        if kind == "outpatient_expense":
            benefit |= {"per_day_limit_fen": self.limit(), "vat": self.pick(["cover", "exclude", None])}
        return self.thinned(benefit)

    def ratio(self) -> dict[str, Any]:
        row = {
            "relation": self.pick([ABSENT, None, "any", "employee", "dependant"]),
            "social_settled": self.pick([ABSENT, None, "any", True, False]),
            "level": self.pick([ABSENT, "any", "1", "2", "3"]),
            "ratio_bp": self.pick([10_000, 9_000, 6_667, 5_000, 1]),
        }
        return {name: value for name, value in row.items() if value is not ABSENT}


class _PayingDraw(_Draw):
    """Most checks of 3.4 pass."""

    def fen(self) -> int:
        return self.pick([99, 3333, 10_000, 12_345, 50_000, 100_001, 250_000, self.random.randint(0, 300_000)])

    def prefixes(self, share: float) -> list[str]:
        return super().prefixes(share if share > 0.3 else share / 5)

    def claim(self) -> dict[str, Any]:
        claim = super().claim()
        claim["diagnoses"] = [self.pick([code for code in ICD if code])]
        if self.chance(0.8):
            claim.pop("first_onset", None)
        return claim

    def policy(self, number: int) -> dict[str, Any]:
        return super().policy(number) | {"first_effective": self.pick(["2022-12-31", "2023-01-01", "2023-11-20"])}

    def history(self) -> dict[str, Any]:
        return super().history() | {"declared": self.chance(0.8)}

    def periods(self, plans: list[str]) -> list[dict[str, Any]]:
        """One, two or three years that meet at the origin's year end; the last may end within a stay."""
        ends = [date(2023, 12, 31), date(2024, 1, 6), date(2024, 12, 30)][: self.pick([1, 2, 2, 3])]
        starts = [date(2023, 1, 1), *(end + timedelta(days=1) for end in ends)]
        return [
            {"id": f"Y{number}", "start": start.isoformat(), "end": end.isoformat(), "plan": self.pick(plans)}
            for number, (start, end) in enumerate(zip(starts, ends, strict=False))
        ]

    def benefit(self, kind: str, deductible: str) -> dict[str, Any]:
        return super().benefit(kind, deductible) | {"waiting_days": self.pick([0, 0, 30])}
