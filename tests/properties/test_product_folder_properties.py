"""Any product becomes a folder and comes back the same, also when a spreadsheet saved its tables in between."""

import csv
import io
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.machine.bundle import build_bundle
from contracts.product import LEVELS, RELATIONS, read_product
from contracts.products.release import Release, decode_release, read_product_folder, write_product_folder
from contracts.schema import MAX_INTEGER

STANDARD = build_bundle({"program.star": "def adjudicate(case, trace):\n    return {}\n"})
AMOUNTS = st.one_of(st.integers(0, 10_000), st.integers(0, MAX_INTEGER))
LIMITS = st.none() | AMOUNTS
DAYS = st.integers(0, 400)
CODES = st.sampled_from(["A", "STD", "2024", "plan-1", "x_y.z", "0", "3"])
PREFIXES = st.lists(st.sampled_from(["C00", "I21", "n84.000x001", "M05.3+"]), max_size=3)
RATIOS = st.lists(
    st.fixed_dictionaries(
        {
            "relation": st.sampled_from([*RELATIONS, None]),
            "social_settled": st.sampled_from([True, False, None]),
            "level": st.sampled_from([*LEVELS, None]),
            "ratio_bp": st.integers(0, 10_000) | st.integers(0, 101),
        }
    ),
    max_size=12,
).map(lambda rows: [*rows, {"ratio_bp": 5000}])
EXPENSE = {
    "scope": st.sampled_from(["social_only", "social_strict", "all"]),
    "ratios": RATIOS,
    "waiting_days": DAYS,
    "per_visit_limit_fen": LIMITS,
    "annual_limit_fen": LIMITS,
    "lifetime_limit_fen": LIMITS,
}
DEDUCTIBLES = ("none", "per_visit", "per_case", "per_year", "per_family_year")
VAT = st.sampled_from(["cover", "exclude"])
ALLOWANCE = {
    "daily_fen": AMOUNTS,
    "deductible_days": DAYS,
    "max_days_per_stay": st.none() | DAYS,
    "max_days_per_year": st.none() | DAYS,
    "waiting_days": DAYS,
}
FIELDS: dict[str, dict[str, st.SearchStrategy[Any]]] = {
    "inpatient_expense": EXPENSE,
    "outpatient_expense": EXPENSE | {"per_day_limit_fen": LIMITS, "vat": VAT},
    "daily_allowance": ALLOWANCE,
    "lump_sum": {"amount_fen": AMOUNTS, "icd_prefixes": PREFIXES.filter(bool), "waiting_days": DAYS},
}


@st.composite
def products(draw: st.DrawFn) -> dict[str, Any]:
    """A product whose rules are sound."""
    codes = draw(st.lists(CODES, min_size=1, max_size=4, unique=True))
    kinds = {code: draw(st.sampled_from(sorted(FIELDS))) for code in codes}
    deductibles = {code: draw(st.sampled_from(DEDUCTIBLES)) for code in codes}
    plans: dict[str, Any] = {}
    for plan in draw(st.lists(CODES, min_size=1, max_size=3, unique=True)):
        benefits = {}
        for code in draw(st.lists(st.sampled_from(codes), unique=True)):
            benefits[code] = {"type": kinds[code]} | {name: draw(item) for name, item in FIELDS[kinds[code]].items()}
            if "expense" in kinds[code]:
                amount = draw(AMOUNTS) if deductibles[code] != "none" else 0
                benefits[code]["deductible"] = {"type": deductibles[code], "amount_fen": amount}
        levels = draw(st.none() | st.lists(st.sampled_from(LEVELS), unique=True).map(sorted))
        plans[plan] = {
            "annual_limit_fen": draw(LIMITS),
            "covered_hospital_levels": levels,
            "benefits": benefits,
        }
    return read_product(
        {
            "product_code": draw(CODES),
            "pre_existing": draw(st.sampled_from(["exclude", "cover"])),
            "excluded_icd_prefixes": draw(PREFIXES),
            "review_threshold_fen": draw(AMOUNTS),
            "run_off_days": draw(DAYS),
            "benefit_order": draw(st.permutations(codes)),
            "plans": plans,
        }
    )


TITLES = st.text(st.characters(exclude_categories=["C", "Z"]), max_size=30)


def saved_again(data: bytes, separator: str, encoding: str, quoting: Any, padding: int) -> bytes:
    """What a spreadsheet makes of a table: cells as they look, its own separators, empty cells and rows around."""
    rows = list(csv.reader(io.StringIO(data.decode("utf-8-sig"), newline="")))
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter=separator, quoting=quoting, lineterminator="\r\n")
    writer.writerows([*row, *[""] * padding] for row in rows)
    writer.writerows([[""] * len(rows[0])] * padding)
    return text.getvalue().encode(encoding)


@settings(max_examples=120, deadline=None)
@given(
    products(),
    TITLES,
    st.sampled_from(",;\t"),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "gb18030"]),
    st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    st.integers(0, 3),
)
def test_a_product_survives_its_folder_and_a_spreadsheet(
    tables: dict[str, Any], title: str, separator: str, encoding: str, quoting: Any, padding: int
) -> None:
    release = Release(STANDARD, tables, (), title)
    files = write_product_folder(release, STANDARD)
    assert read_product_folder(files, STANDARD) == release
    for name, data in files.items():
        if name.endswith(".csv"):
            files[name] = saved_again(data, separator, encoding, quoting, padding)
    again = read_product_folder(files, STANDARD)
    assert again == release
    assert again.product_hash == release.product_hash
    assert write_product_folder(again) == write_product_folder(release)
    assert decode_release(release.program_text, release.tables_text, release.examples_text, title=title) == release
