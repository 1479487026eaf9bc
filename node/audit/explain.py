"""Why this amount: the steps of an adjudication as lines that a person reads, in English or Chinese.

Takes the explanation that the claim program gave beside its result. Money is printed with two decimals in the unit
of the stated currency. Must not compute what was decided: the only sums are those of a benefit's payments, shown beside
their parts. Always true: a program may explain less or otherwise than the standard one, and every step still prints.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from contracts.reasons import DECISIONS, REASONS, Language
from node.audit.disclosure import Amount
from node.audit.explain_texts import DEDUCTIBLES, DETAILS, OWNERS, SCOPES, TEXTS

Step = Mapping[str, Any]

RATIO_UNIT_BP: Final = 100
PAYMENTS: Final = ("paid", "allowance", "lump_sum")
SHARE_UNIT: Final = 100
"""Hundredths of a fen: shares of a stay are shown to four decimals of the yuan."""
SCOPE_FIELDS: Final = {
    "social_only": ("self_funded_fen",),
    "social_strict": ("self_funded_fen", "class_copay_fen"),
    "all": (),
}


def explain_lines(trace: Iterable[Step], language: Language = "en") -> Iterator[str]:
    """One line for each policy, then one for each step with the number of the rule it followed; before the decision,
    where more than one payment was made, each benefit's payments and their sum."""
    policy, paid = None, dict[str, list[int]]()
    for step in trace:
        if step["policy_no"] != policy:
            policy, paid = step["policy_no"], {}
            yield TEXTS["policy"][language].format(policy=policy)
        if step["what"] in PAYMENTS and isinstance(step["result"], int):
            paid.setdefault(str(step["at"].get("benefit", "-")), []).append(step["result"])
        if step["what"] == "decision" and sum(map(len, paid.values())) > 1:
            yield from (f"  [{step['rule']}] {_sum(benefit, parts, language)}" for benefit, parts in paid.items())
        yield f"  [{step['rule']}] {_render(step, language)}"


def explain_amounts(amounts: Iterable[Amount], language: Language = "en") -> Iterator[str]:
    """One line for each policy: what was to be paid, and what was paid."""
    for item in amounts:
        paid = TEXTS["unpaid"][language] if item.actual_fen is None else format_money(item.actual_fen)
        yield TEXTS["amount"][language].format(
            policy=item.policy_id[:8],
            expected=format_money(item.expected_fen),
            currency=item.currency,
            actual=paid,
            owner=OWNERS[item.balance_owner][language],
        )


def _sum(benefit: str, parts: list[int], language: Language) -> str:
    terms = [" + ".join(format_money(part) for part in parts)]
    terms += [format_money(sum(parts))] if len(parts) > 1 else []
    return TEXTS["sum"][language].format(benefit=benefit, terms=" = ".join(terms))


def _render(step: Step, language: Language) -> str:
    what = step["what"] if step["what"] in TEXTS else "other"
    words = {"at": _place(step["at"]), "what": step["what"], "result": step["result"], **_figures(step["inputs"])}
    words |= _special(step, language)
    if what == "deductible" and step["inputs"].get("type") == "none":
        what = "no_deductible"
    if what == "review" and not step["result"]:
        words["text"] = TEXTS["no_review"][language]
    return TEXTS[what][language].format_map(_Blank(words))


class _Blank(dict[str, Any]):
    """A step without a figure prints a dash instead of failing: programs may explain less."""

    def __missing__(self, key: str) -> str:
        return "-"


def _special(step: Step, language: Language) -> dict[str, Any]:
    what, inputs, result = step["what"], step["inputs"], step["result"]
    if what == "counted_days" and isinstance(result, Mapping):
        return _days(result, language)
    if what == "reason":
        detail = DETAILS.get(str(result), {}).get(language, "")
        return {"text": _text(result, language), "detail": detail.format_map(_Blank(_figures(inputs)))}
    if what == "review":
        return {
            "text": ", ".join(_text(code, language) for code in result) if isinstance(result, list) else str(result)
        }
    if what == "decision":
        return {"text": DECISIONS.get(str(result), {}).get(language, str(result))}
    if what == "share":
        return {"result": _share(result, inputs.get("of")), "taken": _share(inputs.get("taken"), inputs.get("of"))}
    words: dict[str, Any] = {"result": format_money(result) if isinstance(result, int) else result}
    if what == "base":
        fields = SCOPE_FIELDS.get(str(inputs.get("scope")), ())
        outside = [inputs.get(name, 0) for name in fields]
        words["outside"] = format_money(sum(part for part in outside if isinstance(part, int)))
        words["scope"] = SCOPES.get(str(inputs.get("scope")), {}).get(language, "-")
    if what == "deductible":
        words["type"] = DEDUCTIBLES.get(str(inputs.get("type")), {}).get(language, "-")
    return words


def _share(numerator: Any, unit: Any) -> str:
    """1/`unit` fen as yuan: two decimals, up to four where they are needed, dots where even those do not reach."""
    if not (isinstance(numerator, str) and numerator.isdecimal() and isinstance(unit, int) and unit > 0):
        return "-"
    fen, rest = divmod(int(numerator), unit)
    hundredths, beyond = divmod(rest * SHARE_UNIT, unit)
    digits = f"{hundredths:02d}".rstrip("0") if not beyond else f"{hundredths:02d}…"
    return format_money(fen) + digits


def _days(result: Mapping[str, Any], language: Language) -> dict[str, Any]:
    template = TEXTS["segment_days"][language]
    segments = "".join(template.format_map(_Blank(item)) for item in result.get("segments", ()))
    uncovered = result.get("uncovered")
    missing = TEXTS["uncovered_days"][language].format(days=uncovered) if uncovered else ""
    return {"counted": result.get("counted", "-"), "segments": segments, "uncovered": missing}


def _text(code: Any, language: Language) -> str:
    return REASONS.get(str(code), {}).get(language, str(code))


def _figures(inputs: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _figure(name, value) for name, value in inputs.items()}


def _figure(name: str, value: Any) -> Any:
    if name.endswith("_fen") and isinstance(value, int):
        return format_money(value)
    if name.endswith("_bp") and isinstance(value, int):
        return f"{value // RATIO_UNIT_BP}.{value % RATIO_UNIT_BP:02d}%"
    if isinstance(value, list):
        return ", ".join(str(item) for item in value) or "-"
    return "-" if value is None else value


def _place(at: Mapping[str, Any]) -> str:
    parts = [str(at[name]) for name in ("benefit", "period", "invoice") if name in at]
    return " ".join(parts) + ": " if parts else ""


def format_money(minor: int) -> str:
    """Minor units as a decimal with two places and thousands separators."""
    sign = "-" if minor < 0 else ""
    return f"{sign}{abs(minor) // 100:,}.{abs(minor) % 100:02d}"
