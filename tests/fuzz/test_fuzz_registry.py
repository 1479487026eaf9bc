"""No decoder is forgotten: each public function that reads foreign bytes or text is in the registry or named here."""

import ast
from collections.abc import Iterator

from tests.fuzz.checking import PACKAGES, ROOT
from tests.fuzz.decoders import DECODERS

VERBS = ("decode_", "parse_", "read_", "load_", "unwrap_", "peek_")

EXEMPT = {
    "cli.bench:read_rate": "an option on the command line, checked by click's own types",
    "cli.client:read_folder_url": "the address in a node's own folder, which its process wrote",
    "cli.documents:read_document": "bytes of a file, cut at a bound; contracts.inputs decodes them",
    "contracts.case:read_case": "behind decode_case",
    "cli.product_files:read_files": "bytes of files, cut at a bound; contracts.products decodes them",
    "cli.product_files:read_tables": "a folder, or bytes of a file that read_product checks",
    "cli.product_files:read_release": "files of a folder, then read_product_folder",
    "contracts.products.examples:read_example": "behind read_product_folder",
    "contracts.products.cells:parse_choice": "behind read_product_folder",
    "contracts.products.cells:parse_code": "behind read_product_folder",
    "contracts.products.cells:parse_days": "behind read_product_folder",
    "contracts.products.cells:parse_icd_prefixes": "behind read_product_folder",
    "contracts.products.cells:parse_percent": "behind read_product_folder",
    "contracts.products.cells:parse_yuan": "behind read_product_folder",
    "contracts.products.sheets:read_sheet": "behind read_product_folder",
    "contracts.products.reading:read_folder": "behind read_product_folder",
    "contracts.operations:read_active_key": "a look-up in state",
    "contracts.risk.reading:read_claim_records": "behind read_request",
    "contracts.risk.reading:read_hospital_cells": "behind read_request",
    "contracts.claimwords:read_word": "behind peek_token and decode_token",
    "contracts.schema:read_text": "a part of read_product and decode_case",
    "contracts.schema:read_date": "a part of read_product and decode_case",
    "contracts.schema:read_boolean": "a part of read_product and decode_case",
    "contracts.schema:read_record": "a part of read_product and decode_case",
    "contracts.states:decode_state": "values that execution wrote; the store seals them and the map proves them",
    "ledger.crypto.keys:read_secret_file": "behind load_key and read_token_file, which say what the bytes are",
    "ledger.logtiles:read_tail": "tiles of the own store",
    "ledger.remains:decode_tail": "a sealed column of the own store",
    "ledger.rowreader:read_only_url": "the URL of the own store; open_engine judges it",
    "node.audit.ahead:read_ahead": "blocks that replay decodes again itself",
    "node.folderaudit.blockrows:read_block_rows": "rows of a store, decoded by functions in the registry",
    "ledger.mappages:parse_page_path": "paths that this program made; behind decode_page",
    "node.agents.facts:read_facts": "a look-up in state",
    "node.agents.mail:read_parcels": "parcels of the vault in the closed forms of node.agents.messages",
    "node.agents.rulebook:read_tables": "a look-up in state",
    "node.agents.programs:read_bundle": "behind load_program in the registry, which starts with it",
    "node.api.answers:read_body": "in the registry once for each form of body",
    "node.assembly:read_genesis": "bytes of a file; genesis_state decodes them",
    "node.audit.compact:read_certificate": "a part of decode_proof",
    "node.audit.compact:read_entry": "a part of decode_proof",
    "node.audit.compact:read_header": "a part of decode_proof",
    "node.audit.compact:read_validators": "a part of decode_proof",
    "node.backups.archive:read_header": "behind restore_backup; tarfile's own header, of which only plain files pass",
    "node.backups.make:read_key_files": "the node's own key files, as bytes",
    "node.backups.restore:read_manifest": "a header, then bytes of a file; decode_manifest decodes them",
    "node.backups.sealing:read_passphrase": "a line of a file that only its owner reads",
    "node.identity:load_identity": "load_key for each key file of the folder",
    "node.machine.frames:read_frame": "a pipe to this program's own worker; its end is a signal, no input error",
    "node.witnessing.witness:read_settings": "bytes of a file; decode_settings decodes them",
    "node.ordering.blocksync:read_range": "blocks of the own store",
    "node.riskfile:load_risk": "bytes of a file, cut at a bound; decode_parameters and parse_parameters decode them",
}
"""module:function -> why no case of its own."""
LOOK_UPS = (
    "contracts.catalogue",
    "contracts.holdstates",
    "contracts.offences",
    "contracts.riskstates",
    "contracts.states",
    "contracts.validators",
)
"""Modules whose `read_*` are look-ups in state by key."""


def public_readers() -> Iterator[str]:
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
            for node in ast.parse(path.read_text(encoding="utf-8")).body:
                if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith(VERBS):
                    yield f"{module}:{node.name}"


def _is_look_up(name: str) -> bool:
    module, _, function = name.partition(":")
    return module in LOOK_UPS and function.startswith("read_")


def test_every_public_decoder_has_cases_or_a_reason() -> None:
    known = {decoder.name for decoder in DECODERS} | EXEMPT.keys()
    forgotten = [name for name in public_readers() if name not in known and not _is_look_up(name)]
    assert not forgotten, "add them to a table in tests/fuzz, or to EXEMPT with a reason"


def test_the_list_of_exceptions_names_functions_that_exist() -> None:
    assert EXEMPT.keys() <= set(public_readers())


def test_names_are_unique_and_every_decoder_exists() -> None:
    names = [decoder.name for decoder in DECODERS]
    assert len(names) == len(set(names))
    for name in names:
        module, function = name.partition("/")[0].split(":")
        source = (ROOT / module.replace(".", "/")).with_suffix(".py").read_text(encoding="utf-8")
        assert f"def {function}(" in source or f"class {function}(" in source, name
