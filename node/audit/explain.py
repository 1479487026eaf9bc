"""Why this amount: the steps of an adjudication as lines that a person reads, in English or Chinese.

Takes the explanation that the claim program gave beside its result. Money is printed with two decimals in the unit
of the stated currency; nothing is computed here.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from contracts.reasons import DECISIONS, REASONS, Language
from node.audit.disclosure import Amount

Step = Mapping[str, Any]

TEXTS: Final[dict[str, dict[Language, str]]] = {
    "policy": {"en": "Policy {policy}", "zh": "保单 {policy}"},
    "counted_days": {
        "en": "counted days: {counted}{segments}{uncovered}",
        "zh": "计算住院天数:{counted}{segments}{uncovered}",
    },
    "segment_days": {"en": "; {days} in policy year {period}", "zh": ";保单年度 {period} 内 {days} 天"},
    "uncovered_days": {"en": "; {days} not covered", "zh": ";未保障 {days} 天"},
    "base": {
        "en": "{at}base {result} = total {total_fen} - public scheme {pooled_fund_fen} - outside the scope {outside}"
        " - disallowed {disallowed_fen} ({scope})",
        "zh": "{at}核准金额 {result} = 总额 {total_fen} - 统筹 {pooled_fund_fen} - 范围外 {outside}"
        " - 扣减 {disallowed_fen}({scope})",
    },
    "share": {
        "en": "{at}share of {days}/{of} days of {base_fen}, less the deductible, at {ratio_bp}",
        "zh": "{at}{base_fen} 按 {days}/{of} 天分摊,扣除免赔后按 {ratio_bp} 赔付",
    },
    "segment": {
        "en": "{at}{days} of {of} days, rounded once to {result}",
        "zh": "{at}{of} 天中的 {days} 天,四舍五入为 {result}",
    },
    "deductible": {
        "en": "{at}deductible taken {result} (type {type}, {amount_fen})",
        "zh": "{at}扣除免赔 {result}(类型 {type},{amount_fen})",
    },
    "ratio": {
        "en": "{at}({base_fen} - {deductible_fen}) x {ratio_bp} = {result}",
        "zh": "{at}({base_fen} - {deductible_fen}) x {ratio_bp} = {result}",
    },
    "paid": {
        "en": "{at}paid {result} (before caps {amount_fen}, loss left {loss_left_fen})",
        "zh": "{at}给付 {result}(限额前 {amount_fen},剩余损失 {loss_left_fen})",
    },
    "allowance": {"en": "{at}{days} days x {daily_fen} = {result}", "zh": "{at}{days} 天 x {daily_fen} = {result}"},
    "lump_sum": {"en": "{at}lump sum {result}", "zh": "{at}定额给付 {result}"},
    "reason": {"en": "{at}{text} ({result})", "zh": "{at}{text}({result})"},
    "review": {"en": "claimed {claimed_fen}: {text}", "zh": "申请金额 {claimed_fen}:{text}"},
    "no_review": {"en": "no review", "zh": "无需复核"},
    "decision": {
        "en": "total {total_fen} - advance {advance_fen}: {text}",
        "zh": "合计 {total_fen} - 预赔 {advance_fen}:{text}",
    },
    "amount": {
        "en": "policy {policy}: expected {expected} {currency}, actual {actual} (balance kept by the {owner})",
        "zh": "保单 {policy}:应付 {expected} {currency},实付 {actual}(保额管理方:{owner})",
    },
    "unpaid": {"en": "not shown", "zh": "未出示"},
    "other": {"en": "{at}{what}: {result}", "zh": "{at}{what}:{result}"},
}
OWNERS: Final[dict[str, dict[Language, str]]] = {
    "insurer": {"en": "insurer", "zh": "保险公司"},
    "tpa": {"en": "claims handler", "zh": "理赔服务机构"},
    "employer": {"en": "employer", "zh": "投保企业"},
}
RATIO_UNIT_BP: Final = 100
SCOPE_FIELDS: Final = {
    "social_only": ("self_funded_fen",),
    "social_strict": ("self_funded_fen", "class_copay_fen"),
    "all": (),
}


def explain_lines(trace: Iterable[Step], language: Language = "en") -> Iterator[str]:
    """One line for each policy, then one for each step, with the number of the rule it followed."""
    policy = None
    for step in trace:
        if step["policy_no"] != policy:
            policy = step["policy_no"]
            yield TEXTS["policy"][language].format(policy=policy)
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


def _render(step: Step, language: Language) -> str:
    what = step["what"] if step["what"] in TEXTS else "other"
    words = {"at": _place(step["at"]), "what": step["what"], **_figures(step["inputs"]), **_special(step, language)}
    if what == "review" and not step["result"]:
        words["text"] = TEXTS["no_review"][language]
    return TEXTS[what][language].format_map(_Blank(words))


class _Blank(dict[str, Any]):
    """A step without a figure prints a dash instead of failing: programs may explain less."""

    def __missing__(self, key: str) -> str:
        return "-"


def _special(step: Step, language: Language) -> dict[str, Any]:
    result = step["result"]
    what = step["what"]
    if what == "counted_days":
        return _days(result, language)
    if what == "reason":
        return {"text": _text(result, language), "result": result}
    if what == "review":
        return {"text": ", ".join(_text(code, language) for code in result)}
    if what == "decision":
        return {"text": DECISIONS.get(result, {}).get(language, str(result))}
    words: dict[str, Any] = {"result": format_money(result) if isinstance(result, int) else result}
    if what == "base":
        fields = SCOPE_FIELDS.get(step["inputs"].get("scope", ""), ())
        words["outside"] = format_money(sum(step["inputs"].get(name, 0) for name in fields))
    return words


def _days(result: Mapping[str, Any], language: Language) -> dict[str, Any]:
    segments = "".join(TEXTS["segment_days"][language].format(**item) for item in result["segments"])
    uncovered = result["uncovered"]
    missing = TEXTS["uncovered_days"][language].format(days=uncovered) if uncovered else ""
    return {"counted": result["counted"], "segments": segments, "uncovered": missing}


def _text(code: str, language: Language) -> str:
    return REASONS.get(code, {}).get(language, code)


def _figures(inputs: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _figure(name, value) for name, value in inputs.items()}


def _figure(name: str, value: Any) -> Any:
    if name.endswith("_fen") and isinstance(value, int):
        return format_money(value)
    if name.endswith("_bp") and isinstance(value, int):
        return f"{value // RATIO_UNIT_BP}.{value % RATIO_UNIT_BP:02d}%"
    return value


def _place(at: Mapping[str, Any]) -> str:
    parts = [str(at[name]) for name in ("benefit", "period", "invoice") if name in at]
    return " ".join(parts) + ": " if parts else ""


def format_money(minor: int) -> str:
    """Minor units as a decimal with two places and thousands separators."""
    sign = "-" if minor < 0 else ""
    return f"{sign}{abs(minor) // 100:,}.{abs(minor) % 100:02d}"
