"""An independent reading of the adjudication specification, in plain Python with exact fractions.

It shares no code and no shape with the Starlark program: days are walked one by one as calendar dates, money
is a Fraction until it is rounded, each rule is written from the text of the specification. Where the two
disagree, one of them is wrong. Takes the raw case, with absent fields absent.
"""

from datetime import date, timedelta
from fractions import Fraction
from math import floor
from typing import Any

DECLINE = (
    *("NOT_IN_FORCE", "NOT_IN_PLAN", "FACILITY_NOT_COVERED", "EXCLUDED_DIAGNOSIS", "PRE_EXISTING", "WAITING_PERIOD"),
    *("DUPLICATE_INVOICE", "INVOICE_REVERSED", "NO_PRESCRIPTION", "VAT_NOT_COVERED", "NO_STAY", "ALREADY_PAID"),
    "DAYS_NOT_COVERED",
)
EXPENSES = ("inpatient_expense", "outpatient_expense")


def half_up(value: Fraction | int) -> int:
    return floor(Fraction(value) + Fraction(1, 2))


def day(text: str) -> date:
    return date.fromisoformat(text)


def amount(holder: dict[str, Any], name: str) -> int:
    return holder.get(name) or 0


def key(invoice: dict[str, Any]) -> tuple[str, str]:
    return (invoice.get("code") or "", invoice["number"])


def adjudicate(case: dict[str, Any]) -> dict[str, Any]:
    shared: dict[str, Any] = {"on_invoice": {}, "on_stay": 0}
    return {"results": [Policy(case, policy, shared).result() for policy in case["policies"]]}


class Benefit:
    """The running figures of one benefit of one policy."""

    def __init__(self, code: str, kind: str | None) -> None:
        self.code, self.kind = code, kind
        self.reasons: set[str] = set()
        self.paid: dict[str, int] = {}
        self.deducted: dict[str, Fraction] = {}
        self.on_date: dict[str, int] = {}
        self.days = 0
        self.deductible_pots: dict[str, Fraction] = {}

    def total(self) -> int:
        return sum(self.paid.values())


