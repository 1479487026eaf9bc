"""What may be advanced or guaranteed during a stay: the rule, the reservation, and the opening both sides compute.

An `interim` record of the hospital holds the stay so far: `diagnoses`, `stay` (as if it ended on the record's day),
`charges` (amounts as on an invoice, cumulative), and as in a discharge `cause`, `first_onset`. The claim's program runs
on it like on a whole stay, and of what it would pay:

    advance     min(forecast, ratio x would be paid, limit) less earlier advances
    guarantee   min(ratio x expenses that would be paid, limit)
    both        at most what would be paid less all earlier ones

    hold        salt, hold_id, kind, claim_id, policy_id, record_id, would_pay_fen, forecast, amount_fen, currency,
                effect

Limits of the account bound the program's result, so they bound these. Ratios are rounded down: what is advanced can
only be taken back from the insured. Pure. Must always hold: an effect adds up to its amount and never exceeds, in any
place of the account and with all earlier ones, what the program would pay there.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

from msgspec import Struct

from contracts.case import Case, read_case
from contracts.cases.building import PolicyInput, build_policy, expense_total
from contracts.cases.documents import INVOICE_FIELDS, Document, Record
from contracts.cases.errors import CaseError
from contracts.cases.lanes import AdvanceLane, GuaranteeLane, Lanes
from contracts.cases.movements import Balance, Movement, Use, apply_movement
from contracts.cases.openings import Opening
from contracts.errors import InputError
from ledger.crypto import ed25519
from ledger.crypto.hashing import tagged_hash
from ledger.encoding import convert, encode
from ledger.errors import DecodeError, LedgerError
from ledger.types import Count, Hex32, Hex64

Kind: TypeAlias = Literal["advance", "guarantee"]
FULL_BP: Final = 10_000
CLAIM_FIELDS: Final = ("cause", "diagnoses", "first_onset")


class Forecast(Struct, frozen=True, forbid_unknown_fields=True):
    """Somebody's estimate of what this claim will be paid, signed outside the ledger by `key`."""

    claim_id: Hex32
    record_id: Hex32
    amount_fen: Count
    key: Hex32
    signature: Hex64

    @property
    def message(self) -> bytes:
        """What is signed."""
        said = {"claim_id": self.claim_id, "record_id": self.record_id, "amount_fen": self.amount_fen}
        return tagged_hash("forecast", encode(said))


@dataclass(frozen=True, slots=True)
class Interim:
    """What an interim record is used for: one more hold of one policy."""

    kind: Kind
    hold_id: str
    claim_id: str
    policy_id: str
    record: Record


def build_interim_case(claim_id: str, record: Record, policies: Sequence[PolicyInput]) -> Case:
    """The case of a stay so far. Nobody has paid before: only the insurer of the first rank asks. Raises CaseError."""
    document = record.document
    stay, charges = document.get("stay"), document.get("charges")
    if not isinstance(stay, dict) or not isinstance(charges, dict):
        raise CaseError("DOCUMENT_FORM", "an interim record has a stay and charges")
    invoice = {name: charges[name] for name in INVOICE_FIELDS if charges.get(name) is not None}
    named = {"type": "inpatient", "kind": "blue", "code": "", "number": record.record_id}
    raw = {
        "claim": {"claim_no": claim_id} | {name: document[name] for name in CLAIM_FIELDS if name in document},
        "stay": stay,
        "invoices": [invoice | named | {"issue_date": stay.get("discharge_date")}],
        "policies": [build_policy(item) for item in policies],
    }
    try:
        return read_case(raw)
    except InputError as error:
        raise CaseError("DOCUMENT_FORM", f"{error.code} at {error.path or 'the case'}") from None


def open_hold(
    interim: Interim,
    lanes: Lanes,
    case: Case,
    position: int,
    result: Mapping[str, Any],
    holds: Iterable[Opening],
    salt: str,
    forecast: Any = None,
) -> Opening:
    """The opening of one more hold, at the most that the rule allows. `holds` are the policy's live ones of this claim.

    Raises CaseError `LANE_CLOSED`, `INTERIM_REVIEW`, `FORECAST`, `HOLD_NOTHING_LEFT`.
    """
    lane = lanes.advance if interim.kind == "advance" else lanes.guarantee
    if lane is None:
        raise CaseError("LANE_CLOSED", f"the terms allow no {interim.kind}")
    if result["review"]:
        raise CaseError("INTERIM_REVIEW", "what has to be looked at is not paid before it is decided")
    expenses = expense_total(case, position, dict(result))
    would_pay = int(result["total_fen"]) if interim.kind == "advance" else expenses
    bound = None if forecast is None else read_forecast(forecast, interim, lane).amount_fen
    earlier = list(holds)
    room = sum(find_room(result, earlier).values())
    amount = min(allowed_fen(interim.kind, lane, would_pay, earlier, bound), room)
    if amount <= 0:
        raise CaseError("HOLD_NOTHING_LEFT", "earlier advances and guarantees take all that may be held")
    return {
        "salt": salt,
        "hold_id": interim.hold_id,
        "kind": interim.kind,
        "claim_id": interim.claim_id,
        "policy_id": interim.policy_id,
        "record_id": interim.record.record_id,
        "would_pay_fen": would_pay,
        "forecast": forecast,
        "amount_fen": amount,
        "currency": str(interim.record.document.get("currency") or "CNY"),
        "effect": place_effect(result, amount, earlier),
    }


