"""Which fields of a claim's documents a dossier shows: chosen by pointer, the others stay hashes of their commitment.

Knows record types and top-level fields, the unit in which documents are committed to (contracts.commitments). Must
always hold: of a withheld field neither name, salt nor value is written, and the document's secret, from which all
salts follow, goes only with whole documents.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from contracts.commitments import document_leaves, field_salt
from contracts.errors import InputError
from node.audit.build import Material
from node.audit.dossier import DisclosedRecord

ALL: Final = "all"
NONE: Final = "none"
MAX_POINTERS: Final = 256
"""Fields of one document; a request names each at most once."""


def select_fields(material: Material, chosen: Sequence[str], types: Mapping[str, str]) -> Material:
    """The material with the chosen fields alone. `types` gives each record's type by id.

    `chosen` is `all`, `none`, or pointers `/TYPE` (whole documents of a type) and `/TYPE/FIELD`. Openings of policies,
    payee and payments tell results and sums, so they go with whole documents only. Raises InputError `disclose`.
    """
    if list(chosen) == [ALL]:
        return material
    if list(chosen) == [NONE]:
        return Material()
    wanted = _read_pointers(chosen)
    found = set()
    records = []
    for item in material.records:
        fields = wanted.get(types[item.record_id], {})
        found |= {(types[item.record_id], name) for name in fields if name in item.document or name == ""}
        if "" in fields:
            records.append(item)
        elif any(name in item.document for name in fields):
            records.append(_show(item, set(fields)))
    missing = sorted({(kind, name) for kind in wanted for name in wanted[kind]} - found)
    if missing:
        raise InputError("disclose", f"/{'/'.join(missing[0])}".rstrip("/"), "no document of this claim has this field")
    return Material(records=tuple(records))


def _read_pointers(chosen: Sequence[str]) -> dict[str, dict[str, None]]:
    """Type -> chosen fields; the empty name stands for the whole document."""
    if not chosen or len(chosen) > MAX_POINTERS:
        raise InputError("disclose", "", f"name all, none, or 1 to {MAX_POINTERS} pointers")
    wanted: dict[str, dict[str, None]] = {}
    for pointer in chosen:
        parts = [part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")]
        if parts[0] != "" or not 2 <= len(parts) <= 3 or "" in parts[1:]:
            text = "a pointer is /TYPE or /TYPE/FIELD, as /invoice/total_fen; a top-level field is the least unit"
            raise InputError("disclose", pointer, text)
        wanted.setdefault(parts[1], {})[parts[2] if len(parts) == 3 else ""] = None
    return wanted


def _show(item: DisclosedRecord, fields: set[str]) -> DisclosedRecord:
    assert item.secret is not None, "a vault holds whole documents"
    leaves = document_leaves(item.document, item.secret)
    shown = {name: item.document[name] for name, _ in leaves if name in fields}
    if len(shown) == len(leaves):
        return item
    return DisclosedRecord(
        record_id=item.record_id,
        secret=None,
        document=shown,
        salts={name: field_salt(item.secret, name) for name in shown},
        leaves=tuple(None if name in fields else leaf.hex() for name, leaf in leaves),
    )