class Policy:
    """One policy of a case."""

    def __init__(self, case: dict[str, Any], policy: dict[str, Any], shared: dict[str, Any]) -> None:
        self.case, self.policy, self.shared = case, policy, shared
        self.claim, self.product = case["claim"], policy["product"]
        self.stay = case.get("stay")
        self.plans = self.product.get("plans") or {}
        self.expense_paid: dict[str, int] = {}
        codes = self.claim.get("diagnoses") or [""]
        self.principal = codes[0].upper()
        self.illness = (self.claim.get("cause") or "illness") == "illness"
        self._sort_out()

    # 3.2
    def _sort_out(self) -> None:
        indexed = list(enumerate(self.case.get("invoices") or []))
        indexed.sort(key=lambda pair: (pair[1]["issue_date"], pair[1].get("code") or "", pair[1]["number"]))
        red_targets = [
            key(invoice["reverses"])
            for _, invoice in indexed
            if invoice.get("kind") == "red" and invoice.get("reverses")
        ]
        self.live: list[tuple[int, dict[str, Any]]] = []
        self.dropped: list[tuple[dict[str, Any], str]] = []
        used = [key(entry) for entry in self.policy.get("used_invoices") or []]
        for index, invoice in indexed:
            if invoice.get("kind") == "red" or key(invoice) in red_targets:
                self.dropped.append((invoice, "INVOICE_REVERSED"))
            elif key(invoice) in used or any(key(other) == key(invoice) for _, other in self.live):
                self.dropped.append((invoice, "DUPLICATE_INVOICE"))
            else:
                self.live.append((index, invoice))

    # 3.3
    def counted_dates(self) -> list[date]:
        halves = self.stay.get("half_days")
        first = day(self.stay["admission_date"])
        if halves is not None:
            count = 1 if halves < 2 else floor(Fraction(halves, 2))
        elif self.stay.get("discharge_date"):
            count = max(1, (day(self.stay["discharge_date"]) - first).days)
        else:
            count = 1
        return [first + timedelta(days=n) for n in range(count)]

    def period_on(self, when: date, *, run_off: bool) -> dict[str, Any] | None:
        periods = self.policy.get("periods") or []
        for period in periods:
            if day(period["start"]) <= when <= day(period["end"]):
                return period
        if run_off and periods:
            late = (when - day(periods[-1]["end"])).days
            if 0 < late <= amount(self.product, "run_off_days"):
                return periods[-1]
        return None

    def benefit_in(self, period: dict[str, Any], code: str) -> dict[str, Any] | None:
        return (self.plans[period["plan"]].get("benefits") or {}).get(code)

    def use(self, period_id: str, code: str) -> dict[str, Any]:
        return ((self.policy.get("prior_use") or {}).get(period_id) or {}).get(code) or {}

    # 3.4, rules 6 to 8
    def person_refused(self, event: date, waiting_days: int) -> str | None:
        prefixes = (self.product.get("excluded_icd_prefixes") or []) + (self.policy.get("excluded_icd_prefixes") or [])
        if any(self.principal.startswith(prefix.upper()) for prefix in prefixes):
            return "EXCLUDED_DIAGNOSIS"
        if not self.illness:
            return None
        onset = self.claim.get("first_onset")
        effective = day(self.policy["first_effective"])
        if self.excludes_pre_existing():
            if onset and day(onset) < effective:
                return "PRE_EXISTING"
            if self.principal[:3] in self.undeclared():
                return "PRE_EXISTING"
        began = min([event] + ([day(onset)] if onset else []))
        if (began - effective).days < waiting_days:
            return "WAITING_PERIOD"
        return None

    def excludes_pre_existing(self) -> bool:
        return (self.product.get("pre_existing") or "exclude") == "exclude"

    def undeclared(self) -> list[str]:
        return [
            entry["icd"].upper()[:3]
            for entry in self.policy.get("history") or []
            if not entry.get("declared")
            and entry.get("date")
            and day(entry["date"]) < day(self.policy["first_effective"])
        ]

    def level_covered(self, period: dict[str, Any], level: str | None) -> bool:
        covered = self.plans[period["plan"]].get("covered_hospital_levels")
        return covered is None or level in covered

    # 3.5
    @staticmethod
    def base(invoice: dict[str, Any], scope: str) -> int:
        fields = {"all": [], "social_only": ["self_funded_fen"]}.get(scope, ["self_funded_fen", "class_copay_fen"])
        less = sum(amount(invoice, name) for name in ["pooled_fund_fen", "disallowed_fen", *fields])
        return max(0, invoice["total_fen"] - less)

    @staticmethod
    def loss(invoice: dict[str, Any]) -> int:
        others = amount(invoice, "earlier_paid_fen")
        others += sum(amount(party, "amount_fen") for party in invoice.get("third_party") or [])
        return invoice["total_fen"] - amount(invoice, "pooled_fund_fen") - amount(invoice, "other_payment_fen") - others

    def ratio(self, benefit: dict[str, Any], invoice: dict[str, Any]) -> Fraction:
        social = invoice["type"] != "vat" and (invoice.get("insurance_type") or "self_pay") != "self_pay"
        facts = {
            "relation": self.policy["relation"],
            "social_settled": social,
            "level": invoice.get("institution_level"),
        }
        for row in benefit.get("ratios") or []:
            if all(row.get(name) in (None, "any") or row[name] == fact for name, fact in facts.items()):
                return Fraction(row["ratio_bp"], 10_000)
        raise AssertionError("no ratio")

    # 3.6
    def deduct(self, book: Benefit, period: dict[str, Any], benefit: dict[str, Any], share: Fraction) -> Fraction:
        deductible = benefit.get("deductible") or {"type": "none"}
        size, kind, pid = amount(deductible, "amount_fen"), deductible["type"], period["id"]
        if kind == "none":
            taken = Fraction(0)
        elif kind == "per_visit" and book.kind == "outpatient_expense":
            taken = min(share, Fraction(size))
        else:
            pot = "case"
            used = 0
            if kind == "per_year":
                pot, used = pid, amount(self.use(pid, book.code), "deductible_used_fen")
            if kind == "per_family_year":
                family = (self.policy.get("family_deductible_used_fen") or {}).get(pid) or {}
                pot, used = pid, family.get(book.code, 0)
            left = book.deductible_pots.setdefault(pot, Fraction(max(0, size - used)))
            taken = min(share, left)
            book.deductible_pots[pot] = left - taken
        book.deducted[pid] = book.deducted.get(pid, Fraction(0)) + taken
        return taken

    # 3.7
    def capped(
        self,
        book: Benefit,
        period: dict[str, Any],
        benefit: dict[str, Any],
        sum_: int,
        loss_left: int,
        visit_left: int | None,
        on: str | None,
    ) -> int:
        pid = period["id"]
        prior = self.use(pid, book.code)
        rooms: list[tuple[str, int | None]] = [("INDEMNITY_CAP", loss_left), ("VISIT_LIMIT", visit_left)]
        if on is not None and benefit.get("per_day_limit_fen") is not None:
            that_day = (prior.get("day_paid_fen") or {}).get(on, 0) + book.on_date.get(on, 0)
            rooms.append(("DAY_LIMIT", benefit["per_day_limit_fen"] - that_day))
        if benefit.get("annual_limit_fen") is not None:
            year = amount(prior, "paid_fen") + book.paid.get(pid, 0)
            rooms.append(("ANNUAL_LIMIT", benefit["annual_limit_fen"] - year))
        if benefit.get("lifetime_limit_fen") is not None:
            life = (self.policy.get("lifetime_paid_fen") or {}).get(book.code, 0) + book.total()
            rooms.append(("LIFETIME_LIMIT", benefit["lifetime_limit_fen"] - life))
        plan_limit = self.plans[period["plan"]].get("annual_limit_fen")
        if plan_limit is not None:
            before = (self.policy.get("prior_use") or {}).get(pid) or {}
            spent = sum(amount(entry, "paid_fen") for code, entry in before.items() if self.kind(code) in EXPENSES)
            rooms.append(("PLAN_LIMIT", plan_limit - spent - self.expense_paid.get(pid, 0)))
        for reason, room in rooms:
            if room is not None and sum_ > max(0, room):
                sum_ = max(0, room)
                book.reasons.add(reason)
        book.paid[pid] = book.paid.get(pid, 0) + sum_
        self.expense_paid[pid] = self.expense_paid.get(pid, 0) + sum_
        return sum_

    def kind(self, code: str) -> str | None:
        for plan in self.plans.values():
            if code in (plan.get("benefits") or {}):
                return str(plan["benefits"][code]["type"])
        return None

    def end_of_expense(self, book: Benefit, bases: list[Fraction]) -> None:
        if not bases:
            return
        taken = sum(book.deducted.values(), Fraction(0))
        if sum(bases) == 0:
            book.reasons.add("ZERO_BASE")
        elif taken == sum(bases):
            book.reasons.add("BELOW_DEDUCTIBLE")

    def outpatient(self, book: Benefit) -> None:
        bases: list[Fraction] = []
        for index, invoice in self.live:
            if invoice["type"] == "inpatient":
                continue
            vat = invoice["type"] == "vat"
            on = invoice["issue_date"] if vat else invoice.get("visit_date") or invoice["issue_date"]
            refused, period = self._visit_refused(book.code, invoice, day(on), vat)
            if refused:
                book.reasons.add(refused)
                continue
            assert period is not None
            benefit = self.benefit_in(period, book.code)
            assert benefit is not None
            base = Fraction(self.base(invoice, benefit["scope"]))
            bases.append(base)
            taken = self.deduct(book, period, benefit, base)
            unit = half_up((base - taken) * self.ratio(benefit, invoice))
            left = self.loss(invoice) - self.shared["on_invoice"].get(index, 0)
            paid = self.capped(book, period, benefit, unit, left, benefit.get("per_visit_limit_fen"), on)
            book.on_date[on] = book.on_date.get(on, 0) + paid
            self.shared["on_invoice"][index] = self.shared["on_invoice"].get(index, 0) + paid
        self.end_of_expense(book, bases)

    def _visit_refused(
        self, code: str, invoice: dict[str, Any], on: date, vat: bool
    ) -> tuple[str | None, dict[str, Any] | None]:
        period = self.period_on(on, run_off=False)
        if period is None:
            return "NOT_IN_FORCE", None
        benefit = self.benefit_in(period, code)
        if benefit is None:
            return "NOT_IN_PLAN", None
        if vat and (benefit.get("vat") or "exclude") != "cover":
            return "VAT_NOT_COVERED", None
        if vat and not invoice.get("prescription"):
            return "NO_PRESCRIPTION", None
        if not vat and not self.level_covered(period, invoice.get("institution_level")):
            return "FACILITY_NOT_COVERED", None
        return self.person_refused(on, amount(benefit, "waiting_days")), period

    def inpatient(self, book: Benefit) -> None:
        bills = [invoice for _, invoice in self.live if invoice["type"] == "inpatient"]
        if not bills:
            return
        if self.stay is None:
            book.reasons.add("NO_STAY")
            return
        admitted = day(self.stay["admission_date"])
        period = self.period_on(admitted, run_off=False)
        if period is None:
            book.reasons.add("NOT_IN_FORCE")
            return
        first = self.benefit_in(period, book.code)
        if first is None:
            book.reasons.add("NOT_IN_PLAN")
            return
        covered = [bill for bill in bills if self.level_covered(period, bill.get("institution_level"))]
        if len(covered) < len(bills):
            book.reasons.add("FACILITY_NOT_COVERED")
        if not covered:
            return
        refused = self.person_refused(admitted, amount(first, "waiting_days"))
        if refused:
            book.reasons.add(refused)
            return
        self._segments(book, covered, first)

    def _segments(self, book: Benefit, bills: list[dict[str, Any]], first: dict[str, Any]) -> None:
        dates = self.counted_dates()
        owners = [self.period_on(when, run_off=True) for when in dates]
        bases: list[Fraction] = []
        if any(owner is None for owner in owners):
            book.reasons.add("DAYS_NOT_COVERED")
        for period in self.policy.get("periods") or []:
            days = sum(1 for owner in owners if owner is period)
            if not days:
                continue
            benefit = self.benefit_in(period, book.code)
            if benefit is None:
                book.reasons.add("NOT_IN_PLAN")
                continue
            due = Fraction(0)
            for bill in bills:
                share = Fraction(self.base(bill, benefit["scope"]) * days, len(dates))
                bases.append(share)
                deductible = benefit.get("deductible") or {"type": "none"}
                source = first if deductible["type"] in ("per_visit", "per_case") else benefit
                taken = self.deduct(book, period, source, share)
                due += (share - taken) * self.ratio(benefit, bill)
            pool = max(0, sum(self.loss(bill) for bill in bills) - self.shared["on_stay"])
            visit = first.get("per_visit_limit_fen")
            visit_left = None if visit is None else visit - book.total()
            self.shared["on_stay"] += self.capped(book, period, benefit, half_up(due), pool, visit_left, None)
        self.end_of_expense(book, bases)

    # 3.8
    def allowance(self, book: Benefit) -> None:
        if self.stay is None:
            return
        admitted = day(self.stay["admission_date"])
        period = self.period_on(admitted, run_off=False)
        if period is None:
            book.reasons.add("NOT_IN_FORCE")
            return
        first = self.benefit_in(period, book.code)
        if first is None:
            book.reasons.add("NOT_IN_PLAN")
            return
        if not self.level_covered(period, self.stay.get("institution_level")):
            book.reasons.add("FACILITY_NOT_COVERED")
            return
        refused = self.person_refused(admitted, amount(first, "waiting_days"))
        if refused:
            book.reasons.add(refused)
            return
        dates = self.counted_dates()
        most = first.get("max_days_per_stay")
        if most is not None and len(dates) > most:
            book.reasons.add("DAYS_CAP")
            dates = dates[:most]
        rest = dates[amount(first, "deductible_days") :]
        if dates and not rest:
            book.reasons.add("DEDUCTIBLE_DAYS")
        in_year: dict[str, int] = {}
        for when in rest:
            owner = self.period_on(when, run_off=True)
            if owner is None:
                book.reasons.add("DAYS_NOT_COVERED")
                continue
            benefit = self.benefit_in(owner, book.code)
            if benefit is None:
                book.reasons.add("NOT_IN_PLAN")
                continue
            pid = owner["id"]
            yearly = benefit.get("max_days_per_year")
            used = amount(self.use(pid, book.code), "days_paid") + in_year.get(pid, 0)
            if yearly is not None and used >= yearly:
                book.reasons.add("ANNUAL_DAYS_CAP")
                continue
            in_year[pid] = in_year.get(pid, 0) + 1
            book.days += 1
            book.paid[pid] = book.paid.get(pid, 0) + benefit["daily_fen"]

    # 3.9
    def lump(self, book: Benefit) -> None:
        def named(benefit: dict[str, Any] | None) -> bool:
            prefixes = (benefit or {}).get("icd_prefixes") or []
            return any(self.principal.startswith(prefix.upper()) for prefix in prefixes)

        if not any(named((plan.get("benefits") or {}).get(book.code)) for plan in self.plans.values()):
            return
        when = self.claim.get("diagnosis_date")
        if not when:
            found = [invoice.get("visit_date") or invoice["issue_date"] for _, invoice in self.live]
            found += [self.stay["admission_date"]] if self.stay else []
            when = min(found, default=None)
        period = self.period_on(day(when), run_off=False) if when else None
        if period is None:
            book.reasons.add("NOT_IN_FORCE")
            return
        benefit = self.benefit_in(period, book.code)
        if benefit is None or not named(benefit):
            book.reasons.add("NOT_IN_PLAN")
            return
        refused = self.person_refused(day(when), amount(benefit, "waiting_days"))
        if not refused and (self.policy.get("lifetime_paid_fen") or {}).get(book.code, 0) > 0:
            refused = "ALREADY_PAID"
        if refused:
            book.reasons.add(refused)
            return
        book.paid[period["id"]] = benefit["amount_fen"]

    def one(self, code: str) -> dict[str, Any]:
        book = Benefit(code, self.kind(code))
        for invoice, reason in self.dropped:
            matching = "inpatient_expense" if invoice["type"] == "inpatient" else "outpatient_expense"
            if book.kind == matching:
                book.reasons.add(reason)
        work = {
            "inpatient_expense": self.inpatient,
            "outpatient_expense": self.outpatient,
            "daily_allowance": self.allowance,
            "lump_sum": self.lump,
        }.get(book.kind or "")
        if work:
            work(book)
        entry: dict[str, Any] = {
            "code": code,
            "payable_fen": book.total(),
            "by_period": {pid: paid for pid, paid in book.paid.items() if paid > 0},
            "deductible_applied_fen": sum(half_up(taken) for taken in book.deducted.values()),
            "reasons": sorted(book.reasons),
        }
        if book.kind == "daily_allowance":
            entry["days_paid"] = book.days
        return entry

    # 2 and 3.10
    def result(self) -> dict[str, Any]:
        benefits = [self.one(code) for code in self.product.get("benefit_order") or []]
        total = sum(entry["payable_fen"] for entry in benefits)
        advance = amount(self.policy, "advance_fen")
        claimed = self.claim.get("claimed_fen")
        if claimed is None:
            claimed = sum(
                max(0, bill["total_fen"] - amount(bill, "pooled_fund_fen") - amount(bill, "other_payment_fen"))
                for _, bill in self.live
            )
        declined = any(reason in DECLINE for entry in benefits for reason in entry["reasons"])
        review = self._review(benefits, claimed)
        return {
            "policy_no": self.policy["policy_no"],
            "benefits": benefits,
            "total_fen": total,
            "advance_fen": advance,
            "net_fen": max(0, total - advance),
            "recoverable_fen": max(0, advance - total),
            "claimed_fen": claimed,
            "decision": {(True, True): "partial", (True, False): "approved", (False, True): "declined"}.get(
                (total > 0, declined), "zero_pay"
            ),
            "review": bool(review),
            "review_reasons": sorted(review),
        }

    def _review(self, benefits: list[dict[str, Any]], claimed: int) -> set[str]:
        review = set()
        threshold = self.product.get("review_threshold_fen")
        if claimed > (500_000 if threshold is None else threshold):
            review.add("AMOUNT_OVER_THRESHOLD")
        if amount(self.claim, "returned_count") >= 2:
            review.add("REPEATED_RETURN")
        if any("PRE_EXISTING" in entry["reasons"] for entry in benefits):
            review.add("PRE_EXISTING")
        others = [start for start in self.undeclared() if start != self.principal[:3]]
        if self.illness and self.excludes_pre_existing() and others:
            review.add("NON_DISCLOSURE")
        return review
