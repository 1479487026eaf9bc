"""A product folder, read: every file, then the rules between them.

Knows which files a folder has and how their parts come together. Must not know how a table is spelt. Always true: the
parts are all sound, or ProductRefused lists every fault of every file; a rule between tables is only judged when the
tables that it looks at are sound, so that one wrong cell is not reported twice.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from contracts.errors import InputError
from contracts.machine.bundle import ProgramBundle, build_bundle
from contracts.machine.errors import ProgramRefused
from contracts.machine.lint import lint_bundle
from contracts.product import read_product
from contracts.products.columns import BENEFITS_FILE, PLANS_FILE, RATIOS_FILE
from contracts.products.examples import MAX_EXAMPLES, Example, read_example
from contracts.products.faults import FaultList
from contracts.products.grids import Origins
from contracts.products.ratios import build_ratios
from contracts.products.rules import check_tables
from contracts.products.settings import KEYS, SETTINGS_FILE, Settings, build_settings
from contracts.products.sheets import Sheet, read_sheet
from contracts.products.tables import build_benefits, build_plans
from contracts.products.writing import EXAMPLES_FOLDER

MAX_FOLDER_FILES: Final = 300
"""Files of a folder: four tables, 32 of a program, 200 examples."""
WORKBOOKS: Final = (".xlsx", ".xls", ".et", ".ods")
_TABLES: Final = (SETTINGS_FILE, PLANS_FILE, BENEFITS_FILE, RATIOS_FILE)


@dataclass(frozen=True, slots=True)
class FolderContent:
    """The parts of a product folder."""

    bundle: ProgramBundle
    tables: dict[str, Any]
    examples: tuple[Example, ...]
    title: str


def read_folder(files: Mapping[str, bytes], standard: ProgramBundle) -> FolderContent:
    """The parts of a product folder. Raises ProductRefused."""
    faults = FaultList()
    if len(files) > MAX_FOLDER_FILES:
        faults.add("", "", "too_large", f"more than {MAX_FOLDER_FILES} files")
        faults.check()
    _check_names(files, faults)
    settings = build_settings(files.get(SETTINGS_FILE, b""), faults)
    origins = Origins()
    plans = _plans(files, origins, faults)
    tables = _tables(settings, plans, origins, faults)
    bundle = _program(files, settings, standard, faults)
    examples = _examples(files, faults)
    faults.check()
    assert bundle is not None
    return FolderContent(bundle, tables, examples, settings.title)


def _check_names(files: Mapping[str, bytes], faults: FaultList) -> None:
    for name in (SETTINGS_FILE, PLANS_FILE, BENEFITS_FILE):
        if name not in files:
            faults.add(name, "", "missing_file", "every product has this file")
    for name in files:
        if name.endswith(WORKBOOKS):
            faults.add(name, "", "unknown_file", "a workbook is not read: save each sheet as CSV UTF-8 beside it")
        elif name.endswith((".csv", ".toml")) and name not in _TABLES:
            faults.add(name, "", "unknown_file", f"the tables of a product are {', '.join(_TABLES)}")


def _sheet(files: Mapping[str, bytes], name: str, faults: FaultList) -> Sheet | None:
    return read_sheet(name, files[name], faults) if name in files else None


def _plans(files: Mapping[str, bytes], origins: Origins, faults: FaultList) -> dict[str, Any]:
    """Plans with their benefits and ratios. A reference to a table that cannot be read is no fault of its own."""
    plan_sheet = _sheet(files, PLANS_FILE, faults)
    plans = build_plans(plan_sheet, origins, faults) if plan_sheet is not None else {}
    benefit_sheet = _sheet(files, BENEFITS_FILE, faults)
    if benefit_sheet is not None:
        build_benefits(benefit_sheet, plans, origins, faults, has_plans=plan_sheet is not None)
    ratio_sheet = _sheet(files, RATIOS_FILE, faults)
    if ratio_sheet is not None:
        build_ratios(ratio_sheet, plans, origins, faults, has_benefits=benefit_sheet is not None)
    return plans


def _tables(settings: Settings, plans: dict[str, Any], origins: Origins, faults: FaultList) -> dict[str, Any]:
    """The product, its rules judged where the files they look at have no fault of their own."""
    faulty = [name for name in _TABLES if faults.has(name)]
    try:
        tables = read_product(settings.fields | {"plans": plans})
    except InputError as error:
        if not faulty:
            faults.add(*_place(error.path, origins), error.code, error.detail)
        return {}
    for path, code, detail in check_tables(tables):
        file, place = _place(path, origins)
        looks_at = {"benefit_order": _TABLES, "no_ratio": _TABLES[1:]}.get(code, (file,))
        if not any(name in faulty for name in looks_at):
            faults.add(file, place, code, detail)
    return tables


def _place(path: str, origins: Origins) -> tuple[str, str]:
    if path == "/plans":
        return PLANS_FILE, ""
    key = path.split("/")[1] if path else ""
    setting = "review_threshold_yuan" if key == "review_threshold_fen" else key
    return (SETTINGS_FILE, setting) if setting in KEYS else origins.find(path)


def _program(
    files: Mapping[str, bytes], settings: Settings, standard: ProgramBundle, faults: FaultList
) -> ProgramBundle | None:
    """The folder's own program, linted, or the standard one."""
    sources = {name: data for name, data in files.items() if name.endswith(".star")}
    if not sources:
        if settings.program is None and not faults.has(SETTINGS_FILE):
            faults.add(SETTINGS_FILE, "program", "missing", 'program = "standard", or a program.star in the folder')
        return standard
    if settings.program is not None:
        faults.add(SETTINGS_FILE, "program", "two_programs", "the folder has a program of its own: delete this line")
    try:
        bundle = build_bundle({name: data.decode("utf-8") for name, data in sources.items()})
    except UnicodeDecodeError:
        faults.add("program.star", "", "encoding", "a file of the program is not UTF-8")
        return None
    except ProgramRefused as error:
        faults.add("program.star", "", error.code, error.detail)
        return None
    for fault in lint_bundle(bundle):
        faults.add(fault.file, f"line {fault.line}", fault.code, fault.detail)
    return bundle


def _examples(files: Mapping[str, bytes], faults: FaultList) -> tuple[Example, ...]:
    names = sorted(name.removesuffix(".json") for name in files if name.startswith(EXAMPLES_FOLDER))
    if len(names) > MAX_EXAMPLES:
        faults.add(EXAMPLES_FOLDER, "", "too_large", f"more than {MAX_EXAMPLES} examples")
        return ()
    found = (
        read_example(f"{name}.json", name.removeprefix(EXAMPLES_FOLDER), files[f"{name}.json"], faults)
        for name in names
        if f"{name}.json" in files
    )
    return tuple(example for example in found if example is not None)
