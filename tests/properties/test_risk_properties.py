"""Risk rules over drawn records: order and strangers change nothing, evidence is of the input, integers only; and a
plain second reading of RK04, RK10 and RK11, written with fractions."""

from fractions import Fraction
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.risk.assessment import assess_claim, assess_hospital
from contracts.risk.parameters import DEFAULTS
from contracts.risk.records import ClaimRecords, DeathFact, HospitalCells
from tests.support.risk_records import (
    DAY,
    bill,
    cell,
    charge,
    claim,
    diagnosis,
    minute,
    norm,
    pair,
    policy,
    stay,
)

DAYS = st.integers(DAY - 100, DAY + 40)
PERSONS = st.sampled_from("ppppq")
HOUSES = st.sampled_from(["h1", "h2", "h3", "h4"])
CODES = st.sampled_from(["C50.9", "N61", "D05.1", "A53", "I10"])
CATEGORIES = st.sampled_from(["bed", "nursing", "treatment"])
LISTS = ("claims", "policies", "stays", "invoices", "charges", "diagnoses", "deaths", "norms")


@st.composite
def claim_records(draw: Any) -> ClaimRecords:
    def some(build: Any, most: int = 6) -> tuple[Any, ...]:
        return tuple(build(number) for number in range(draw(st.integers(0, most))))

    def a_stay(number: int) -> Any:
        first = draw(DAYS)
        return stay(
            f"s{number}",
            first,
            first + draw(st.integers(0, 9)),
            person=draw(PERSONS),
            institution=draw(HOUSES),
            half_days=draw(st.integers(0, 40)),
            disposition=draw(st.sampled_from(["recovered", "death", "transfer"])),
        )

    def an_invoice(number: int) -> Any:
        kind = draw(st.sampled_from(["blue", "blue", "red"]))
        total = draw(st.sampled_from([100, 200]))
        return bill(
            f"i{number}",
            number=draw(st.sampled_from("1234")),
            kind=kind,
            total_fen=total if kind == "blue" else -total,
            reverses=None if kind == "blue" else ("45060122", draw(st.sampled_from("1234"))),
            service_day=draw(DAYS),
            person=draw(PERSONS),
            institution=draw(HOUSES),
            type=draw(st.sampled_from(["outpatient", "vat"])),
        )

    amounts = st.sampled_from([1, 200_000, 400_000, 500_000, 500_001])
    own = claim(stay=draw(st.sampled_from([None, "s0", "s1"])), claimed_fen=draw(amounts), event_day=draw(DAYS))
    others = some(lambda n: claim(f"o{n}", person=draw(PERSONS), claimed_fen=draw(amounts), event_day=draw(DAYS)), 3)
    first = draw(DAYS)
    covers = (
        policy(
            first_effective_day=first,
            applied_minute=minute(first - draw(st.integers(0, 9)), draw(st.integers(0, 23))),
            benefit=draw(st.sampled_from(["indemnity", "allowance"])),
        ),
    )
    return ClaimRecords(
        claim="c1",
        claims=(own, *others),
        policies=covers,
        stays=some(a_stay),
        invoices=some(an_invoice),
        charges=some(lambda n: charge(f"d{n}", draw(DAYS), draw(CATEGORIES), draw(st.integers(-1, 3)), "s0")),
        diagnoses=some(lambda n: diagnosis(f"x{n}", draw(DAYS), draw(CODES), draw(PERSONS))),
        deaths=some(lambda n: DeathFact(f"t{n}", draw(PERSONS), draw(DAYS)), 1),
        norms=some(lambda n: norm(id=f"n{n}", cases=draw(st.sampled_from([19, 20]))), 1),
    )


def _integers_only(value: Any) -> bool:
    if isinstance(value, dict):
        return all(map(_integers_only, value.values()))
    if isinstance(value, list | tuple):
        return all(map(_integers_only, value))
    return isinstance(value, int | str)


@settings(max_examples=150, deadline=None)
@given(claim_records(), st.randoms(use_true_random=False))
def test_order_of_records_means_nothing(records: ClaimRecords, chance: Any) -> None:
    shuffled = {name: tuple(chance.sample(list(items := getattr(records, name)), len(items))) for name in LISTS}
    before, after = (assess_claim(item, DEFAULTS) for item in (records, msgspec.structs.replace(records, **shuffled)))
    assert msgspec.json.encode(before) == msgspec.json.encode(after)


@settings(max_examples=150, deadline=None)
@given(claim_records())
def test_records_of_a_stranger_change_nothing(records: ClaimRecords) -> None:
    stranger = {
        "claims": (claim("zc", person="z", policies=("zp",)),),
        "policies": (policy("zp", person="z"),),
        "stays": (stay("zs", person="z", inpatient_no="s0"),),
        "invoices": (bill("zi", person="z", policy="zp", number="1"),),
        "charges": (charge("zd", DAY, "nursing", of="zs"),),
        "diagnoses": (diagnosis("zx", DAY - 500, "C50", "z"),),
        "deaths": (DeathFact("zt", "z", DAY - 500),),
        "norms": (norm(id="zn", drg="ZZZ"),),
    }
    more = {name: (*getattr(records, name), *extra) for name, extra in stranger.items()}
    assert assess_claim(records, DEFAULTS) == assess_claim(msgspec.structs.replace(records, **more), DEFAULTS)


