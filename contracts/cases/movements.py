"""A coverage account as movements: reserve, deduct, capture, release, restore, and the sums they keep.

`use` counts everything that a later claim must find used: what was paid and what is reserved for payouts that are not
settled yet, so that two claims at once cannot spend the same money. `reserved` lists those open reservations beside it,
each with its own effect, so that one can be captured or given back without running a program again.

    reserve    an outcome's money: into `use`, and open until it is captured or released
    deduct     deductible, days and invoices that the outcome took: into `use`
    capture    the money was paid: the reservation is closed, and what was reserved beyond the actual amount given back
    release    the money will not be paid: out of `use` again
    restore    what was captured or deducted is given back, after a reversal or with a release

Effects have the form of `use` and are added entry by entry, so their order does not matter. Amounts are integer fen.
Must not know programs, the ledger or the vault. Must always hold: `use` is the sum of all effects, no entry is
negative, and what is reserved is part of `use`: available = limit - paid - reserved = limit - use.
"""

from collections.abc import Collection, Iterable, Mapping
from typing import Any, Final, Literal, TypeAlias

import msgspec
from msgspec import Struct, structs

from contracts.cases.errors import CaseError
from ledger.encoding import convert
from ledger.errors import DecodeError
from ledger.types import Count, Hex32

Use: TypeAlias = dict[str, Any]
Kind: TypeAlias = Literal["reserve", "deduct", "capture", "release", "restore"]
Cell: TypeAlias = tuple[str, ...]
"""Where one figure of `use` stands."""

MAX_RESERVATIONS: Final = 64
"""Payouts of one account that are decided and not settled: each takes days, and claims on it come one by one."""
MONEY: Final = ("paid_fen", "day_paid_fen")
"""The figures of a place that are money; the others count deductible and days."""


class Reservation(Struct, frozen=True, forbid_unknown_fields=True):
    """An outcome that is decided and not settled. `effect` is all that it added to `use`."""

    payout_id: Hex32
    expected_fen: Count
    effect: dict[str, Any]


class Movement(Struct, frozen=True, forbid_unknown_fields=True):
    """One step of an account. `cause` is the payout. Expected and actual amount are two figures: the actual one is null
    until the money was paid."""

    kind: Kind
    cause: str
    expected_fen: int
    actual_fen: int | None
    effect: dict[str, Any]


class Balance(Struct, frozen=True):
    """What an account version holds. Reservations ascend by payout."""

    use: Use
    reserved: tuple[Reservation, ...] = ()


def read_balance(opening: Any) -> Balance:
    """The balance in an account's opening; one without `reserved` has none. Raises CaseError `ACCOUNT_FORM`."""
    use = opening.get("use") if isinstance(opening, dict) else None
    if not isinstance(use, dict):
        raise CaseError("ACCOUNT_FORM", "the account has no use")
    try:
        reserved = tuple(convert(item, Reservation) for item in opening.get("reserved", ()))
    except (DecodeError, TypeError):
        raise CaseError("ACCOUNT_FORM", "a reservation of the account is not in the form of this version") from None
    return _checked(Balance(use, reserved))


def encode_reserved(balance: Balance) -> list[dict[str, Any]]:
    """The reservations as an opening holds them."""
    return [msgspec.to_builtins(item) for item in balance.reserved]


def book_outcome(balance: Balance, after: Use, payout_id: str, captured: Collection[str] = ()) -> Balance:
    """The balance after an outcome that leads from `balance.use` to `after`, with `captured` reservations closed at the
    amount that was expected. Raises CaseError `ACCOUNT_FORM`, `ACCOUNT_CROWDED`."""
    for name in captured:
        balance = apply_movement(balance, capture_movement(balance, name))
    for movement in outcome_movements(balance.use, after, payout_id):
        balance = apply_movement(balance, movement)
    return Balance(after, balance.reserved)


def outcome_movements(before: Use, after: Use, payout_id: str) -> list[Movement]:
    """What an outcome does: its money is reserved, what it took beside is deducted. Nothing moved gives no movement."""
    cells = _difference(_cells(after), _cells(before))
    money = {cell: amount for cell, amount in cells.items() if _is_money(cell)}
    taken = {cell: amount for cell, amount in cells.items() if not _is_money(cell)}
    expected = sum_paid(_build(money))
    found = []
    if expected:
        found.append(Movement("reserve", payout_id, expected, None, _build(money)))
    if taken:
        found.append(Movement("deduct", payout_id, 0, 0, _build(taken)))
    return found


