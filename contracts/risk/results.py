"""What a rule answers, and what its answers mean together: the grade and the action.

Knows severities and the table of actions. Must not know a rule. Always true: evidence is sorted and names records of
the input only; a result without a hit has severity LOW and names at most the one cell that it compared; no result
declines a claim.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final, Literal, TypeAlias

from msgspec import Struct, to_builtins

from contracts.risk.parameters import Parameters
from ledger.encoding import MAX_INT

Rule: TypeAlias = Literal[
    "RK01", "RK02", "RK03", "RK04", "RK05", "RK06", "RK07", "RK08", "RK09", "RK10", "RK11", "RK12"
]
Severity: TypeAlias = Literal["LOW", "MED", "HIGH"]
Grade: TypeAlias = Literal["LOW", "MEDIUM", "HIGH"]
Figures: TypeAlias = Mapping[str, int]
"""Named integers: days, counts, fen; a share or a mean as numerator and denominator, never divided."""


class Result(Struct, frozen=True, forbid_unknown_fields=True):
    """One rule's word. A rule that found things of different severity gives one result for each."""

    rule: Rule
    hit: bool
    severity: Severity
    insufficient: bool
    evidence: tuple[str, ...]
    value: Figures
    threshold: Figures


class Action(Struct, frozen=True, forbid_unknown_fields=True):
    """What a grade asks of the claim's handling. `first_in_queue`: before claims that wait for a person."""

    lane: Literal["STRAIGHT_THROUGH", "REVIEW", "REVIEW_AND_INVESTIGATION"]
    reviewers: int
    investigation: bool
    first_in_queue: bool
    flash_and_advance: bool


ACTIONS: Final[Mapping[Grade, Action]] = {
    "LOW": Action("STRAIGHT_THROUGH", 0, False, True, True),
    "MEDIUM": Action("REVIEW", 1, False, False, True),
    "HIGH": Action("REVIEW_AND_INVESTIGATION", 1, True, False, False),
}
REASON_CLASSES: Final[Mapping[Rule, str]] = {
    "RK01": "INVOICE",
    "RK02": "STAY",
    "RK03": "STAY",
    "RK04": "HOSPITAL",
    "RK05": "FREQUENCY",
    "RK06": "COVER",
    "RK07": "DISCLOSURE",
    "RK08": "FREQUENCY",
    "RK09": "STAY",
    "RK10": "STAY",
    "RK11": "HOSPITAL",
    "RK12": "COVER",
}
"""What the insured is told in an appeal: the class, neither the rule's figures nor its thresholds."""


class Assessment(Struct, frozen=True, forbid_unknown_fields=True):
    """Everything that was found about a claim or an institution, with the parameters that were used."""

    subject: str
    grade: Grade
    action: Action
    reason_classes: tuple[str, ...]
    results: tuple[Result, ...]
    parameters: Parameters


def found(rule: Rule, severity: Severity, evidence: Iterable[str], value: Figures, threshold: Figures) -> Result:
    """A hit, with the ids of the records that show it."""
    return Result(rule, True, severity, False, tuple(sorted(set(evidence))), value, threshold)


def nothing(rule: Rule, value: Figures, threshold: Figures, compared: tuple[str, ...] = ()) -> Result:
    """The rule was applied, or does not apply, and there is nothing to say."""
    return Result(rule, False, "LOW", False, compared, value, threshold)


def insufficient(rule: Rule, value: Figures, threshold: Figures, compared: tuple[str, ...] = ()) -> Result:
    """Too few cases to compare with, or a record that the rule needs is not there: no word either way."""
    return Result(rule, False, "LOW", True, compared, value, threshold)


def grade_of(results: Iterable[Result], high_from_mediums: int) -> Grade:
    """HIGH with any HIGH or as many rules with MED as the parameters say; MEDIUM with one; else LOW."""
    hits = [result for result in results if result.hit]
    mediums = {result.rule for result in hits if result.severity == "MED"}
    if any(result.severity == "HIGH" for result in hits) or len(mediums) >= high_from_mediums:
        return "HIGH"
    return "MEDIUM" if mediums else "LOW"


def _place_of(result: Result) -> tuple[object, ...]:
    return result.rule, result.severity, result.evidence, sorted(result.value.items())


def build_assessment(subject: str, results: Iterable[Result], parameters: Parameters) -> Assessment:
    """Results in the order of rules, severities and evidence, with their grade and its action."""
    ordered = tuple(sorted(results, key=_place_of))
    grade = grade_of(ordered, parameters.high_from_mediums)
    classes = tuple(sorted({REASON_CLASSES[item.rule] for item in ordered if item.hit}))
    return Assessment(subject, grade, ACTIONS[grade], classes, ordered, parameters)


def as_document(assessment: Assessment) -> dict[str, Any]:
    """The assessment as a JSON value; an integer that JSON readers would round is written as text."""
    document: dict[str, Any] = to_builtins(assessment)
    for result in document["results"]:
        for name in ("value", "threshold"):
            result[name] = {key: item if item <= MAX_INT else str(item) for key, item in result[name].items()}
    return document
