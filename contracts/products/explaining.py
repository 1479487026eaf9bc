"""What a product pays, in words: the text that a person reads before a vote.

Knows how tables become sentences. Must not know languages beyond their phrases. Always true: the text is made from the
tables alone, so that it cannot say what the hash does not hold; every field of the tables that can change a payment
has its sentence.
"""

from collections.abc import Iterator
from typing import Any, Final

from contracts.products.columns import EXPENSES
from contracts.products.phrases import PHRASES
from contracts.products.writing import format_yuan

_LIMITS: Final = ("per_visit_limit_fen", "per_day_limit_fen", "annual_limit_fen", "lifetime_limit_fen")
_INDENT: Final = "  "


def explain_tables(tables: dict[str, Any], *, title: str = "", lang: str = "en") -> str:
    """The text, a sentence a line. `lang` is one of phrases.LANGUAGES; `tables` is a product that was read."""
    return "\n".join(_Text(PHRASES[lang]).product(tables, title))


class _Text:
    """Sentences in one language."""

    def __init__(self, phrases: dict[str, str]) -> None:
        self._phrases = phrases

    def product(self, tables: dict[str, Any], title: str) -> Iterator[str]:
        yield f"{tables['product_code']}  {title}".rstrip()
        yield self._say(f"pre_existing.{tables['pre_existing']}")
        if tables["excluded_icd_prefixes"]:
            yield self._say("excluded", codes=self._list(tables["excluded_icd_prefixes"]))
        yield self._say("review", amount=self._yuan(tables["review_threshold_fen"]))
        yield self._say("run_off" if tables["run_off_days"] else "no_run_off", days=tables["run_off_days"])
        yield self._say("indemnity")
        yield self._say("order", codes=self._list(tables["benefit_order"]))
        for plan_id, plan in tables["plans"].items():
            yield ""
            yield self._say("plan", plan=plan_id)
            yield from (_INDENT + line for line in self._plan(plan, tables["benefit_order"]))

    def _plan(self, plan: dict[str, Any], order: list[str]) -> Iterator[str]:
        limit, levels = plan["annual_limit_fen"], plan["covered_hospital_levels"]
        yield self._say("plan.no_limit") if limit is None else self._say("plan.limit", amount=self._yuan(limit))
        if levels is None:
            yield self._say("plan.all_levels")
        elif levels:
            yield self._say("plan.levels", levels=self._list([self._say(f"level.{level}") for level in levels]))
        else:
            yield self._say("plan.no_levels")
        if not plan["benefits"]:
            yield self._say("plan.empty")
        for code in order:
            if code in plan["benefits"]:
                first, *others = self._benefit(code, plan["benefits"][code])
                yield first
                yield from (_INDENT + line for line in others)

    def _benefit(self, code: str, benefit: dict[str, Any]) -> Iterator[str]:
        amount = benefit.get("daily_fen", benefit.get("amount_fen", 0))
        codes = self._list(benefit.get("icd_prefixes", []))
        yield self._say(benefit["type"], code=code, amount=self._yuan(amount), codes=codes)
        if benefit["type"] in EXPENSES:
            yield from self._expense(benefit)
        for field in ("max_days_per_stay", "deductible_days", "max_days_per_year"):
            if benefit.get(field) is not None and (benefit[field] or field != "deductible_days"):
                yield self._say(field, days=benefit[field])
        days = benefit["waiting_days"]
        yield self._say("waiting", day=days + 1, days=days) if days else self._say("no_waiting")

    def _expense(self, benefit: dict[str, Any]) -> Iterator[str]:
        if "vat" in benefit:
            yield self._say(f"vat.{benefit['vat']}")
        yield self._say(f"scope.{benefit['scope']}")
        deductible = benefit["deductible"]
        kind = deductible["type"] if deductible["amount_fen"] else "none"
        yield self._say(f"deductible.{kind}", amount=self._yuan(deductible["amount_fen"]))
        yield from self._ratios(benefit["ratios"])
        limits = [field for field in _LIMITS if benefit.get(field) is not None]
        yield from (self._say(field, amount=self._yuan(benefit[field])) for field in limits)
        if not limits:
            yield self._say("no_limits")

    def _ratios(self, ratios: list[dict[str, Any]]) -> Iterator[str]:
        if len(ratios) == 1 and not self._who(ratios[0]):
            yield self._say("ratio", percent=_percent(ratios[0]["ratio_bp"]))
            return
        yield self._say("ratios")
        for row in ratios:
            who = self._say("who.between").join(self._who(row)) or self._say("who.any")
            yield _INDENT + self._say("ratio.line", who=who, percent=_percent(row["ratio_bp"]))

    def _who(self, row: dict[str, Any]) -> list[str]:
        """What an invoice must be for a ratio row, in words; nothing for a row that matches everything."""
        words = [self._say(f"who.{row['relation']}")] if row["relation"] else []
        if row["level"]:
            words.append(self._say("who.level", level=self._say(f"level.{row['level']}")))
        if row["social_settled"] is not None:
            words.append(self._say("who.settled" if row["social_settled"] else "who.not_settled"))
        return words

    def _yuan(self, fen: int) -> str:
        yuan, point, rest = format_yuan(fen).partition(".")
        return self._say("yuan", amount=f"{int(yuan):,}{point}{rest}")

    def _list(self, items: list[str]) -> str:
        return self._say("list.between").join(items) or self._say("nothing")

    def _say(self, phrase: str, **values: Any) -> str:
        return self._phrases[phrase].format(**values)


def _percent(ratio_bp: int) -> str:
    return f"{ratio_bp // 100}.{ratio_bp % 100:02d}".rstrip("0").rstrip(".") + "%"
