"""The figures that the risk rules compare with: one frozen record with a version, each figure with unit and reason.

Knows names, bounds and defaults. Must not know how a rule uses a figure. Always true: a set has every figure, so a
version means one set and nothing is filled in behind it; a change of parameters is a new version, and what was graded
with another one keeps its grade.
"""

import re
import tomllib
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta, Struct

from contracts.errors import ContractError, shorten
from ledger.encoding import decode, encode, schema_fault
from ledger.errors import DecodeError

MAX_PARAMETERS: Final = 64 * 1024
"""Bytes of a set; the default one has below 1 kB."""
MAX_FAULT_NAME: Final = 40
MAX_FAULTS_SHOWN: Final = 60
"""Twice the number of figures: what a real file can have wrong. A longer list is a file of something else."""

Categories = Annotated[
    str,
    Meta(pattern=r"^[A-Z][0-9]{2}(-[A-Z][0-9]{2})?\Z", description="a 3-character category or a range of one letter"),
]


class Related(Struct, frozen=True, forbid_unknown_fields=True):
    """Categories that are stages or signs of each other: a record in `first` speaks for one in `second`, and back."""

    first: Annotated[tuple[Categories, ...], Meta(min_length=1, max_length=100)]
    second: Annotated[tuple[Categories, ...], Meta(min_length=1, max_length=100)]


class Parameters(Struct, frozen=True, forbid_unknown_fields=True):
    """A set of figures. Days are whole calendar days, `bp` is a ten-thousandth, `pct` a hundredth."""

    version: Annotated[
        str,
        Meta(
            pattern=r"^[a-z0-9][a-z0-9.-]{0,39}\Z",
            description="names the set in every stored result",
            extra={"unit": "name"},
        ),
    ] = "risk-1"
    min_cases: Annotated[
        int,
        Meta(ge=2, le=10_000, description="fewer tell of single patients, not of a hospital", extra={"unit": "cases"}),
    ] = 20
    min_peers: Annotated[
        int,
        Meta(ge=1, le=1000, description="with one or two peers a median is those peers", extra={"unit": "hospitals"}),
    ] = 3
    upcoding_months: Annotated[
        int, Meta(ge=1, le=120, description="RK04: a year evens out seasons", extra={"unit": "months"})
    ] = 12
    upcoding_percentile: Annotated[
        int, Meta(ge=50, le=100, description="RK04: the most one-sided tenth of the peers", extra={"unit": "percent"})
    ] = 90
    upcoding_median_pct: Annotated[
        int,
        Meta(
            ge=100,
            le=1000,
            description="RK04: half as much again is more than a mix of patients",
            extra={"unit": "pct"},
        ),
    ] = 150
    frequency_days: Annotated[
        int, Meta(ge=1, le=3660, description="RK05: one quarter of treatment", extra={"unit": "days"})
    ] = 90
    frequency_stays: Annotated[
        int, Meta(ge=2, le=1000, description="RK05: a stay a month", extra={"unit": "stays"})
    ] = 3
    frequency_outpatient: Annotated[
        int, Meta(ge=2, le=1000, description="RK05: about one visit a week", extra={"unit": "invoices"})
    ] = 12
    frequency_institutions: Annotated[
        int,
        Meta(
            ge=2,
            le=1000,
            description="RK05: more than treatment, second opinion and transfer",
            extra={"unit": "institutions"},
        ),
    ] = 4
    waiting_after_days: Annotated[
        int, Meta(ge=1, le=366, description="RK06: an illness that waited for its cover", extra={"unit": "days"})
    ] = 15
    waiting_high_days: Annotated[
        int,
        Meta(ge=0, le=366, description="RK06: the first days, where the amount is also large", extra={"unit": "days"}),
    ] = 3
    review_threshold_fen: Annotated[
        int,
        Meta(
            ge=1,
            le=2**53 - 1,
            description="RK06, RK08: above it a person looks, unless the product says otherwise",
            extra={"unit": "fen"},
        ),
    ] = 500_000
    split_days: Annotated[
        int, Meta(ge=1, le=3660, description="RK08: one treatment, billed in parts", extra={"unit": "days"})
    ] = 30
    split_claims: Annotated[
        int, Meta(ge=2, le=1000, description="RK08: parts of a whole", extra={"unit": "claims"})
    ] = 2
    split_share_bp: Annotated[
        int,
        Meta(
            ge=0,
            le=10_000,
            description="RK08: at least one stays just below the threshold",
            extra={"unit": "bp of the threshold"},
        ),
    ] = 8_000
    bed_only_share_bp: Annotated[
        int,
        Meta(
            ge=1, le=10_000, description="RK09: half of the days nobody was treated", extra={"unit": "bp of the days"}
        ),
    ] = 5_000
    nursing_from_days: Annotated[
        int, Meta(ge=1, le=366, description="RK09: who stays longer is nursed", extra={"unit": "days"})
    ] = 2
    short_stay_divisor: Annotated[
        int, Meta(ge=1, le=100, description="RK10: below a third of the median", extra={"unit": "parts of the median"})
    ] = 3
    outlier_mads: Annotated[
        int, Meta(ge=1, le=100, description="RK11: beyond three times the usual distance", extra={"unit": "MAD"})
    ] = 3
    readmission_days: Annotated[
        int, Meta(ge=1, le=366, description="RK11: who returns so soon was not well", extra={"unit": "days"})
    ] = 15
    prior_visit_days: Annotated[
        int, Meta(ge=0, le=3660, description="RK12: a visit shortly before the application", extra={"unit": "days"})
    ] = 30
    high_from_mediums: Annotated[
        int, Meta(ge=1, le=12, description="grade: so many signs at once are one strong sign", extra={"unit": "rules"})
    ] = 3
    related: Annotated[
        tuple[Related, ...],
        Meta(
            max_length=1000,
            description="RK07, RK12: other categories that are the same illness",
            extra={"unit": "categories"},
        ),
    ] = (Related(("N60-N64",), ("C50", "D05")),)


