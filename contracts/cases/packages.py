"""The package that an insurer discloses to a co-adjudicator, as JSON and back.

Closed form: what comes from another node either is a whole package or is refused `PACKAGE_FORM`.
"""

from typing import Any

import msgspec
from msgspec import Struct

from contracts.cases.checking import Mismatch, Package, PolicyPackage
from contracts.cases.documents import Record
from contracts.statements import OutcomeStatement
from ledger.encoding import convert
from ledger.errors import DecodeError


class _RecordPart(Struct, frozen=True, forbid_unknown_fields=True):
    record_id: str
    record_type: str
    document: dict[str, Any]
    secret: str


class _PolicyPart(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    policy_id: str
    terms: dict[str, Any]
    tables: dict[str, Any]
    account_in: dict[str, Any]
    account_out: dict[str, Any]
    pool_in: dict[str, Any]
    pool_out: dict[str, Any]
    event_date: dict[str, Any]
    result: dict[str, Any]
    statement: OutcomeStatement
    holds: tuple[dict[str, Any], ...] = ()
    earlier: dict[str, Any] | None = None


class _PackagePart(Struct, frozen=True, forbid_unknown_fields=True):
    claim_id: str
    attempt: int
    height: int
    released: bool
    payee: dict[str, Any]
    records: tuple[_RecordPart, ...]
    policies: tuple[_PolicyPart, ...]


def encode_package(package: Package, height: int) -> dict[str, Any]:
    """JSON of a package. `height` is the final height it was made at: a reader behind it waits for its blocks."""
    records = tuple(
        _RecordPart(item.record_id, item.record_type, item.document, item.secret) for item in package.records
    )
    names = _PolicyPart.__struct_fields__
    policies = tuple(_PolicyPart(**{name: getattr(item, name) for name in names}) for item in package.policies)
    part = _PackagePart(package.claim_id, package.attempt, height, package.released, package.payee, records, policies)
    return dict(msgspec.to_builtins(part))


def read_package(content: Any) -> tuple[Package, int]:
    """(package, height) from JSON. Raises Mismatch `PACKAGE_FORM`."""
    try:
        part = convert(content, _PackagePart)
    except DecodeError:
        raise Mismatch("PACKAGE_FORM", "the package is not in the form of this version") from None
    records = tuple(Record(item.record_id, item.record_type, item.document, item.secret) for item in part.records)
    names = _PolicyPart.__struct_fields__
    policies = tuple(PolicyPackage(**{name: getattr(item, name) for name in names}) for item in part.policies)
    return Package(part.claim_id, part.attempt, records, part.payee, policies, part.released), part.height
