"""Releases: three texts that a proposal carries, in one spelling, or every fault with its place."""

import json
from typing import Any

import pytest

from contracts.identifiers import derive_product_hash
from contracts.machine.bundle import build_bundle
from contracts.product import read_product
from contracts.products.examples import Example
from contracts.products.faults import MAX_FAULTS, ProductRefused
from contracts.products.release import Release, decode_release
from contracts.products.rules import review_tables
from ledger.encoding import encode

BUNDLE = build_bundle({"program.star": "def adjudicate(case, trace):\n    return {}\n"})


def ratio(ratio_bp: int, relation: Any = None, settled: Any = None, level: Any = None) -> dict[str, Any]:
    return {"relation": relation, "social_settled": settled, "level": level, "ratio_bp": ratio_bp}


def build_tables(*ratios: dict[str, Any], **fields: Any) -> dict[str, Any]:
    benefit = {"type": "outpatient_expense", "scope": "all", "ratios": list(ratios) or [ratio(8000)], **fields}
    plans = {"A": {"benefits": {"OP": benefit}}}
    return read_product({"product_code": "P", "benefit_order": ["OP"], "plans": plans})


def build_release(tables: dict[str, Any] | None = None) -> Release:
    examples = tuple(Example(name, "title", "", {"policies": []}, {"results": []}) for name in ("a", "a-b", "b"))
    return Release(BUNDLE, tables or build_tables(), examples, "Title")


def decode(release: Release, **changes: str) -> Release:
    texts = {name: changes.get(name, getattr(release, f"{name}_text")) for name in ("program", "tables", "examples")}
    return decode_release(texts["program"], texts["tables"], texts["examples"], title=changes.get("title", "Title"))


def faults(**changes: str) -> list[tuple[str, str, str]]:
    with pytest.raises(ProductRefused) as caught:
        decode(build_release(), **changes)
    return [(fault.file, fault.place, fault.code) for fault in caught.value.faults]


def test_what_a_proposal_carries_is_the_release() -> None:
    release = build_release()
    assert decode(release) == release
    assert release.product_hash == derive_product_hash(release.contract_hash, release.tables_hash)
    assert release.product_code == "P"


def test_the_hash_follows_program_and_tables_and_nothing_else() -> None:
    one, other = build_release(), build_release(build_tables(ratio(8001)))
    assert one.product_hash != other.product_hash
    assert Release(one.bundle, one.tables, (), "x").product_hash == one.product_hash


def changed(path: str, value: Any) -> str:
    tables = json.loads(build_release().tables_text)
    *way, last = path.split("/")
    place = tables
    for step in way:
        place = place[step]
    if value is None:
        del place[last]
    else:
        place[last] = value
    return encode(tables).decode()


OP = "plans/A/benefits/OP"
TABLES = {
    "a default left out": ("run_off_days", None, ("", "not_canonical")),
    "a field that no rule knows": ("colour", 1, ("", "not_canonical")),
    "a code that is none": ("product_code", "a b", ("/product_code", "code")),
    "levels that do not ascend": (
        "plans/A/covered_hospital_levels",
        ["3", "2"],
        ("/plans/A/covered_hospital_levels", "not_canonical"),
    ),
    "a level twice": (
        "plans/A/covered_hospital_levels",
        ["3", "3"],
        ("/plans/A/covered_hospital_levels", "not_canonical"),
    ),
    "a benefit outside the order": ("benefit_order", [], ("/benefit_order", "benefit_order")),
    "no plans": ("plans", {}, ("/plans", "missing")),
    "a deductible of no type": (
        f"{OP}/deductible",
        {"type": "none", "amount_fen": 1},
        ("/plans/A/benefits/OP/deductible", "missing"),
    ),
    "no ratio": (f"{OP}/ratios", [ratio(1, level="3")], ("/plans/A/benefits/OP/ratios", "no_ratio")),
    "an empty prefix": ("excluded_icd_prefixes", [""], ("/excluded_icd_prefixes/0", "icd")),
    "wrong shape": ("plans", [], ("/plans", "type")),
}


