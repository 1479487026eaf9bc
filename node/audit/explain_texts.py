"""The words of an explanation: every kind of step and every reason's figures, in English and Chinese.

Knows sentences with named places for figures. Must not know how a figure is printed or where it comes from. Always
true: each text exists in both languages, and both name the same figures.
"""

from typing import Final

from contracts.reasons import Language

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
        "en": "{at}share {result} = {base_fen} x {days}/{of} days; less deductible {taken}, at {ratio_bp}",
        "zh": "{at}分摊 {result} = {base_fen} x {days}/{of} 天;扣除免赔 {taken},按 {ratio_bp} 赔付",
    },
    "segment": {
        "en": "{at}{days} of {of} days, rounded once to {result}",
        "zh": "{at}{of} 天中的 {days} 天,四舍五入为 {result}",
    },
    "deductible": {
        "en": "{at}deductible taken {result} of {amount_fen} ({type})",
        "zh": "{at}扣除免赔 {result}(免赔额 {amount_fen},{type})",
    },
    "no_deductible": {"en": "{at}no deductible", "zh": "{at}无免赔额"},
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
    "reason": {"en": "{at}{text}{detail} ({result})", "zh": "{at}{text}{detail}({result})"},
    "sum": {"en": "{benefit}: {terms}", "zh": "{benefit}:{terms}"},
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
SCOPES: Final[dict[str, dict[Language, str]]] = {
    "social_only": {
        "en": "scope: what the public scheme recognises, class B co-payment included",
        "zh": "医保范围内,含自付二",
    },
    "social_strict": {
        "en": "scope: what the public scheme recognises, without class B co-payment",
        "zh": "医保范围内,不含自付二",
    },
    "all": {"en": "scope: all charges", "zh": "不限医保范围"},
}
DEDUCTIBLES: Final[dict[str, dict[Language, str]]] = {
    "none": {"en": "none", "zh": "无"},
    "per_visit": {"en": "each visit", "zh": "每次"},
    "per_case": {"en": "once a case", "zh": "每案一次"},
    "per_year": {"en": "once a policy year", "zh": "每保单年度"},
    "per_family_year": {"en": "once a policy year for the family", "zh": "每保单年度家庭共享"},
}
_CAPPED: Final[dict[Language, str]] = {
    "en": ": {amount_fen} is cut to {room_fen}",
    "zh": ":由 {amount_fen} 减至 {room_fen}",
}
DETAILS: Final[dict[str, dict[Language, str]]] = {
    "NOT_IN_FORCE": {"en": ": {event_date}", "zh": ":{event_date}"},
    "NOT_IN_PLAN": {"en": ": plan {plan}", "zh": ":计划 {plan}"},
    "FACILITY_NOT_COVERED": {"en": ": level {level}, covered: {covered}", "zh": ":级别 {level},保障范围:{covered}"},
    "EXCLUDED_DIAGNOSIS": {"en": ": {principal}", "zh": ":{principal}"},
    "PRE_EXISTING": {
        "en": ": first onset {first_onset}, cover since {first_effective}",
        "zh": ":首次发病 {first_onset},保障始于 {first_effective}",
    },
    "WAITING_PERIOD": {
        "en": ": {date}; cover since {first_effective}, waiting {waiting_days} days",
        "zh": ":{date};保障始于 {first_effective},等待期 {waiting_days} 天",
    },
    "DUPLICATE_INVOICE": {"en": "", "zh": ""},
    "INVOICE_REVERSED": {"en": "", "zh": ""},
    "NO_PRESCRIPTION": {"en": "", "zh": ""},
    "VAT_NOT_COVERED": {"en": ": plan {plan}", "zh": ":计划 {plan}"},
    "NO_STAY": {"en": ": {invoices} invoices", "zh": ":{invoices} 张发票"},
    "ALREADY_PAID": {"en": ": {lifetime_paid_fen} before", "zh": ":此前已给付 {lifetime_paid_fen}"},
    "DAYS_NOT_COVERED": {"en": ": {days} days", "zh": ":{days} 天"},
    "ZERO_BASE": {"en": "", "zh": ""},
    "BELOW_DEDUCTIBLE": {"en": "", "zh": ""},
    "INDEMNITY_CAP": _CAPPED,
    "VISIT_LIMIT": _CAPPED,
    "DAY_LIMIT": _CAPPED,
    "ANNUAL_LIMIT": _CAPPED,
    "LIFETIME_LIMIT": _CAPPED,
    "PLAN_LIMIT": _CAPPED,
    "DAYS_CAP": {
        "en": ": {max_days_per_stay} of {counted} days",
        "zh": ":{counted} 天中计 {max_days_per_stay} 天",
    },
    "DEDUCTIBLE_DAYS": {"en": ": {days} of {deductible_days} days", "zh": ":{days} 天,免赔 {deductible_days} 天"},
    "ANNUAL_DAYS_CAP": {"en": ": {room_days} of {days} days", "zh": ":{days} 天中计 {room_days} 天"},
}
"""What a reason's line adds to its text of contracts.reasons; figures by their names in the step's inputs."""
