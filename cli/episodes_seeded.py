"""The demonstration's own episodes: the founding case, one of each thing that can go wrong, then more of a kind.

Invented people, real rules: every figure is worked out by hand in a comment or follows from one line of
arithmetic. Must not know the network. Always true: the same number of episodes is the same episodes.
"""

import random
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from typing import Any, Final

from msgspec.structs import replace

from cli.episodes import Episode, EpisodePolicy, Expected, Skipped
from cli.episodes_documents import build_admission, build_charges, build_discharge, build_invoice
from contracts.product import read_product

SEED: Final = 20211203
PLAN_RATIO_BP: Final = 9_000
SURNAMES: Final = "王李张刘陈杨黄赵周吴徐孙马朱胡林郭何高罗"
ILLNESSES: Final = (
    ("N84.000", "子宫内膜息肉", "妇科"),
    ("K35.800", "急性阑尾炎", "普外科"),
    ("J18.900", "肺炎", "呼吸内科"),
    ("K80.200", "胆囊结石", "肝胆外科"),
    ("H25.900", "老年性白内障", "眼科"),
    ("S82.600", "外踝骨折", "骨科"),
    ("M51.202", "腰椎间盘突出", "骨科"),
    ("E11.900", "2型糖尿病", "内分泌科"),
)


class SeededEpisodes:
    """The source behind `claimnode demo` without --data."""

    def episodes(self) -> Iterator[Episode]:
        """The written ones, then generated ones without end."""
        yield from (build() for build in WRITTEN)
        number = len(WRITTEN)
        while True:
            number += 1
            yield _generated(number)

    def skipped(self) -> tuple[Skipped, ...]:
        return ()


def build_benefit(
    ratio_bp: int, *, deductible_fen: int = 0, waiting_days: int = 30, annual_limit_fen: int | None = None
) -> dict[str, Any]:
    """In-patient expenses within the catalogue, at this ratio for employees and half for dependants."""
    kind = "per_case" if deductible_fen else "none"
    return {
        "type": "inpatient_expense",
        "scope": "social_only",
        "ratios": [{"relation": "employee", "ratio_bp": ratio_bp}, {"relation": "dependant", "ratio_bp": 5_000}],
        "deductible": {"type": kind, "amount_fen": deductible_fen},
        "waiting_days": waiting_days,
        "per_visit_limit_fen": None,
        "annual_limit_fen": annual_limit_fen,
        "lifetime_limit_fen": None,
    }


def _product(plans: dict[str, dict[str, Any]] | None = None) -> dict[str, Any]:
    """Tables with every default filled in, as a release has them: the plain one is `products/demo-group`."""
    benefits = plans or {"STD": build_benefit(PLAN_RATIO_BP)}
    tables: dict[str, Any] = {
        "product_code": "DEMO-GROUP",
        "pre_existing": "exclude",
        "excluded_icd_prefixes": [],
        "review_threshold_fen": 500_000,
        "run_off_days": 0,
        "benefit_order": ["IP"],
        "plans": {
            plan: {"annual_limit_fen": None, "covered_hospital_levels": None, "benefits": {"IP": benefit}}
            for plan, benefit in benefits.items()
        },
    }
    return read_product(tables)


def build_policy(
    number: int,
    *,
    insurer: str = "insurer",
    relation: str = "employee",
    first_effective: str = "2020-04-01",
    plans: dict[str, dict[str, Any]] | None = None,
    plan_of_year: Callable[[int], str] = lambda _: "STD",
    lanes: dict[str, Any] | None = None,
) -> EpisodePolicy:
    """Calendar policy years from 2020 to 2025; the first starts with the cover. `lanes`: see contracts/cases/lanes."""
    periods = [
        {
            "id": str(year),
            "start": max(first_effective, f"{year}-01-01"),
            "end": f"{year}-12-31",
            "plan": plan_of_year(year),
        }
        for year in range(int(first_effective[:4]), 2026)
    ]
    terms = {
        "policy_no": f"GP-{number:06d}",
        "insurer": insurer,
        "relation": relation,
        "first_effective": first_effective,
        "periods": periods,
        "history": [],
        "excluded_icd_prefixes": [],
        **({"lanes": lanes} if lanes else {}),
    }
    return EpisodePolicy(insurer=insurer, terms=terms, product=_product(plans))