@settings(max_examples=150, deadline=None)
@given(claim_records())
def test_evidence_is_of_the_input_and_figures_are_integers(records: ClaimRecords) -> None:
    ids = {item.id for name in LISTS for item in getattr(records, name)}
    assessment = assess_claim(records, DEFAULTS)
    for result in assessment.results:
        assert set(result.evidence) <= ids
        assert list(result.evidence) == sorted(set(result.evidence))
        assert bool(result.evidence) == result.hit
        assert not (result.hit and result.insufficient)
    assert _integers_only(msgspec.to_builtins(assessment))


# --- the plain second reading


def plain_rk10(records: ClaimRecords) -> tuple[bool, str, bool]:
    own = records.claims[0]
    stays = [item for item in records.stays if item.id == own.stay and item.person == own.person]
    if not stays:
        return False, "LOW", False
    norms = [item for item in records.norms if item.drg == stays[0].drg and item.level == stays[0].level]
    if not norms or norms[0].cases < 20:
        return False, "LOW", True
    if stays[0].half_days > norms[0].p95_half_days:
        return True, "HIGH" if records.policies[0].benefit == "allowance" else "MED", False
    too_short = Fraction(stays[0].half_days) < Fraction(norms[0].median_half_days, 3)
    if too_short and stays[0].disposition != "death" and stays[0].disposition != "transfer":
        return True, "MED", False
    return False, "LOW", False


@settings(max_examples=200, deadline=None)
@given(claim_records())
def test_rk10_as_read_plainly(records: ClaimRecords) -> None:
    (result,) = [item for item in assess_claim(records, DEFAULTS).results if item.rule == "RK10"]
    assert (result.hit, result.severity, result.insufficient) == plain_rk10(records)


def plain_median(values: list[Fraction]) -> Fraction:
    values = sorted(values)
    half = len(values) // 2
    return values[half] if len(values) % 2 else (values[half - 1] + values[half]) / 2


def plain_rk04(own: tuple[int, int], peers: list[tuple[int, int]]) -> tuple[bool, bool]:
    shares = [Fraction(heavy, stays) for heavy, stays in peers if stays >= 20]
    if own[1] < 20 or len(shares) < 3:
        return False, True
    share = Fraction(*own)
    p90 = min(item for item in shares if 10 * sum(other <= item for other in shares) >= 9 * len(shares))
    return share > 0 and share >= p90 and share >= Fraction(3, 2) * plain_median(shares), False


COUNTS = st.integers(18, 60).flatmap(lambda stays: st.tuples(st.integers(0, stays), st.just(stays)))


@settings(max_examples=300, deadline=None)
@given(COUNTS, st.lists(COUNTS, max_size=15))
def test_rk04_as_read_plainly(own: tuple[int, int], peers: list[tuple[int, int]]) -> None:
    cells = [pair(f"q{number}", *item) for number, item in enumerate(peers)]
    given_cells = HospitalCells("h", pairs=(*cells, pair("h", *own)))
    (result,) = [item for item in assess_hospital(given_cells, DEFAULTS).results if item.rule == "RK04"]
    assert (result.hit, result.insufficient) == plain_rk04(own, peers)


def plain_rk11(own: Fraction, peers: list[Fraction]) -> bool:
    middle = plain_median(peers)
    mad = plain_median([abs(item - middle) for item in peers])
    return own < middle - 3 * mad or own > middle + 3 * mad


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(st.integers(20, 40), st.integers(1, 3_000), st.integers(0, 20)), min_size=4, max_size=12))
def test_rk11_as_read_plainly(rows: list[tuple[int, int, int]]) -> None:
    cells = tuple(
        cell(f"q{number}", stays=stays, cost_fen=cost, self_funded_fen=cost // 3, readmissions=again)
        for number, (stays, cost, again) in enumerate(rows)
    )
    results = assess_hospital(HospitalCells("q0", cells=cells), DEFAULTS).results
    hits = {next(iter(item.value)): item.hit for item in results if item.rule == "RK11"}
    means = [Fraction(cost, stays) for stays, cost, _ in rows]
    returns = [Fraction(again, stays) for stays, _, again in rows]
    funded = [Fraction(cost // 3, cost) for _, cost, _ in rows]
    assert hits == {
        "cost_per_stay_numerator": plain_rk11(means[0], means[1:]),
        "readmissions_per_stay_numerator": plain_rk11(returns[0], returns[1:]),
        "self_funded_of_cost_numerator": plain_rk11(funded[0], funded[1:]),
    }


@settings(max_examples=50, deadline=None)
@given(st.lists(COUNTS, min_size=4, max_size=9), st.randoms(use_true_random=False))
def test_order_of_cells_means_nothing(rows: list[tuple[int, int]], chance: Any) -> None:
    pairs = [pair(f"q{number}", *item) for number, item in enumerate(rows)]
    pairs.append(msgspec.structs.replace(pairs[0], id="b", pair="JB"))
    cells = [cell(f"q{number}", cost_fen=item[0]) for number, item in enumerate(rows)]
    one = HospitalCells("q0", tuple(pairs), tuple(cells))
    two = HospitalCells("q0", tuple(chance.sample(pairs, len(pairs))), tuple(chance.sample(cells, len(cells))))
    assert msgspec.json.encode(assess_hospital(one, DEFAULTS)) == msgspec.json.encode(assess_hospital(two, DEFAULTS))
