"""A hospital's statement of account in the open: draws, lines, totals, the one net payment, and how old claims are.

    draw               salt, guarantee_id, claim_id, policy_id, expenses_fen, net_fen, guaranteed_fen, amount_fen,
                       currency
    batch-line         salt, guarantee_id, claim_id, amount_fen, currency
    batch-totals       salt, lines, amount_fen, currency
    batch-reason       salt, line, code
    batch-settlement   salt, batch_id, amount_fen, currency, breakdown: [{line, claim_id, amount_fen}], account,
                       booking_date, bank_reference

Amounts in minor units, times in milliseconds. Pure; nothing here names a person. Must always hold: a total is the sum
of its lines, and a settlement that of the lines that were endorsed, line by line.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from contracts.cases.errors import CaseError
from contracts.cases.holds import drawn_fen
from contracts.cases.openings import Opening, Salt
from contracts.holdstates import BatchLineState

DAY_MS: Final = 86_400_000
AGES: Final = (("0-30", 30), ("31-60", 60), ("61-90", 90))
"""Days since a guarantee was drawn; what is older is `over-90`."""
OLDEST: Final = "over-90"


@dataclass(frozen=True, slots=True)
class Receivable:
    """What an insurer owes a hospital: a drawn guarantee that is not paid yet."""

    hospital: str
    insurer: str
    drawn_ms: int
    amount_fen: int


def open_draw(
    names: Mapping[str, str], expenses_fen: int, net_fen: int, guaranteed_fen: int, currency: str, salt: str
) -> Opening:
    """What the hospital gets of one decision. `names` are guarantee_id, claim_id, policy_id."""
    figures = {"expenses_fen": expenses_fen, "net_fen": net_fen, "guaranteed_fen": guaranteed_fen}
    amount = drawn_fen(expenses_fen, net_fen, guaranteed_fen)
    return {"salt": salt, **names, **figures, "amount_fen": amount, "currency": currency}


def open_line(draw: Opening, salt: str) -> Opening:
    """One line of a batch: what was drawn, without how it came about."""
    return {"salt": salt} | {name: draw[name] for name in ("guarantee_id", "claim_id", "amount_fen", "currency")}


def open_totals(lines: Sequence[Opening], salt: str) -> Opening:
    """The totals of a batch. Raises CaseError `CURRENCY_MISMATCH`."""
    amount = sum(int(line["amount_fen"]) for line in lines)
    return {"salt": salt, "lines": len(lines), "amount_fen": amount, "currency": _currency(lines)}


def review_lines(
    lines: Sequence[Opening], draws: Mapping[str, Opening], salt: Salt
) -> list[tuple[int, Opening | None]]:
    """(line, None) for what can be endorsed, (line, opening of the reason) for what is returned.

    `draws` are the reviewer's own openings by guarantee: `UNKNOWN_DRAW`, `AMOUNT_DIFFERS`, `CURRENCY_DIFFERS`.
    """
    return [(place, _reason(place, line, draws.get(line["guarantee_id"]), salt)) for place, line in enumerate(lines)]


def open_batch_settlement(
    batch_id: str, states: Sequence[BatchLineState], lines: Sequence[Opening], booking: Mapping[str, str], salt: str
) -> Opening:
    """The one payment for every endorsed line. `booking` is account, booking_date, bank_reference."""
    parts = [
        {"line": place, "claim_id": line["claim_id"], "amount_fen": int(line["amount_fen"])}
        for place, (state, line) in enumerate(zip(states, lines, strict=True))
        if state.status == "endorsed"
    ]
    return {
        "salt": salt,
        "batch_id": batch_id,
        "amount_fen": sum(part["amount_fen"] for part in parts),
        "currency": _currency(lines),
        "breakdown": parts,
        **booking,
    }


def check_settlement(opening: Opening, states: Sequence[BatchLineState], lines: Sequence[Opening]) -> None:
    """That a payment is what the batch's endorsed lines add up to. Raises CaseError `SETTLEMENT_DIFFERS`."""
    booking = {name: str(opening.get(name)) for name in ("account", "booking_date", "bank_reference")}
    salt, batch_id = str(opening.get("salt")), str(opening.get("batch_id"))
    if opening != open_batch_settlement(batch_id, states, lines, booking, salt):
        raise CaseError("SETTLEMENT_DIFFERS", "the payment is not what the endorsed lines add up to")


def age_receivables(owed: Iterable[Receivable], now_ms: int) -> dict[str, dict[str, int]]:
    """Hospital -> age -> fen, with `total`: what is owed to it at block time `now_ms`, by whole days since the draw."""
    report: dict[str, dict[str, int]] = {}
    for item in owed:
        days = max(0, now_ms - item.drawn_ms) // DAY_MS
        age = next((name for name, most in AGES if days <= most), OLDEST)
        row = report.setdefault(item.hospital, dict.fromkeys([*(name for name, _ in AGES), OLDEST, "total"], 0))
        row[age] += item.amount_fen
        row["total"] += item.amount_fen
    return {name: report[name] for name in sorted(report)}


def _reason(place: int, line: Opening, draw: Opening | None, salt: Salt) -> Opening | None:
    code = None
    if draw is None:
        code = "UNKNOWN_DRAW"
    elif draw["amount_fen"] != line["amount_fen"]:
        code = "AMOUNT_DIFFERS"
    elif draw["currency"] != line["currency"]:
        code = "CURRENCY_DIFFERS"
    return None if code is None else {"salt": salt(), "line": place, "code": code}


def _currency(lines: Iterable[Mapping[str, Any]]) -> str:
    found = {str(line["currency"]) for line in lines}
    if len(found) != 1:
        raise CaseError("CURRENCY_MISMATCH", f"{len(found)} currencies in one batch")
    return found.pop()