def build_episode(
    number: int,
    label: str,
    patient: str,
    *,
    admitted: str,
    discharged: str,
    illness: tuple[str, str, str] = ILLNESSES[0],
    total_fen: int,
    pooled_fen: int,
    self_funded_fen: int = 0,
    policy: EpisodePolicy | None = None,
    expected: Expected,
    **more: Any,
) -> Episode:
    """One stay with one invoice, under `policy` or else a plain one. `more`: other fields of an Episode."""
    person = {"name": patient, "id_number": f"33010119{60 + number % 40}{1 + number % 12:02d}15{number:04d}"}
    invoice = build_invoice(
        number=number,
        patient=person,
        admission_date=admitted,
        discharge_date=discharged,
        total_fen=total_fen,
        pooled_fund_fen=pooled_fen,
        self_funded_fen=self_funded_fen,
    )
    invoices = more.pop("invoices", (invoice,))
    return Episode(
        id=f"E{number:03d}",
        label=label,
        patient=person,
        policies=more.pop("policies", None) or (policy or build_policy(number),),
        admission=build_admission(person, number, admitted, illness),
        discharge=build_discharge(person, number, admitted, discharged, illness, invoices),
        invoices=invoices,
        charges=(build_charges(person, number, invoices),),
        expected=expected,
        **more,
    )


def _founding() -> Episode:
    """Base 4,862.50 - 2,311.80 - 324.00 = 2,226.70; 90 % = 2,004.03."""
    return build_episode(
        1,
        "endometrial polyp, straight through",
        "王女士",
        admitted="2021-12-03",
        discharged="2021-12-06",
        total_fen=486_250,
        pooled_fen=231_180,
        self_funded_fen=32_400,
        expected=Expected("paid", "approved", 200_403),
    )


def _invalid_invoice() -> Episode:
    """One yuan more in cash than the total holds: identities 1 and 2 both fail (V08, V09)."""
    episode = build_episode(
        2,
        "invoice does not add up",
        "李建国",
        admitted="2022-03-14",
        discharged="2022-03-18",
        illness=ILLNESSES[1],
        total_fen=1_215_000,
        pooled_fen=860_000,
        expected=Expected("refused", None, None, "EVIDENCE_INVALID"),
    )
    invoice = episode.invoices[0]
    broken = {**invoice, "cash_fen": invoice["cash_fen"] + 100}
    return _replace_invoices(episode, (broken,))


def _duplicate() -> Episode:
    """The founding case's invoice once more, with a second insurer that knows nothing of the first."""
    first = _founding()
    episode = build_episode(
        3,
        "same invoice at a second insurer",
        "王女士",
        admitted="2021-12-03",
        discharged="2021-12-06",
        total_fen=486_250,
        pooled_fen=231_180,
        policy=build_policy(3, insurer="insurer-b"),
        expected=Expected("refused", None, None, "DUPLICATE_OF"),
        after=first.id,
    )
    return _replace_invoices(episode, first.invoices)


def _over_threshold() -> Episode:
    """Claimed 38,600.00 - 21,400.00 = 17,200.00, over the 5,000.00 that are paid unseen."""
    return build_episode(
        4,
        "over the review threshold",
        "张秀英",
        admitted="2022-06-02",
        discharged="2022-06-13",
        illness=ILLNESSES[5],
        total_fen=3_860_000,
        pooled_fen=2_140_000,
        expected=Expected("in_review"),
    )


def _no_consent() -> Episode:
    return build_episode(
        5,
        "no consent",
        "刘洋",
        admitted="2022-09-05",
        discharged="2022-09-08",
        illness=ILLNESSES[2],
        total_fen=642_000,
        pooled_fen=420_000,
        expected=Expected("refused", None, None, "CONSENT_MISSING"),
        consent="missing",
    )


def _revoked() -> Episode:
    return build_episode(
        6,
        "consent revoked before discharge",
        "陈静",
        admitted="2022-11-01",
        discharged="2022-11-05",
        illness=ILLNESSES[3],
        total_fen=980_000,
        pooled_fen=640_000,
        expected=Expected("refused", None, None, "CONSENT_REVOKED"),
        consent="revoked_before_discharge",
    )


