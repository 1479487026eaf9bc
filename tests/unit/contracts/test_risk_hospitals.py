"""RK04 and RK11 on both sides of their thresholds, grade and action, the worked case, parameters, requests."""

import copy
import json
from typing import Any

import msgspec
import pytest

from contracts.calendar import day_number
from contracts.errors import InputError
from contracts.risk.assessment import assess_claim, assess_hospital
from contracts.risk.parameters import (
    DEFAULTS,
    ParametersError,
    check_parameters,
    decode_parameters,
    encode_parameters,
    parse_parameters,
)
from contracts.risk.reading import read_request
from contracts.risk.records import ClaimRecords, HospitalCells
from contracts.risk.results import ACTIONS, Result, Severity, as_document, found, grade_of, nothing
from tests.fuzz.mutations import write_toml
from tests.support.risk_records import (
    bill,
    cell,
    claim,
    claim_document,
    diagnosis,
    hospital_document,
    minute,
    pair,
    policy,
    records,
)

PEERS = tuple(
    pair(name, heavy, 100) for name, heavy in zip("abcdefgijk", (20, 20, 20, 20, 20, 20, 20, 20, 30, 60), strict=True)
)


def words(rule: str, cells: HospitalCells) -> list[tuple[bool, bool]]:
    """(hit, insufficient) of each of the rule's results."""
    results = assess_hospital(cells, DEFAULTS).results
    return [(item.hit, item.insufficient) for item in results if item.rule == rule]


@pytest.mark.parametrize(
    ("own", "peers", "expected"),
    [
        (pair("h", 30, 100), PEERS, (True, False)),  # the ninth of ten peers, and 1.5 times 20 of 100
        (pair("h", 299, 1000), PEERS, (False, False)),
        (pair("h", 6, 20), PEERS, (True, False)),
        (pair("h", 6, 19), PEERS, (False, True)),
        (pair("h", 30, 100), PEERS[:3], (True, False)),
        (pair("h", 30, 100), PEERS[:2], (False, True)),
        (pair("h", 30, 100), (*PEERS[:2], pair("x", 3, 19)), (False, True)),
        (pair("h", 30, 100), (*PEERS[:2], pair("x", 4, 20)), (True, False)),
        (pair("h", 30, 100), tuple(pair(name, 21, 100) for name in "abc"), (False, False)),  # p90, but not 1.5 medians
        (pair("h", 29, 100), (*PEERS[:3], *PEERS[8:]), (False, False)),
        (pair("h", 0, 100), tuple(pair(name, 0, 100) for name in "abc"), (False, False)),
        (pair("h", 30, 100), tuple(pair(name, 1, 100, pair="JB") for name in "abc"), (False, True)),
        (pair("h", 30, 100), tuple(pair(name, 1, 100, months=6) for name in "abc"), (False, True)),
        (pair("h", 30, 100, months=6), PEERS, (False, True)),
    ],
)  # fmt: skip
def test_rk04_upcoding(own: Any, peers: tuple[Any, ...], expected: tuple[bool, bool]) -> None:
    assert words("RK04", HospitalCells("h", pairs=(own, *peers))) == [expected]


COSTS = (80, 90, 100, 110, 120)
"""Median 100, MAD 10."""


def _peer_costs(*means: int) -> tuple[Any, ...]:
    return tuple(cell(f"q{index}", cost_fen=20 * mean, self_funded_fen=mean) for index, mean in enumerate(means))


def _cost_hit(own: Any, peers: tuple[Any, ...]) -> tuple[bool, bool]:
    results = assess_hospital(HospitalCells("h", cells=(own, *peers)), DEFAULTS).results
    (result,) = [item for item in results if "cost_per_stay_numerator" in item.value]
    return result.hit, result.insufficient


@pytest.mark.parametrize(
    ("changes", "peers", "expected"),
    [
        ({"cost_fen": 20 * 130}, COSTS, (False, False)),
        ({"cost_fen": 20 * 130 + 1}, COSTS, (True, False)),
        ({"cost_fen": 20 * 70}, COSTS, (False, False)),
        ({"cost_fen": 20 * 70 - 1}, COSTS, (True, False)),
        ({"cost_fen": 19 * 500, "stays": 19}, COSTS, (False, True)),
        ({"cost_fen": 20 * 500}, COSTS[:2], (False, True)),
        ({"cost_fen": 20 * 500, "level": "2"}, COSTS, (False, True)),
        ({"cost_fen": 20 * 101}, (100, 100, 100), (True, False)),  # peers without any spread
        ({"cost_fen": 20 * 100}, (100, 100, 100), (False, False)),
        ({"cost_fen": 20 * 100 + 10}, (100, 101, 100, 101), (False, False)),  # the mean of the two middle ones
    ],
)
def test_rk11_outlier(changes: dict[str, Any], peers: tuple[int, ...], expected: tuple[bool, bool]) -> None:
    assert _cost_hit(cell("h", **{"self_funded_fen": 100, **changes}), _peer_costs(*peers)) == expected