def allowed_fen(
    kind: Kind, lane: AdvanceLane | GuaranteeLane, would_pay: int, holds: Sequence[Opening], forecast_fen: int | None
) -> int:
    """The most that one more hold may be, in fen; zero or less where nothing is left."""
    advanced, held = sum_advanced(holds), sum(int(item["amount_fen"]) for item in holds)
    bounds = [would_pay * lane.ratio_bp // FULL_BP, lane.limit_fen, forecast_fen]
    most = min(item for item in bounds if item is not None)
    if kind == "guarantee":
        return min(most, would_pay - held)
    return min(most - advanced, would_pay - held)


def sum_advanced(holds: Iterable[Opening]) -> int:
    """`advance_fen` of a policy: what was advanced under it for this claim."""
    return sum(int(item["amount_fen"]) for item in holds if item["kind"] == "advance")


def find_room(result: Mapping[str, Any], holds: Iterable[Opening]) -> dict[tuple[str, str], int]:
    """(benefit, policy year) -> what would be paid there beyond what earlier holds have, in the result's order."""
    held: dict[tuple[str, str], int] = {}
    for item in holds:
        for period, codes in item["effect"]["prior_use"].items():
            for code, entry in codes.items():
                held[code, period] = held.get((code, period), 0) + int(entry["paid_fen"])
    places = [
        (item["code"], period, paid)
        for item in result["benefits"]
        for period, paid in sorted(item["by_period"].items())
    ]
    return {(code, period): max(0, paid - held.get((code, period), 0)) for code, period, paid in places}


def place_effect(result: Mapping[str, Any], amount: int, holds: Iterable[Opening] = ()) -> Use:
    """Where `amount` fen are held in the account: the first benefits and policy years that would pay them."""
    effect: Use = {"prior_use": {}, "family_deductible_used_fen": {}, "lifetime_paid_fen": {}, "used_invoices": []}
    for (code, period), room in find_room(result, holds).items():
        part = min(amount, room)
        if part > 0:
            effect["prior_use"].setdefault(period, {})[code] = {"paid_fen": part}
            effect["lifetime_paid_fen"][code] = effect["lifetime_paid_fen"].get(code, 0) + part
            amount -= part
    if amount:
        raise CaseError("HOLD_NOTHING_LEFT", "more would be held than would be paid")
    return effect


def reserve_hold(balance: Balance, hold: Opening) -> Balance:
    """The account with one more hold in it. Raises CaseError as apply_movement."""
    return apply_movement(balance, Movement("reserve", hold["hold_id"], hold["amount_fen"], None, hold["effect"]))


def read_forecast(content: Any, interim: Interim, lane: AdvanceLane | GuaranteeLane) -> Forecast:
    """A forecast of this very claim and record, by a key that the terms name. Raises CaseError `FORECAST`."""
    try:
        found = convert(content, Forecast)
        ed25519.verify(bytes.fromhex(found.key), found.message, bytes.fromhex(found.signature))
    except (DecodeError, LedgerError, ValueError):
        raise CaseError("FORECAST", "the forecast is not in its form, or its signature does not verify") from None
    keys = lane.forecast_keys if isinstance(lane, AdvanceLane) else ()
    if found.key not in keys or (found.claim_id, found.record_id) != (interim.claim_id, interim.record.record_id):
        raise CaseError("FORECAST", "the terms do not name its key, or it is about something else")
    return found


def drawn_fen(expenses_fen: int, net_fen: int, guaranteed_fen: int) -> int:
    """What the hospital gets of a decided claim: min(expenses that are payable, guarantee), and no more than the
    decision leaves to be paid. Advances went to the insured; they count against a hospital no further."""
    return max(0, min(expenses_fen, guaranteed_fen, net_fen))


def interim_faults(document: Document) -> set[str]:
    """Codes with which a commission rejects the charges of an interim record; diagnoses and stay are a discharge's."""
    charges = document.get("charges")
    if not isinstance(charges, dict):
        return {"INTERIM_CHARGES"}
    names = ("total_fen", "pooled_fund_fen", "other_payment_fen", "self_funded_fen", "class_copay_fen")
    amounts = [charges.get(name) or 0 for name in names]
    whole = all(isinstance(item, int) and not isinstance(item, bool) and item >= 0 for item in amounts)
    if not whole or amounts[0] < sum(amounts[1:3]) or amounts[0] == 0:
        return {"INTERIM_CHARGES"}
    return set()