DEFAULTS: Final = Parameters()


class ParametersError(ContractError):
    """A set that cannot be used. `faults` names every one of them with its place."""

    def __init__(self, faults: list[str]) -> None:
        shown = [*faults[:MAX_FAULTS_SHOWN], *(["..."] if len(faults) > MAX_FAULTS_SHOWN else [])]
        super().__init__("risk_parameters", "; ".join(shown))
        self.faults = tuple(faults)


def decode_parameters(data: bytes) -> Parameters:
    """A set from canonical JSON. Raises ParametersError with every fault."""
    try:
        value = decode(data, limit=MAX_PARAMETERS)
    except DecodeError as error:
        raise ParametersError([str(error)]) from None
    return check_parameters(value)


def parse_parameters(data: bytes) -> Parameters:
    """A set from TOML. Raises ParametersError with every fault."""
    if len(data) > MAX_PARAMETERS:
        raise ParametersError([f"{len(data)} bytes, at most {MAX_PARAMETERS} are read"])
    try:
        value = tomllib.loads(data.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise ParametersError([shorten(f"no TOML: {_place_of(error)}", 120)]) from None
    return check_parameters(value)


def encode_parameters(parameters: Parameters) -> bytes:
    """The one canonical form of a set."""
    return encode(parameters)


def check_parameters(value: Any) -> Parameters:
    """A decoded set. Raises ParametersError with every fault: unknown, missing and wrong figures at once."""
    if not isinstance(value, dict):
        raise ParametersError(["a set of parameters is an object"])
    known = {field.name: field.type for field in msgspec.structs.fields(Parameters)}
    faults = [f"{shorten(str(name), MAX_FAULT_NAME)}: no such parameter" for name in value if name not in known]
    read: dict[str, Any] = {}
    for name, kind in known.items():
        if name not in value:
            faults.append(f"{name}: missing")
            continue
        try:
            read[name] = msgspec.convert(value[name], kind, strict=True)
        except (msgspec.ValidationError, RecursionError) as error:
            faults.append(f"{name}: {schema_fault(error)}")
    faults += _cross_faults(read)
    if faults:
        raise ParametersError(faults)
    return Parameters(**read)


def is_related(left: str, right: str, table: tuple[Related, ...]) -> bool:
    """Whether two different 3-character categories stand on the two sides of a row, either way round."""
    return any(
        (_is_in(left, row.first) and _is_in(right, row.second))
        or (_is_in(left, row.second) and _is_in(right, row.first))
        for row in table
    )


def _is_in(category: str, names: tuple[str, ...]) -> bool:
    return any(name[:3] <= category <= name[-3:] for name in names)


def _cross_faults(read: dict[str, Any]) -> list[str]:
    faults = []
    if read.get("waiting_high_days", 0) > read.get("waiting_after_days", 366):
        faults.append("waiting_high_days: more than waiting_after_days")
    for row in read.get("related", ()):
        for name in (*row.first, *row.second):
            if name[0] != name[-3] or name[:3] > name[-3:]:
                faults.append(f"related: {name} is no ascending range of one letter")
    return faults


def _place_of(error: Exception) -> str:
    """Where TOML is faulty; never what stands there."""
    found = re.search(r"at (line [0-9]+, column [0-9]+|end of document)", str(error))
    return found.group(0) if found else type(error).__name__