def outcome_effect(before: Use, after: Use) -> Use:
    """All that an outcome added, as its reservation holds it; also of one without money."""
    return _build(_difference(_cells(after), _cells(before)))


def capture_movement(balance: Balance, payout_id: str, actual_fen: int | None = None) -> Movement:
    """The payout was settled with `actual_fen`, by default as expected. What was reserved beyond it is given back from
    the last place. Raises CaseError `RESERVATION_UNKNOWN`, `ACTUAL_ABOVE_EXPECTED`."""
    held = _find(balance, payout_id)
    actual = held.expected_fen if actual_fen is None else actual_fen
    if not 0 <= actual <= held.expected_fen:
        raise CaseError("ACTUAL_ABOVE_EXPECTED", "what is paid beyond the reservation needs a decision of its own")
    return Movement("capture", payout_id, held.expected_fen, actual, _surplus(held, held.expected_fen - actual))


def release_movements(balance: Balance, payout_id: str) -> list[Movement]:
    """The payout will not be made: its money is released, and what the outcome took beside is restored. Raises
    CaseError `RESERVATION_UNKNOWN`."""
    held = _find(balance, payout_id)
    cells = _cells(held.effect)
    money = _build({cell: amount for cell, amount in cells.items() if _is_money(cell)})
    taken = _build({cell: amount for cell, amount in cells.items() if not _is_money(cell)})
    found = [Movement("release", payout_id, held.expected_fen, 0, money)]
    return [*found, Movement("restore", payout_id, 0, 0, taken)] if _cells(taken) else found


def restore_movement(payout_id: str, effect: Use) -> Movement:
    """What a settled outcome added is given back. `effect` is that of its reservation, as it was captured."""
    amount = sum_paid(effect)
    return Movement("restore", payout_id, amount, amount, effect)


def take_back(balance: Balance, payout_id: str, effect: Use) -> Balance:
    """The balance without a settled outcome, whose reservation had this effect. One that no version captured yet is
    captured on the way. Raises CaseError `ACCOUNT_NEGATIVE`."""
    if reservation_of(balance, payout_id) is not None:
        balance = apply_movement(balance, capture_movement(balance, payout_id))
    return apply_movement(balance, restore_movement(payout_id, effect))


def apply_movement(balance: Balance, movement: Movement) -> Balance:
    """The balance after one movement. Raises CaseError `ACCOUNT_CROWDED`, `ACCOUNT_NEGATIVE`, `RESERVATION_UNKNOWN`,
    `RESERVATION_REPEATED`."""
    effect, cause = _cells(movement.effect), movement.cause
    open_now = {item.payout_id: item for item in balance.reserved}
    match movement.kind:
        case "reserve":
            if cause in open_now:
                raise CaseError("RESERVATION_REPEATED", "the payout has a reservation")
            open_now[cause] = Reservation(cause, movement.expected_fen, movement.effect)
        case "deduct" if cause in open_now:
            held = open_now[cause]
            open_now[cause] = structs.replace(held, effect=_build(_sum(_cells(held.effect), effect)))
        case "capture" | "release":
            _find(balance, cause)
            del open_now[cause]
    sign = 1 if movement.kind in ("reserve", "deduct") else -1
    use = _build(_sum(_cells(balance.use), {cell: sign * amount for cell, amount in effect.items()}))
    return _checked(Balance(use, tuple(open_now[name] for name in sorted(open_now))))


def reservation_of(balance: Balance, payout_id: str) -> Reservation | None:
    """The open reservation of a payout."""
    return next((item for item in balance.reserved if item.payout_id == payout_id), None)


def sum_paid(use: Use) -> int:
    """The money in all places of `use`, in fen."""
    return sum(amount for cell, amount in _cells(use).items() if cell[0] == "prior_use" and cell[-1] == "paid_fen")


def sum_reserved(balance: Balance) -> int:
    """What is decided and not settled, in fen."""
    return sum(item.expected_fen for item in balance.reserved)


def available_fen(balance: Balance, limit_fen: int, period: str, code: str) -> int:
    """What a limit of one policy year and benefit leaves: limit - paid - reserved, not below zero, in fen."""
    return max(0, limit_fen - _cells(balance.use).get(("prior_use", period, code, "paid_fen"), 0))