def test_rk11_leaves_out_small_peers_other_windows_and_empty_costs() -> None:
    own = cell("h", cost_fen=20 * 500)
    assert _cost_hit(own, (*_peer_costs(100, 100), cell("x", stays=19, cost_fen=1900))) == (False, True)
    assert _cost_hit(own, (*_peer_costs(100, 100), cell("x", readmission_days=30))) == (False, True)
    free = HospitalCells("h", cells=(cell("h", cost_fen=0, self_funded_fen=0), *_peer_costs(1, 1, 1)))
    assert sorted(words("RK11", free)) == [(False, False), (False, True), (True, False)]


def test_hospital_rules_without_cells_have_no_word() -> None:
    given = assess_hospital(HospitalCells("h"), DEFAULTS)
    assert [(item.rule, item.hit, item.insufficient) for item in given.results] == [
        ("RK04", False, True),
        ("RK11", False, True),
    ]
    assert given.grade == "LOW"


def test_no_evidence_names_a_peer() -> None:
    given = assess_hospital(
        HospitalCells("h", (pair("h", 90, 100), *PEERS), (cell("h"), *_peer_costs(1, 2, 3))), DEFAULTS
    )
    assert {name for item in given.results for name in item.evidence} == {"pair-h", "cell-h"}


def _hits(*severities: Severity) -> list[Result]:
    rules = ("RK01", "RK02", "RK03", "RK05")
    return [found(rule, severity, [], {}, {}) for rule, severity in zip(rules, severities, strict=False)]


@pytest.mark.parametrize(
    ("results", "grade"),
    [
        ([], "LOW"),
        (_hits("LOW", "LOW", "LOW"), "LOW"),
        (_hits("MED"), "MEDIUM"),
        (_hits("MED", "MED", "LOW"), "MEDIUM"),
        (_hits("MED", "MED", "MED"), "HIGH"),
        (_hits("LOW", "HIGH"), "HIGH"),
        ([*_hits("MED"), *_hits("MED"), *_hits("MED")], "MEDIUM"),  # one rule, three times
        ([nothing("RK01", {}, {}), *_hits("MED")], "MEDIUM"),
    ],
)
def test_grade(results: list[Result], grade: str) -> None:
    assert grade_of(results, DEFAULTS.high_from_mediums) == grade


def test_actions() -> None:
    low, medium, high = (ACTIONS[grade] for grade in ("LOW", "MEDIUM", "HIGH"))  # type: ignore[index]
    assert (low.lane, low.first_in_queue, low.reviewers) == ("STRAIGHT_THROUGH", True, 0)
    assert (medium.lane, medium.reviewers, medium.investigation) == ("REVIEW", 1, False)
    assert (high.investigation, high.flash_and_advance, medium.flash_and_advance) == (True, False, True)


def test_the_worked_case_of_guangxi() -> None:
    """Breast cancer in February 2022; policies of June and July 2021; an old delivery record; "4 years" of pain."""
    event, onset = day_number("2022-02-14"), day_number("2021-08-05")
    june, july = day_number("2021-06-11"), day_number("2021-07-19")
    given = ClaimRecords(
        claim="c1",
        claims=(claim(icd="C50.900", event_day=event, onset_day=onset, policies=("june", "july")),),
        policies=tuple(
            policy(name, first_effective_day=day, applied_minute=minute(day - 2), waiting_days=30)
            for name, day in (("june", june), ("july", july))
        ),
        diagnoses=(
            diagnosis("delivery", day_number("2017-09-10"), "A53.900"),
            diagnosis("four-years", day_number("2018-03-01"), "N64.400"),
            diagnosis("visit", onset, "N63.x00"),
        ),
    )
    assessment = assess_claim(given, DEFAULTS)
    hits = {(item.rule, item.severity): item.evidence for item in assessment.results if item.hit}
    assert hits == {
        ("RK07", "MED"): ("four-years", "july", "june"),
        ("RK07", "LOW"): ("delivery", "july", "june"),
    }
    assert onset < july + 30  # rule 8 of adjudication declines the July policies: WAITING_PERIOD
    assert (onset - june, onset - july) == (55, 17)
    assert (assessment.grade, assessment.action.lane) == ("MEDIUM", "REVIEW")