@pytest.mark.parametrize(("path", "value", "expected"), TABLES.values(), ids=TABLES.keys())
def test_tables_have_one_spelling_and_sound_rules(path: str, value: Any, expected: tuple[str, str]) -> None:
    assert ("tables", *expected) in faults(tables=changed(path, value))


def text(value: Any) -> str:
    return encode(value).decode()


ITEM = {"name": "a", "title": "t", "worked": "", "input": {}, "expected": {}}
OTHERS: dict[str, tuple[dict[str, str], tuple[str, str, str]]] = {
    "white space": ({"tables": " {}"}, ("tables", "", "not_canonical")),
    "no text": ({"tables": "\ud800"}, ("tables", "", "json")),
    "deep": ({"tables": "[" * 99}, ("tables", "", "depth")),
    "no program": ({"program": "{}"}, ("program", "", "type")),
    "another level": ({"program": text({"language": "x", "files": {}})}, ("program", "/language", "unknown_value")),
    "no entry file": ({"program": text({"language": "x", "files": {}})}, ("program", "/files", "files")),
    "files of numbers": ({"program": text({"language": "x", "files": {"a": 1}})}, ("program", "", "type")),
    "more than a program": ({"program": text({"language": "x", "files": {}, "y": 1})}, ("program", "", "type")),
    "examples as object": ({"examples": "{}"}, ("examples", "", "type")),
    "too many examples": ({"examples": text([ITEM] * 201)}, ("examples", "", "type")),
    "an example twice": ({"examples": text([ITEM, ITEM])}, ("examples", "/1/name", "name")),
    "an example without name": ({"examples": text([{}])}, ("examples", "/0/name", "name")),
    "an example that is no object": ({"examples": text([5])}, ("examples", "/0/name", "name")),
    "an example without title": ({"examples": text([{"name": "a"}])}, ("examples", "/0/title", "type")),
    "no worked": (
        {"examples": text([{key: part for key, part in ITEM.items() if key != "worked"}])},
        ("examples", "/0", "missing"),
    ),
    "a long title": ({"title": "x" * 201}, ("title", "title", "title")),
    "white space around a title": ({"title": " x"}, ("title", "title", "title")),
}


@pytest.mark.parametrize(("changes", "expected"), OTHERS.values(), ids=OTHERS.keys())
def test_every_other_text_is_refused(changes: dict[str, str], expected: tuple[str, str, str]) -> None:
    assert expected in faults(**changes)


def test_all_faults_of_all_texts_are_listed() -> None:
    assert {fault[0] for fault in faults(program="", tables="", examples="", title="\n")} == {
        *("program", "tables", "examples", "title")
    }


def test_beyond_the_bound_of_faults_nothing_unsound_passes() -> None:
    bad = [{"name": f"a{number:03d}", "title": 5, "worked": ""} for number in range(150)]
    assert len(faults(examples=text(bad))) == MAX_FAULTS


def test_pharmacies_need_a_ratio_without_a_level() -> None:
    levels = [ratio(8000, level=level) for level in "0123"]
    assert decode(build_release(build_tables(*levels)))
    with pytest.raises(ProductRefused, match=r"no_ratio.*pharmacy without a level"):
        decode(build_release(build_tables(*levels, vat="cover")))
    assert decode(build_release(build_tables(*levels, ratio(1, settled=False), vat="cover")))


def test_what_is_probably_not_meant_is_remarked_on() -> None:
    tables = build_tables(ratio(8000, "employee"), ratio(5000), ratio(9000, "employee", level="3"))
    tables["benefit_order"].append("XX")
    tables["plans"]["A"]["benefits"]["LS"] = {"type": "lump_sum", "amount_fen": 1, "icd_prefixes": []}
    tables["plans"]["A"]["benefits"]["AL"] = {"type": "daily_allowance"}
    assert [(path, code) for path, code, _ in review_tables(tables)] == [
        ("/benefit_order/1", "unknown_benefit"),
        ("/plans/A/benefits/OP/ratios/2", "unreached"),
        ("/plans/A/benefits/LS", "never_pays"),
    ]
