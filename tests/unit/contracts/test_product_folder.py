"""Product folders: what a spreadsheet may do to them, and how every fault is named."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from contracts.machine.bundle import build_bundle
from contracts.products.faults import MAX_FAULTS, ProductRefused
from contracts.products.release import Release, read_product_folder, write_product_folder
from contracts.products.sheets import MAX_CELL, MAX_COLUMNS, MAX_ROWS, MAX_SHEET_BYTES

STANDARD = build_bundle({"program.star": "def adjudicate(case, trace):\n    return {}\n"})
SETTINGS = 'product_code = "P-1"\ntitle = "名称"\nprogram = "standard"\nbenefit_order = ["OP", "IP", "AL", "LS"]\n'
PLANS = (
    "plan,annual_limit_yuan,hospital_level_3,hospital_level_2,hospital_level_1,hospital_level_0\n"
    'A,,yes,yes,no,no\nB,"50,000",,,,\n'
)
BENEFITS = (
    "plan,benefit,type,scope,deductible_type,deductible_yuan,waiting_days,"
    "annual_limit_yuan,vat,daily_yuan,amount_yuan,icd_prefixes\n"
    'A,OP,outpatient_expense,social_only,per_visit,100,30,"20,000",cover,,,\n'
    "A,IP,inpatient_expense,all,,,30,,,,,\n"
    "B,AL,daily_allowance,,,,0,,,150,,\n"
    "B,LS,lump_sum,,,,90,,,,100000,C00 I21\n"
)
RATIOS = (
    "plan,benefit,social_settled,employee_level_3_percent,employee_percent,anyone_percent\n"
    "A,OP,yes,70,80,\nA,OP,,,,50\nA,IP,,85,90,60\n"
)
EXAMPLE = json.dumps({"title": "t", "worked": "", "input": {"claim": {}}, "expected": {"results": []}})


def folder(**changes: str | bytes | None) -> dict[str, bytes]:
    """A sound folder with some files changed; keys stand for names without their ending, None leaves a file out."""
    texts: dict[str, Any] = {"product": SETTINGS, "plans": PLANS, "benefits": BENEFITS, "ratios": RATIOS}
    names = {"product": "product.toml", "program": "program.star", "example": "examples/one.json"}
    texts |= {"example": EXAMPLE} | changes
    return {
        names.get(key, f"{key}.csv"): text if isinstance(text, bytes) else text.encode()
        for key, text in texts.items()
        if text is not None
    }


def read(**changes: str | bytes | None) -> Release:
    return read_product_folder(folder(**changes), STANDARD)


def faults(**changes: str | bytes | None) -> list[str]:
    with pytest.raises(ProductRefused) as caught:
        read(**changes)
    return [f"{fault.file} {fault.place} {fault.code}" for fault in caught.value.faults]


def test_the_tables_are_those_of_the_specification() -> None:
    tables = read().tables
    assert tables["plans"]["A"]["covered_hospital_levels"] == ["2", "3"]
    assert tables["plans"]["B"] == {
        "annual_limit_fen": 5_000_000,
        "covered_hospital_levels": None,
        "benefits": {
            "AL": {
                "type": "daily_allowance",
                "daily_fen": 15_000,
                "deductible_days": 0,
                "max_days_per_stay": None,
                "max_days_per_year": None,
                "waiting_days": 0,
            },
            "LS": {"type": "lump_sum", "amount_fen": 10_000_000, "icd_prefixes": ["C00", "I21"], "waiting_days": 90},
        },
    }
    outpatient = tables["plans"]["A"]["benefits"]["OP"]
    assert outpatient["deductible"] == {"type": "per_visit", "amount_fen": 10_000}
    assert (outpatient["annual_limit_fen"], outpatient["vat"]) == (2_000_000, "cover")
    assert [tuple(row.values()) for row in outpatient["ratios"]] == [
        ("employee", True, "3", 7000),
        ("employee", True, None, 8000),
        (None, None, None, 5000),
    ]


def each_table(change: Callable[[bytes], bytes]) -> dict[str, bytes]:
    return {name: change(data) if name.endswith(".csv") else data for name, data in folder().items()}


def quoted(data: bytes, separator: str) -> bytes:
    lines = data.decode().replace('"20,000"', "20000").replace('"50,000"', "50000").split("\n")
    rows = [separator.join(f'"{cell}"' for cell in line.split(",")) for line in lines if line]
    return ("\r\n".join(rows) + "\r\n").encode()


CHINESE = {
    "plan,": "方案,",
    "benefit,": "责任,",
    ",type,": ",类型,",
    "deductible_yuan": "免赔额（元）",
    "social_settled": "已经医保结算",
    "employee_level_3_percent": "员工三级医院（％）",
    "outpatient_expense": "门诊费用",
    ",yes,yes,no,no": ",是,是,否,否",
    "A,OP,yes,": "A,OP,是,",
    "per_visit": "每次",
    ",70,80,": ",７０％,８０．００％,",
    "100,30": "１００,30天",
}


def chinese(data: bytes) -> bytes:
    text = data.decode()
    for word, other in CHINESE.items():
        text = text.replace(word, other)
    return text.encode()


SAVED: dict[str, Callable[[bytes], bytes]] = {
    "byte order mark and CRLF": lambda data: b"\xef\xbb\xbf" + data.replace(b"\n", b"\r\n"),
    "no line end at the end": lambda data: data.rstrip(b"\n"),
    "semicolons": lambda data: data.replace(b'"20,000"', b"20000").replace(b'"50,000"', b"50000").replace(b",", b";"),
    "tabs in UTF-16": lambda data: quoted(data, "\t").decode().encode("utf-16"),
    "every cell quoted": lambda data: quoted(data, ","),
    "every cell quoted, semicolons": lambda data: quoted(data, ";"),
    "empty columns and rows": lambda data: b",,,\n" + data.replace(b"\n", b",,,,\n\n") + b",,,,,,,,,,\n\n",
    "remarks": lambda data: b"# remark,of mine\n" + data.replace(b"\n", b",# x\n", 1) + b"#,#REF!\n",
    "Chinese words": chinese,
    "Chinese words in GB 18030": lambda data: chinese(data).decode().encode("gb18030"),
    "dashes for nothing": lambda data: data.replace(b",,", b",-,").replace(b",,", b",/,"),
    "a line that names the separator": lambda data: b"sep=;\r\n" + quoted(data, ";"),
    "spaces": lambda data: quoted(data, ",").replace(b'"', b"").replace(b",", " ,\u00a0".encode()),
}


@pytest.mark.parametrize("change", SAVED.values(), ids=SAVED.keys())
def test_whoever_saved_the_tables_the_product_is_the_same(change: Callable[[bytes], bytes]) -> None:
    assert read_product_folder(each_table(change), STANDARD) == read()


def test_a_folder_reads_back_to_what_was_written() -> None:
    for bundle in (STANDARD, None):
        assert read_product_folder(write_product_folder(read(), bundle), STANDARD) == read()


def test_every_fault_is_listed_at_once_with_file_and_cell() -> None:
    found = faults(
        product='title = 5\nprogram = "mine"\nrun_off_days = 1.5\nbenefit_order = [1]\nspeed = 3\npre_existing = "x"',
        plans="plan,annual_limit_yuan,hospital_level_3,colour\nA,1.005,yes,red\nA,,,\n1-2,,,\n",
        benefits="plan,benefit,type,scope,daily_yuan\nA,OP,outpatient_expense,,5\nC,OP,thing,all,\n,,lump_sum,,\n",
        ratios="plan,benefit,employee_percent\nA,OP,0.8\nA,XX,80\nZ,OP,80\nA,OP,\n",
        example="{}",
    )
    assert found == [
        "product.toml speed unknown_key",
        "product.toml product_code missing",
        "product.toml title type",
        "product.toml pre_existing unknown_value",
        "product.toml run_off_days type",
        "product.toml benefit_order type",
        "product.toml program unknown_value",
        "plans.csv D1 unknown_column",
        "plans.csv B2 amount",
        "plans.csv row 2 missing",
        "plans.csv A3 repeated",
        "plans.csv A4 mangled",
        "benefits.csv D2 missing",
        "benefits.csv E2 not_for_type",
        "benefits.csv C3 unknown_value",
        "benefits.csv A3 unknown_plan",
        "benefits.csv A4 missing",
        "benefits.csv B4 missing",
        "benefits.csv row 4 missing",
        "benefits.csv row 4 missing",
        "ratios.csv C2 percent",
        "ratios.csv B3 unknown_benefit",
        "ratios.csv A4 unknown_plan",
        "ratios.csv C5 missing",
        "examples/one.json /title type",
        "examples/one.json /input type",
        "examples/one.json /expected type",
    ]


RULES = {
    "no ratio": ({"ratios": RATIOS.replace("A,OP,,,,50\n", "")}, ["ratios.csv D2 no_ratio"]),
    "no ratio at all": ({"ratios": None}, ["benefits.csv B2 no_ratio", "benefits.csv B3 no_ratio"]),
    "no order": ({"product": SETTINGS.replace('"LS"', '"XX"')}, ["product.toml benefit_order benefit_order"]),
    "two types": (
        {"benefits": BENEFITS + "B,OP,inpatient_expense,all,,,,,,,,\n", "ratios": RATIOS + "B,any,,80,80,80\n"},
        ["benefits.csv B6 unknown_value"],
    ),
    "deductible without type": ({"benefits": BENEFITS.replace("per_visit", "")}, ["benefits.csv E2 missing"]),
    "deductible of no type": ({"benefits": BENEFITS.replace("per_visit", "none")}, ["benefits.csv E2 missing"]),
    "type without deductible": ({"benefits": BENEFITS.replace("100,30", ",30")}, ["benefits.csv F2 missing"]),
    "levels not all said": (
        {"plans": PLANS.replace("yes,yes,no,no", "yes,,no,")},
        ["plans.csv D2 missing", "plans.csv F2 missing"],
    ),
    "no plan": (
        {"plans": "plan\n", "benefits": "plan,benefit,type\n", "ratios": None},
        ["plans.csv  missing"],
    ),
    "a repeated benefit": ({"benefits": BENEFITS + "B,AL,daily_allowance,,,,,,,5,,\n"}, ["benefits.csv B6 repeated"]),
    "a repeated column": ({"plans": "plan,plan\nA,B\n"}, ["plans.csv B1 repeated_column"]),
    "a column without a title": ({"plans": PLANS.replace("no,no\n", "no,no,5\n")}, ["plans.csv G1 unknown_column"]),
    "no column of ratios": ({"ratios": "plan,benefit\nA,OP\n"}, ["ratios.csv row 1 missing_column"]),
    "no key column": ({"ratios": "plan,employee_percent\nA,5%\n"}, ["ratios.csv row 1 missing_column"]),
    "a workbook": ({"plans.xlsx": b""}, ["plans.xlsx.csv  unknown_file"]),
    "the order twice": (
        {"product": SETTINGS.replace('"OP", ', '"OP", "OP", ')},
        ["product.toml benefit_order unknown_value"],
    ),
    "bad code in the order": (
        {"product": SETTINGS.replace('"LS"', '"1-2"')},
        ["product.toml benefit_order code_at_risk"],
    ),
    "no program": ({"product": SETTINGS.replace('program = "standard"\n', "")}, ["product.toml program missing"]),
    "two programs": (
        {"program": "def adjudicate(case, trace):\n    return {}\n"},
        ["product.toml program two_programs"],
    ),
    "excluded": (
        {"product": SETTINGS + 'excluded_icd_prefixes = ["", "I21"]'},
        ["product.toml excluded_icd_prefixes icd"],
    ),
    "a title of two lines": ({"product": SETTINGS.replace("名称", "a\\nb")}, ["product.toml title title"]),
}


@pytest.mark.parametrize(("changes", "expected"), RULES.values(), ids=RULES.keys())
def test_rules_name_the_cell(changes: dict[str, Any], expected: list[str]) -> None:
    found = faults(**changes)
    assert all(any(fault.startswith(place) for fault in found) for place in expected), found


@pytest.mark.parametrize("name", ["plans", "benefits"])
def test_a_table_that_cannot_be_read_is_one_fault(name: str) -> None:
    assert faults(**{name: 'plan\n"A'}) == [f"{name}.csv row 2 csv"]
    assert faults(**{name: None}) == [f"{name}.csv  missing_file"]
    ratios = RATIOS.replace("50", "500")
    assert faults(**{name: None, "ratios": ratios}) == [f"{name}.csv  missing_file", "ratios.csv F3 range"]


def test_without_plans_the_cells_of_benefits_are_still_looked_at() -> None:
    found = faults(plans=None, benefits=BENEFITS.replace("150", "1-Mar"))
    assert found == ["plans.csv  missing_file", "benefits.csv J4 mangled"]


def test_without_a_code_a_row_of_ratios_is_one_fault() -> None:
    assert faults(ratios=RATIOS + "A,,yes,80,80,80\n") == ["ratios.csv B5 missing"]


def test_an_expense_benefit_without_any_cell_of_ratios_has_no_rows() -> None:
    release = read()
    tables = release.tables | {"plans": {"A": release.tables["plans"]["A"], "C": {"benefits": {}}}}
    tables["plans"]["C"] = {"annual_limit_fen": None, "covered_hospital_levels": None, "benefits": {}}
    outpatient = tables["plans"]["A"]["benefits"]["OP"] | {"ratios": []}
    tables["plans"]["C"]["benefits"]["OP"] = outpatient
    files = write_product_folder(Release(STANDARD, tables, ()), STANDARD)
    with pytest.raises(ProductRefused, match="no_ratio"):
        read_product_folder(files, STANDARD)


def test_a_workbook_is_told_from_a_note() -> None:
    with pytest.raises(ProductRefused, match="save each sheet as CSV"):
        read_product_folder(folder() | {"plans.xlsx": b"PK"}, STANDARD)
    assert read_product_folder(folder() | {"NOTES.md": b"x"}, STANDARD) == read()


def test_any_stands_for_each_expense_benefit_in_its_place() -> None:
    tables = read(ratios="plan,benefit,anyone_percent\nA,OP,70\n不限,any,50\n").tables["plans"]["A"]["benefits"]
    assert [row["ratio_bp"] for row in tables["OP"]["ratios"]] == [7000, 5000]
    assert [row["ratio_bp"] for row in tables["IP"]["ratios"]] == [5000]


BYTES = {
    "no text": (b"\xff\xff\x80\x00", "encoding"),
    "half of UTF-16": (b"\xff\xfeA", "encoding"),
    "an open quote": (b'plan\n"A', "csv"),
    "nothing": (b"", "empty"),
    "only remarks": (b"# a\n,,\n", "empty"),
    "too long": (b"plan\nA\n" + (b"#" + b"x" * 7_000 + b"\n") * (MAX_SHEET_BYTES // 7_000 + 1), "too_large"),
    "too many rows": (b"plan\n" * (MAX_ROWS + 1), "too_large"),
    "too many columns": (b"plan" + b",x" * MAX_COLUMNS, "too_large"),
    "too long a cell": (b"plan\n" + b"x" * (MAX_CELL + 1), "too_large"),
    "a field beyond the reader's own limit": (b"plan\n" + b"x" * 140_000, "csv"),
    "NUL": (b"plan\nA\x00", "invisible"),
}


@pytest.mark.parametrize(("data", "code"), BYTES.values(), ids=BYTES.keys())
def test_bytes_that_are_no_table(data: bytes, code: str) -> None:
    assert any(fault.endswith(f" {code}") for fault in faults(plans=data, benefits=None, ratios=None))


TOML = {
    "bytes": (b"\xff", "encoding"),
    "no TOML": (b"a = = b", "toml"),
    "long": (b"#" * 70_000, "too_large"),
    "deep": (b"a = " + b"[" * 1_000, "too_large"),
    "a key of many parts": (b"a" + b".a" * 20_000 + b" = 1", "toml"),
    "a huge number": (b"run_off_days = 0x" + b"f" * 5_000, "range"),
    "a number of many digits": (b"run_off_days = " + b"9" * 5_000, "toml"),
    "a truth": (b"run_off_days = true", "type"),
    "an amount that is none": (b'review_threshold_yuan = "1.005"', "amount"),
    "a date": (b"title = 2024-01-01", "type"),
}


@pytest.mark.parametrize(("data", "code"), TOML.values(), ids=TOML.keys())
def test_bytes_that_are_no_settings(data: bytes, code: str) -> None:
    assert any(fault.endswith(f" {code}") and fault.startswith("product.toml") for fault in faults(product=data))


def test_settings_may_be_saved_with_a_mark_and_crlf() -> None:
    data = b"\xef\xbb\xbf" + SETTINGS.replace("\n", "\r\n").encode() + b'review_threshold_yuan = "8,000"\r\n'
    assert read(product=data).tables["review_threshold_fen"] == 800_000


def test_faults_are_bounded_and_quoted_printable() -> None:
    rows = "".join(f"A{number},\x1b[31m{number},thing\n" for number in range(1_000))
    with pytest.raises(ProductRefused) as caught:
        read(benefits="plan,benefit,type\n" + rows)
    assert len(caught.value.faults) == MAX_FAULTS
    assert str(caught.value).isprintable()
    assert "more" in str(caught.value)


def test_a_file_name_is_shown_as_one_printable_word() -> None:
    name = "\x1b[31m" + "x" * 5_000 + ".csv"
    with pytest.raises(ProductRefused) as caught:
        read_product_folder(folder() | {name: b""}, STANDARD)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 500


def test_any_cannot_multiply_without_bound() -> None:
    plans = "plan\n" + "".join(f"P{number}\n" for number in range(100))
    benefits = "plan,benefit,type,scope\n" + "".join(
        f"P{number},B{other},inpatient_expense,all\n" for number in range(100) for other in range(10)
    )
    ratios = "plan,benefit,anyone_percent\n" + "any,any,80\n" * 100
    assert "ratios.csv A23 too_large" in faults(plans=plans, benefits=benefits, ratios=ratios)


def test_a_program_of_its_own_is_linted() -> None:
    without = SETTINGS.replace('program = "standard"\n', "")
    own = "def adjudicate(case, trace):\n    return {'results': []}\n"
    assert dict(read(product=without, program=own).bundle.files) == {"program.star": own}
    bad = "def adjudicate(case, trace):\n    return 1 * 2\n"
    assert any(fault.startswith("program.star line 2") for fault in faults(product=without, program=bad))
    assert "program.star  encoding" in faults(product=without, program=b"\xff")
    assert "program.star  text" in faults(product=without, program="def adjudicate(case, trace):\r\n    return {}")


EXAMPLES: dict[str, tuple[str, bytes, str]] = {
    "no JSON": ("a.json", b"{", "json"),
    "a list": ("a.json", b"[]", "type"),
    "an unknown field": ("a.json", EXAMPLE.replace("worked", "wroked").encode(), "unknown_field"),
    "a fraction": ("a.json", EXAMPLE.replace("[]", "1.5").encode(), "float"),
    "a bad name": ("A b.json", EXAMPLE.encode(), "name"),
}


@pytest.mark.parametrize(("name", "data", "code"), EXAMPLES.values(), ids=EXAMPLES.keys())
def test_examples_that_are_none(name: str, data: bytes, code: str) -> None:
    with pytest.raises(ProductRefused) as caught:
        read_product_folder(folder() | {f"examples/{name}": data}, STANDARD)
    assert [(fault.file, fault.code) for fault in caught.value.faults] == [(f"examples/{name}", code)]


def test_an_example_may_have_a_byte_order_mark() -> None:
    assert read(example=b"\xef\xbb\xbf" + EXAMPLE.encode()) == read()


def test_too_many_files_and_examples() -> None:
    many = {f"examples/e{number}.json": EXAMPLE.encode() for number in range(250)}
    with pytest.raises(ProductRefused, match="more than 200 examples"):
        read_product_folder(folder() | many, STANDARD)
    with pytest.raises(ProductRefused, match="more than 300 files"):
        read_product_folder({f"{number}.md": b"" for number in range(301)}, STANDARD)