def test_parameters_in_both_forms() -> None:
    assert decode_parameters(encode_parameters(DEFAULTS)) == DEFAULTS
    assert parse_parameters(write_toml(json.loads(encode_parameters(DEFAULTS)))) == DEFAULTS


def test_every_figure_has_unit_reason_and_bounds() -> None:
    for field in msgspec.structs.fields(type(DEFAULTS)):
        meta = field.type.__metadata__[0]
        assert meta.description and meta.extra["unit"], field.name  # noqa: PT018 - one figure
        assert meta.pattern or meta.max_length or (meta.ge is not None and meta.le is not None), field.name


def test_all_faults_of_parameters_at_once() -> None:
    value = json.loads(encode_parameters(DEFAULTS))
    del value["split_days"]
    value |= {"min_cases": 1, "frequency_days": 90.0, "frequency_stays": True, "version": "Risk 1", "extra": 5}
    value |= {"waiting_high_days": 16, "related": [{"first": ["N64-N60"], "second": ["C50-D05"]}]}
    with pytest.raises(ParametersError) as raised:
        check_parameters(value)
    names = sorted(fault.split(":")[0] for fault in raised.value.faults)
    faulty = ["split_days", "min_cases", "frequency_days", "frequency_stays", "version", "extra"]
    assert names == sorted([*faulty, "waiting_high_days", "related", "related"])


def test_requests_become_records() -> None:
    given = read_request(claim_document())
    assert isinstance(given, ClaimRecords)
    assert given.stays[0].admission_day == given.claims[0].event_day == day_number("2022-02-14")
    assert given.invoices[0].reverses == ("45060122", "0000000001")
    cells = read_request(hospital_document())
    assert isinstance(cells, HospitalCells)
    assert cells.pairs[0].heavy == 5


@pytest.mark.parametrize(
    ("place", "value", "code", "path"),
    [
        (("claims", 0, "onsett"), "2022-02-01", "unknown_value", "/claims/0/onsett"),
        (("claims", 0, "event"), "2022-02-30", "date", "/claims/0/event"),
        (("claims", 0, "claimed_fen"), 1.0, "type", "/claims/0/claimed_fen"),
        (("claims", 0, "icd"), "?", "unknown_value", "/claims/0/icd"),
        (("policies", 0, "applied_at"), "2021-01-01", "date", "/policies/0/applied_at"),
        (("policies", 0, "applied_at"), "2021-01-01T24:00", "date", "/policies/0/applied_at"),
        (("stays", 0, "discharged_at"), "2022-02-14T09:29", "range", "/stays/0/discharged_at"),
        (("charges", 0, "category"), "food", "unknown_value", "/charges/0/category"),
        (("invoices", 0, "reverses"), {"number": ""}, "unknown_value", "/invoices/0/reverses/number"),
    ],
)
def test_a_faulty_request_is_refused_at_its_place(place: tuple[Any, ...], value: Any, code: str, path: str) -> None:
    request: Any = copy.deepcopy(claim_document())
    target = request
    for step in place[:-1]:
        target = target[step]
    target[place[-1]] = value
    with pytest.raises(InputError) as raised:
        read_request(request)
    assert (raised.value.code, raised.value.path) == (code, path)


def test_ids_are_unique_and_the_claim_is_there() -> None:
    for given in (records(claim="c9"), records(invoices=(bill("pol"),))):
        with pytest.raises(InputError):
            assess_claim(given, DEFAULTS)
    twice = msgspec.structs.replace(pair("h", 1, 20), id="another")
    for other in (pair("h", 1, 20, pair="JB"), twice):
        with pytest.raises(InputError):
            assess_hospital(HospitalCells("h", (pair("h", 1, 20), other)), DEFAULTS)


def test_large_figures_are_written_as_text() -> None:
    peers = tuple(cell(f"q{index}", stays=99_999_900 + index, cost_fen=2**53 - 1 - index) for index in range(4))
    document = as_document(assess_hospital(HospitalCells("h", cells=(cell("h"), *peers)), DEFAULTS))
    figures = [item for result in document["results"] for item in result["threshold"].values()]
    assert any(isinstance(item, str) for item in figures)
    assert all(isinstance(item, str) or item < 2**53 for item in figures)
    msgspec.json.encode(document)