def _find(balance: Balance, payout_id: str) -> Reservation:
    found = reservation_of(balance, payout_id)
    if found is None:
        raise CaseError("RESERVATION_UNKNOWN", "the payout has no open reservation")
    return found


def _checked(balance: Balance) -> Balance:
    """The invariant of every version."""
    names = [item.payout_id for item in balance.reserved]
    if len(names) > MAX_RESERVATIONS:
        raise CaseError("ACCOUNT_CROWDED", f"{len(names)} payouts of the account are open, at most {MAX_RESERVATIONS}")
    use, reserved = _cells(balance.use), _sum(*(_cells(item.effect) for item in balance.reserved))
    if any(amount < 0 for amount in use.values()) or any(
        amount > use.get(cell, 0) for cell, amount in reserved.items()
    ):
        raise CaseError("ACCOUNT_NEGATIVE", "more is given back or reserved than the account was used for")
    if names != sorted(set(names)) or any(item.expected_fen != sum_paid(item.effect) for item in balance.reserved):
        raise CaseError("ACCOUNT_FORM", "reservations ascend by payout, each as large as its effect")
    return balance


def _surplus(held: Reservation, surplus: int) -> Use:
    """`surplus` fen of a reservation, taken from its last places and from their last days."""
    cells, taken = _cells(held.effect), dict[Cell, int]()
    for cell in sorted((cell for cell in cells if cell[0] == "prior_use" and cell[-1] == "paid_fen"), reverse=True):
        part = min(surplus, cells[cell])
        surplus -= part
        taken |= {cell: part, ("lifetime_paid_fen", cell[2]): taken.get(("lifetime_paid_fen", cell[2]), 0) + part}
        for day in sorted((day for day in cells if day[:4] == (*cell[:3], "day_paid_fen")), reverse=True):
            taken[day] = min(part, cells[day])
            part -= taken[day]
    return _build(taken)


def _is_money(cell: Cell) -> bool:
    return cell[0] == "lifetime_paid_fen" or (cell[0] == "prior_use" and cell[3] in MONEY)


def _cells(use: Mapping[str, Any]) -> dict[Cell, int]:
    """`use` as one figure a cell; an invoice that is used counts one. Raises CaseError `ACCOUNT_FORM`."""
    try:
        return {cell: _amount(value) for cell, value in _walk(use) if value}
    except (AttributeError, KeyError, TypeError):
        raise CaseError("ACCOUNT_FORM", "the account's use is not in the form of the specification") from None


def _walk(use: Mapping[str, Any]) -> Iterable[tuple[Cell, Any]]:
    for period, codes in (use.get("prior_use") or {}).items():
        for code, entry in codes.items():
            for name, value in entry.items():
                if name == "day_paid_fen":
                    yield from ((("prior_use", period, code, name, day), paid) for day, paid in (value or {}).items())
                else:
                    yield ("prior_use", period, code, name), value
    for period, codes in (use.get("family_deductible_used_fen") or {}).items():
        yield from ((("family_deductible_used_fen", period, code), taken) for code, taken in codes.items())
    yield from ((("lifetime_paid_fen", code), paid) for code, paid in (use.get("lifetime_paid_fen") or {}).items())
    for item in use.get("used_invoices") or ():
        yield ("used_invoices", _text(item.get("code") or ""), _text(item["number"])), 1


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("an invoice is named by texts")
    return value


def _amount(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError("a figure of the account is a whole number")
    return value


def _build(cells: Mapping[Cell, int]) -> Use:
    """`use` of its cells; what is zero is not written."""
    use: Use = {"prior_use": {}, "family_deductible_used_fen": {}, "lifetime_paid_fen": {}, "used_invoices": []}
    for cell, amount in sorted(cells.items()):
        if not amount:
            continue
        if cell[0] == "used_invoices":
            use["used_invoices"].append({"code": cell[1], "number": cell[2]})
            continue
        place = use
        for name in cell[:-1]:
            place = place.setdefault(name, {})
        place[cell[-1]] = amount
    return use


def _sum(*parts: Mapping[Cell, int]) -> dict[Cell, int]:
    total: dict[Cell, int] = {}
    for part in parts:
        for cell, amount in part.items():
            total[cell] = total.get(cell, 0) + amount
    return total


def _difference(after: Mapping[Cell, int], before: Mapping[Cell, int]) -> dict[Cell, int]:
    moved = _sum(after, {cell: -amount for cell, amount in before.items()})
    return {cell: amount for cell, amount in moved.items() if amount}
