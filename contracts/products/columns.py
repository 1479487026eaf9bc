"""The columns of a product's tables: their keys, their Chinese names, what stands in them, where it goes.

Knows names and order of columns, and which of them a type of benefit has. Must not know files or rules. Always true:
a column's key carries its unit; whatever field contracts.product gives a plan or a benefit has its column here.
"""

import re
from typing import Final, NamedTuple

PLANS_FILE: Final = "plans.csv"
BENEFITS_FILE: Final = "benefits.csv"
RATIOS_FILE: Final = "ratios.csv"


class Column(NamedTuple):
    """A column. `kind` is how its cells are read: code, choice, yuan, days, icd, yes_no or percent."""

    key: str
    chinese: str
    kind: str


PLAN: Final = Column("plan", "方案", "code")
BENEFIT: Final = Column("benefit", "责任", "code")
LEVEL_NAMES: Final = {"3": "三级医院", "2": "二级医院", "1": "一级医院", "0": "未定级医院"}
"""Hospital levels of the specification, highest first, as columns stand."""
LEVEL_COLUMNS: Final = {level: Column(f"hospital_level_{level}", name, "yes_no") for level, name in LEVEL_NAMES.items()}
PLAN_COLUMNS: Final = (PLAN, Column("annual_limit_yuan", "方案年限额(元)", "yuan"), *LEVEL_COLUMNS.values())

TYPE: Final = Column("type", "类型", "choice")
DEDUCTIBLE_TYPE: Final = Column("deductible_type", "免赔方式", "choice")
DEDUCTIBLE: Final = Column("deductible_yuan", "免赔额(元)", "yuan")
BENEFIT_COLUMNS: Final = (
    PLAN,
    BENEFIT,
    TYPE,
    Column("scope", "费用范围", "choice"),
    DEDUCTIBLE_TYPE,
    DEDUCTIBLE,
    Column("waiting_days", "等待期(天)", "days"),
    Column("per_visit_limit_yuan", "次限额(元)", "yuan"),
    Column("per_day_limit_yuan", "日限额(元)", "yuan"),
    Column("annual_limit_yuan", "年限额(元)", "yuan"),
    Column("lifetime_limit_yuan", "终身限额(元)", "yuan"),
    Column("vat", "药店发票", "choice"),
    Column("daily_yuan", "每日津贴(元)", "yuan"),
    Column("deductible_days", "免赔天数(天)", "days"),
    Column("max_days_per_stay", "每次住院最多(天)", "days"),
    Column("max_days_per_year", "每年最多(天)", "days"),
    Column("amount_yuan", "给付金额(元)", "yuan"),
    Column("icd_prefixes", "疾病编码", "icd"),
)
_EXPENSE: Final = (
    "scope",
    "deductible_type",
    "deductible_yuan",
    "waiting_days",
    "per_visit_limit_yuan",
    "annual_limit_yuan",
    "lifetime_limit_yuan",
)
COLUMNS_OF_TYPE: Final = {
    "inpatient_expense": _EXPENSE,
    "outpatient_expense": (*_EXPENSE, "per_day_limit_yuan", "vat"),
    "daily_allowance": ("daily_yuan", "deductible_days", "max_days_per_stay", "max_days_per_year", "waiting_days"),
    "lump_sum": ("amount_yuan", "icd_prefixes", "waiting_days"),
}
REQUIRED_OF_TYPE: Final = {
    "inpatient_expense": ("scope",),
    "outpatient_expense": ("scope",),
    "daily_allowance": ("daily_yuan",),
    "lump_sum": ("amount_yuan", "icd_prefixes"),
}
"""Cells without which there is nothing to pay by."""
EXPENSES: Final = frozenset({"inpatient_expense", "outpatient_expense"})

CHOICES: Final = {
    "type": {
        "inpatient_expense": "inpatient_expense",
        "outpatient_expense": "outpatient_expense",
        "daily_allowance": "daily_allowance",
        "lump_sum": "lump_sum",
        "住院费用": "inpatient_expense",
        "门诊费用": "outpatient_expense",
        "住院津贴": "daily_allowance",
        "一次性给付": "lump_sum",
    },
    "scope": {
        "social_only": "social_only",
        "social_strict": "social_strict",
        "all": "all",
        "扣除自费": "social_only",
        "扣除自费和自付二": "social_strict",
        "全部费用": "all",
    },
    "deductible_type": {
        "none": "none",
        "per_visit": "per_visit",
        "per_case": "per_case",
        "per_year": "per_year",
        "per_family_year": "per_family_year",
        "无": "none",
        "每次": "per_visit",
        "每案": "per_case",
        "每年": "per_year",
        "家庭每年": "per_family_year",
    },
    "vat": {"cover": "cover", "exclude": "exclude", "赔付": "cover", "不赔": "exclude"},
}
"""The words of each column of choices, small letters, and the value that each stands for."""
YES_NO: Final = {"yes": True, "no": False, "true": True, "false": False, "y": True, "n": False, "是": True, "否": False}
SETTLED: Final = {
    "yes": True,
    "no": False,
    "true": True,
    "false": False,
    "any": None,
    "是": True,
    "否": False,
    "不限": None,
}

SOCIAL_SETTLED: Final = Column("social_settled", "已经医保结算", "settled")
RATIO_KEYS: Final = (PLAN, BENEFIT, SOCIAL_SETTLED)
_RELATIONS: Final = {"employee": "员工", "dependant": "家属", None: "任何人"}
RATIO_COLUMNS: Final = {
    (relation, level): Column(
        f"{relation or 'anyone'}{f'_level_{level}' if level else ''}_percent",
        f"{chinese}{LEVEL_NAMES[level] if level else ''}(%)",
        "percent",
    )
    for relation, chinese in _RELATIONS.items()
    for level in (*LEVEL_NAMES, None)
}
"""(relation, level) of a column of the ratio table, None for every one; in the order in which columns are written."""

_BLANKS: Final = re.compile(r"\s+")


def column_key(text: str) -> str:
    """A title as it is compared: small letters, without white space."""
    return _BLANKS.sub("", text).lower()


def field_of(column: str) -> str:
    """The field of the specification that a column gives: yuan in the table, fen in the field."""
    return f"{column.removesuffix('_yuan')}_fen" if column.endswith("_yuan") else column
