"""What a program must give for a case: one result for each policy, in its order (adjudication rule 2).

Knows the fields of a result and which of them add up. Must not know a rule of adjudication: a program may pay what its
authors agreed on. Always true: an output that passes can be booked (every figure is a whole number, what is paid is
not below zero, and totals are the sums of their parts), so a hostile program gives its claim to a person and nothing
worse.
"""

from collections.abc import Sequence
from typing import Annotated, Any, Final, Literal, TypeAlias

import msgspec

from contracts.machine.errors import ProgramFailed

MAX_BENEFITS: Final = 100
"""Benefits of one result; as many as a plan may have (contracts.product)."""
MAX_REASONS: Final = 100
"""Reasons of one benefit or review; the specification has 27."""
Fen: TypeAlias = Annotated[int, msgspec.Meta(ge=0, le=2**53 - 1)]
Figure: TypeAlias = Annotated[int, msgspec.Meta(ge=-(2**53 - 1), le=2**53 - 1)]
Reasons: TypeAlias = Annotated[list[str], msgspec.Meta(max_length=MAX_REASONS)]


class BenefitResult(msgspec.Struct, frozen=True):
    """What one benefit pays; further fields are a program's own."""

    code: str
    payable_fen: Fen
    by_period: dict[str, Fen]
    deductible_applied_fen: Fen
    reasons: Reasons
    days_paid: Fen = 0


class PolicyResult(msgspec.Struct, frozen=True):
    """What one policy pays."""

    policy_no: str
    benefits: Annotated[list[BenefitResult], msgspec.Meta(max_length=MAX_BENEFITS)]
    total_fen: Fen
    advance_fen: Fen
    net_fen: Fen
    recoverable_fen: Fen
    claimed_fen: Figure
    decision: Literal["approved", "partial", "declined", "zero_pay"]
    review: bool
    review_reasons: Reasons


class ProgramOutput(msgspec.Struct, frozen=True):
    """The whole output."""

    results: list[PolicyResult]


class TraceStep(msgspec.Struct, frozen=True):
    """One step of an explanation (contracts/programs/README.md). What a program puts into it is its own."""

    policy_no: str
    rule: str
    what: str
    at: dict[str, str]
    inputs: dict[str, Any]
    result: Any


def check_output(output: Any, policies: Sequence[str]) -> ProgramOutput:
    """The typed output for these policy numbers. Raises ProgramFailed `result_form`; names fields, never values."""
    try:
        typed = msgspec.convert(output, ProgramOutput)
    except msgspec.ValidationError as error:
        raise ProgramFailed("result_form", f"no result of the specification at {_place(error)}") from None
    if [result.policy_no for result in typed.results] != list(policies):
        raise ProgramFailed("result_form", "the results are not one for each policy, in their order")
    for index, result in enumerate(typed.results):
        _check_sums(result, f"$.results[{index}]")
    return typed


def check_trace(trace: Any) -> list[TraceStep]:
    """The typed steps of an explanation. Raises ProgramFailed `trace_form`; names fields, never values."""
    try:
        return msgspec.convert(trace, list[TraceStep])
    except msgspec.ValidationError as error:
        raise ProgramFailed("trace_form", f"no explanation at {_place(error)}") from None


def _place(error: msgspec.ValidationError) -> str:
    """The path alone: what stands before it can quote a value."""
    return str(error).rpartition(" - at ")[2] if " - at " in str(error) else "`$`"


def _check_sums(result: PolicyResult, at: str) -> None:
    codes = [benefit.code for benefit in result.benefits]
    if len(set(codes)) != len(codes):
        raise ProgramFailed("result_form", f"{at}: a benefit has two results")
    if any(benefit.payable_fen != sum(benefit.by_period.values()) for benefit in result.benefits):
        raise ProgramFailed("result_form", f"{at}: a benefit's payable_fen is not the sum of its years")
    if result.total_fen != sum(benefit.payable_fen for benefit in result.benefits):
        raise ProgramFailed("result_form", f"{at}: total_fen is not the sum of the benefits")
    difference = result.total_fen - result.advance_fen
    if (result.net_fen, result.recoverable_fen) != (max(0, difference), max(0, -difference)):
        raise ProgramFailed("result_form", f"{at}: net_fen and recoverable_fen are not what total and advance leave")
    if result.review != bool(result.review_reasons):
        raise ProgramFailed("result_form", f"{at}: review and its reasons say different things")
