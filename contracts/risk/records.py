"""What the risk rules look at: closed, frozen records with integers of fen, day numbers and pseudonyms.

Knows fields and units. Must not know a rule or where a record comes from. Always true: `id` is the record's id on the
ledger or in the vault and the only thing of it that an answer repeats; `person` and `institution` are pseudonyms.

Days are those of contracts.calendar.day_number, minutes are day * 1440 + minute of the day in the region's zone.
`ClaimRecords` is what an insurer may see of one claim. `HospitalCells` compares hospitals by their patients: counts of
aggregated cells, never a person's record, and only a commission has them. No rule takes both.
"""

from typing import Final, Literal, TypeAlias

from msgspec import Struct

DAY_MINUTES: Final = 1440

InvoiceType: TypeAlias = Literal["outpatient", "inpatient", "vat"]
Disposition: TypeAlias = Literal["recovered", "improved", "unchanged", "death", "transfer", "other"]
"""How a stay ended (出院情况): 治愈 好转 未愈 死亡 转院 其他."""
Category: TypeAlias = Literal[
    "bed",
    "consultation",
    "examination",
    "laboratory",
    "treatment",
    "surgery",
    "nursing",
    "material",
    "western_medicine",
    "herbal_medicine",
    "patent_medicine",
    "general",
    "other",
]
"""Fee categories of the national filling list:
床位 诊察 检查 化验 治疗 手术 护理 卫生材料 西药 中药饮片 中成药 一般诊疗 其他."""
Key: TypeAlias = tuple[str, str]
"""(code, number) of an invoice; a blank code is ""."""


class Stay(Struct, frozen=True, forbid_unknown_fields=True):
    """A stay that has ended. `half_days` as the hospital counted them; `drg` is "" where none was assigned."""

    id: str
    person: str
    institution: str
    inpatient_no: str
    admitted_minute: int
    discharged_minute: int
    half_days: int
    level: str
    drg: str
    disposition: Disposition

    @property
    def admission_day(self) -> int:
        return self.admitted_minute // DAY_MINUTES

    @property
    def discharge_day(self) -> int:
        return self.discharged_minute // DAY_MINUTES


class InvoiceFact(Struct, frozen=True, forbid_unknown_fields=True):
    """An invoice as it was put in under one policy. `service_day`: visit, discharge or purchase."""

    id: str
    policy: str
    person: str
    institution: str
    type: InvoiceType
    kind: Literal["blue", "red"]
    code: str
    number: str
    service_day: int
    total_fen: int
    reverses: Key | None

    @property
    def key(self) -> Key:
        return (self.code, self.number)


class DailyCharge(Struct, frozen=True, forbid_unknown_fields=True):
    """One line of a stay's daily list (费用清单). A refund is negative."""

    id: str
    stay: str
    day: int
    category: Category
    amount_fen: int


class DiagnosisFact(Struct, frozen=True, forbid_unknown_fields=True):
    """A diagnosis in a history or of a visit."""

    id: str
    person: str
    day: int
    icd: str


class PolicyFact(Struct, frozen=True, forbid_unknown_fields=True):
    """One person's cover. `disclosed`: 3-character categories of the health declaration.

    `review_threshold_fen` is the product's; None takes that of the parameters.
    """

    id: str
    person: str
    applied_minute: int
    first_effective_day: int
    waiting_days: int
    benefit: Literal["indemnity", "allowance"]
    disclosed: tuple[str, ...]
    review_threshold_fen: int | None


class ClaimFact(Struct, frozen=True, forbid_unknown_fields=True):
    """One case of a person: what several insurers decide on one case is one fact. `icd`: the principal diagnosis."""

    id: str
    person: str
    policies: tuple[str, ...]
    institution: str
    cause: Literal["illness", "accident"]
    event_day: int
    onset_day: int | None
    icd: str
    claimed_fen: int
    stay: str | None


class DeathFact(Struct, frozen=True, forbid_unknown_fields=True):
    """A death in the register (死亡登记)."""

    id: str
    person: str
    day: int


class DrgNorm(Struct, frozen=True, forbid_unknown_fields=True):
    """Usual length of stay of one DRG at one level of hospital, from `cases` stays: a published, versioned table."""

    id: str
    version: str
    drg: str
    level: str
    cases: int
    median_half_days: int
    p95_half_days: int


class ClaimRecords(Struct, frozen=True, forbid_unknown_fields=True):
    """One claim and what is known around it. Records of other people may be among them and change nothing."""

    claim: str
    claims: tuple[ClaimFact, ...]
    policies: tuple[PolicyFact, ...] = ()
    stays: tuple[Stay, ...] = ()
    invoices: tuple[InvoiceFact, ...] = ()
    charges: tuple[DailyCharge, ...] = ()
    diagnoses: tuple[DiagnosisFact, ...] = ()
    deaths: tuple[DeathFact, ...] = ()
    norms: tuple[DrgNorm, ...] = ()


class DrgPairCell(Struct, frozen=True, forbid_unknown_fields=True):
    """One hospital's stays of a DRG pair in `months`: `heavy` of `stays` in the group with complication. Commission."""

    id: str
    institution: str
    pair: str
    months: int
    stays: int
    heavy: int


class HospitalCell(Struct, frozen=True, forbid_unknown_fields=True):
    """One hospital's stays of a DRG: sums and counts. `readmissions` within `readmission_days`. Commission."""

    id: str
    institution: str
    drg: str
    level: str
    stays: int
    cost_fen: int
    self_funded_fen: int
    readmissions: int
    readmission_days: int


class HospitalCells(Struct, frozen=True, forbid_unknown_fields=True):
    """One institution under comparison, its cells and its peers'. Only a commission may hold these."""

    institution: str
    pairs: tuple[DrgPairCell, ...] = ()
    cells: tuple[HospitalCell, ...] = ()
