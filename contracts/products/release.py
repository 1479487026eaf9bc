"""A release: program, tables and examples of one product, as one thing with one name.

Knows the three texts that a proposal carries and the hashes that name them. Must not know files of a folder beyond
their names, nor how anything is run. Always true: two releases with the same `product_hash` decide every case alike;
tables of a release have every default filled in, so that one meaning has one hash; every release can be written as a
folder and read back to the same release.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from contracts.errors import InputError
from contracts.identifiers import derive_product_hash, derive_tables_hash
from contracts.machine.bundle import ProgramBundle, build_bundle, encode_bundle, program_hash
from contracts.machine.errors import ProgramRefused
from contracts.machine.language import LANGUAGE
from contracts.product import read_product
from contracts.products.examples import MAX_EXAMPLES, NAME, Example, check_example
from contracts.products.faults import FaultList
from contracts.products.reading import read_folder
from contracts.products.rules import check_tables, check_title
from contracts.products.writing import write_folder
from ledger.encoding import decode, encode
from ledger.errors import DecodeError

MAX_PROGRAM_TEXT: Final = 1024 * 1024
"""Bytes of a program as a proposal carries it; the files themselves have at most a quarter of it."""
MAX_TABLES_TEXT: Final = 1024 * 1024
"""Bytes of tables. Five plans with ten benefits each are 30 kB."""
MAX_EXAMPLES_TEXT: Final = 2 * 1024 * 1024
"""Bytes of all examples together."""


@dataclass(frozen=True, slots=True)
class Release:
    """One version of a product. `title` is for people and in no hash."""

    bundle: ProgramBundle
    tables: dict[str, Any]
    examples: tuple[Example, ...]
    title: str = ""

    @property
    def product_code(self) -> str:
        """The product's own short name; every version of it has the same."""
        return str(self.tables["product_code"])

    @property
    def contract_hash(self) -> str:
        """The program's identity."""
        return program_hash(self.bundle)

    @property
    def tables_hash(self) -> str:
        """The tables' identity."""
        return derive_tables_hash(self.tables)

    @property
    def product_hash(self) -> str:
        """What a policy commits to."""
        return derive_product_hash(self.contract_hash, self.tables_hash)

    @property
    def program_text(self) -> str:
        """The program as a proposal carries it: canonical JSON."""
        return encode_bundle(self.bundle).decode("utf-8")

    @property
    def tables_text(self) -> str:
        """The tables as a proposal carries them: canonical JSON."""
        return encode(self.tables).decode("utf-8")

    @property
    def examples_text(self) -> str:
        """The examples as a proposal carries them: canonical JSON of a list, each with its name."""
        return encode([{"name": item.name} | item.as_dict() for item in self.examples]).decode("utf-8")


def read_product_folder(files: Mapping[str, bytes], standard: ProgramBundle) -> Release:
    """The release in a product folder: file names (`examples/` before those of examples) and their bytes.

    `standard` is the program that `program = "standard"` means. Raises ProductRefused with every fault that was found.
    """
    found = read_folder(files, standard)
    return Release(found.bundle, found.tables, found.examples, found.title)


def write_product_folder(release: Release, standard: ProgramBundle | None = None) -> dict[str, bytes]:
    """The files of a folder that reads back to `release`; its program is left out if it is `standard`."""
    bundle = None if release.bundle == standard else release.bundle
    return write_folder(release.tables, release.title, bundle, release.examples)


def decode_release(program_text: str, tables_text: str, examples_text: str, *, title: str = "") -> Release:
    """The release that a proposal carries. Raises ProductRefused; places are JSON Pointers into the texts."""
    faults = FaultList()
    check_title("title", title, faults)
    bundle = _decode_program(program_text, faults)
    tables = _decode_tables(tables_text, faults)
    examples = _decode_examples(examples_text, faults)
    faults.check()
    assert bundle is not None
    return Release(bundle, tables, examples, title)


def _decode_text(file: str, text: str, limit: int, faults: FaultList) -> Any:
    try:
        return decode(text.encode("utf-8", "surrogatepass"), limit=limit)
    except DecodeError as error:
        faults.add(file, "", error.code, error.detail)
        return None


def _decode_program(text: str, faults: FaultList) -> ProgramBundle | None:
    content = _decode_text("program", text, MAX_PROGRAM_TEXT, faults)
    files = content.get("files") if isinstance(content, dict) else None
    if (
        not isinstance(files, dict)
        or content.keys() != {"files", "language"}
        or not all(isinstance(source, str) for source in files.values())
    ):
        faults.add("program", "", "type", "expected an object with language and files")
        return None
    if content["language"] != LANGUAGE:
        faults.add("program", "/language", "unknown_value", f"this version runs {LANGUAGE}")
    try:
        return build_bundle(files)
    except ProgramRefused as error:
        faults.add("program", "/files", error.code, error.detail)
        return None


def _decode_tables(text: str, faults: FaultList) -> dict[str, Any]:
    value = _decode_text("tables", text, MAX_TABLES_TEXT, faults)
    try:
        tables = read_product(value)
    except InputError as error:
        faults.add("tables", error.path, error.code, error.detail)
        return {}
    if tables != value:
        faults.add("tables", "", "not_canonical", "defaults are left out, or fields stand there that no rule knows")
    for path, code, detail in check_tables(tables):
        faults.add("tables", path, code, detail)
    return tables


def _decode_examples(text: str, faults: FaultList) -> tuple[Example, ...]:
    value = _decode_text("examples", text, MAX_EXAMPLES_TEXT, faults)
    if not isinstance(value, list) or len(value) > MAX_EXAMPLES:
        faults.add("examples", "", "type", f"expected a list of at most {MAX_EXAMPLES} examples")
        return ()
    found: list[Example] = []
    for index, item in enumerate(value):
        name = item.get("name") if isinstance(item, dict) else None
        if not isinstance(name, str) or NAME.fullmatch(name) is None or (found and name <= found[-1].name):
            faults.add("examples", f"/{index}/name", "name", "examples have names in ascending order")
            continue
        if "worked" not in item:
            faults.add("examples", f"/{index}", "missing", "a proposal spells out every field: worked")
        rest = {key: part for key, part in item.items() if key != "name"}
        example = check_example("examples", f"/{index}", name, rest, faults)
        found += [example] if example is not None else []
    return tuple(found)