def _cross_year() -> Episode:
    """8 nights, 4 in each policy year. Base 6,400.00 - 4,800.00 = 1,600.00: half at 80 %, half at 90 % = 1,360.00."""
    plans = {"STD": build_benefit(8_000), "PLUS": build_benefit(9_000)}
    return build_episode(
        7,
        "stay across two policy years",
        "杨勇",
        admitted="2022-12-28",
        discharged="2023-01-05",
        illness=ILLNESSES[2],
        total_fen=640_000,
        pooled_fen=480_000,
        policy=build_policy(7, plans=plans, plan_of_year=lambda year: "STD" if year < 2023 else "PLUS"),
        expected=Expected("paid", "approved", 136_000),
    )


def _waiting_period() -> Episode:
    """Covered from 2023-06-01; with 30 days of waiting, 2023-07-01 would be the first covered day."""
    return build_episode(
        8,
        "diagnosis within the waiting period",
        "黄丽",
        admitted="2023-06-15",
        discharged="2023-06-19",
        illness=ILLNESSES[3],
        total_fen=890_000,
        pooled_fen=560_000,
        policy=build_policy(8, first_effective="2023-06-01"),
        expected=Expected("declined", "declined", 0),
    )


def _below_deductible() -> Episode:
    """Base 5,100.00 - 4,300.00 = 800.00, all of it within the deductible of 1,000.00."""
    return build_episode(
        9,
        "everything within the deductible",
        "赵敏",
        admitted="2023-10-09",
        discharged="2023-10-12",
        illness=ILLNESSES[4],
        total_fen=510_000,
        pooled_fen=430_000,
        policy=build_policy(9, plans={"STD": build_benefit(9_000, deductible_fen=100_000)}),
        expected=Expected("zero", "zero_pay", 0),
    )


def _dependant() -> Episode:
    """Base 3,333.35 - 1,200.00 - 133.34 = 2,000.01; 50 % = 1,000.005, half up to 1,000.01."""
    return build_episode(
        10,
        "dependant, half a fen rounded up",
        "周子涵",
        admitted="2024-02-19",
        discharged="2024-02-23",
        illness=ILLNESSES[2],
        total_fen=333_335,
        pooled_fen=120_000,
        self_funded_fen=13_334,
        policy=build_policy(10, relation="dependant"),
        expected=Expected("paid", "approved", 100_001),
    )


WRITTEN: Final = (
    _founding,
    _invalid_invoice,
    _duplicate,
    _over_threshold,
    _no_consent,
    _revoked,
    _cross_year,
    _waiting_period,
    _below_deductible,
    _dependant,
)


def _generated(number: int) -> Episode:
    """An ordinary stay: 90 % of (total - pooled fund - self-funded), rounded half up, claimed below the threshold."""
    draw = random.Random(SEED + number)  # noqa: S311 - invented people, no secret
    admitted = date(2021, 1, 4) + timedelta(days=draw.randrange(1_400))
    discharged = admitted + timedelta(days=draw.randrange(2, 12))
    total = draw.randrange(300_000, 1_500_000)
    pooled = total - draw.randrange(100_000, min(total, 490_000))
    self_funded = draw.randrange(0, (total - pooled) // 4)
    payable = ((total - pooled - self_funded) * PLAN_RATIO_BP + 5_000) // 10_000
    illness = draw.choice(ILLNESSES)
    return build_episode(
        number,
        f"ordinary stay, {illness[0]}",
        draw.choice(SURNAMES) + draw.choice(("伟", "芳", "娜", "强", "磊", "军", "艳", "杰")),
        admitted=admitted.isoformat(),
        discharged=discharged.isoformat(),
        illness=illness,
        total_fen=total,
        pooled_fen=pooled,
        self_funded_fen=self_funded,
        expected=Expected("paid", "approved", payable),
    )


def _replace_invoices(episode: Episode, invoices: tuple[dict[str, Any], ...]) -> Episode:
    discharge = {**episode.discharge, "invoice_numbers": [invoice["number"] for invoice in invoices]}
    return replace(episode, invoices=invoices, discharge=discharge)
