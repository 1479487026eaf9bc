"""What a bank answers: pain.002 says how an order stands, camt.053 and camt.054 what was booked.

A file becomes facts: small records without names or accounts, made of references, codes, dates and whole minor units.
Knows the published messages as far as a fact needs them and passes over the rest: banks add elements of their own. Must
always hold: the same file gives the same facts, and what a fact needs is there or the file is refused whole, so that no
booking is half read.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

from node.interop.iso20022.errors import MessageError
from node.interop.iso20022.forms import NAMESPACE
from node.interop.iso20022.money import parse_amount
from node.interop.iso20022.xmltext import Element, read_xml

MAX_FACTS: Final = 50_000
"""Facts of one file; a file of 8 MB has fewer bookings than that."""
MAX_REASONS: Final = 8
"""Reason codes kept of one fact."""
STATUSES: Final = frozenset({"ACTC", "ACCP", "ACSP", "ACSC", "ACWC", "ACWP", "ACFC", "ACCC", "RCVD", "PDNG", "PART"})
"""Statuses that a bank may give and that end nothing: an order with one of them is still on its way, or booked as a
statement will say. `PATC`, `CANC` and later codes are kept as they are and end nothing either."""
REJECTED: Final = "RJCT"
NOT_PROVIDED: Final = frozenset({"NOTPROVIDED", "NOT PROVIDED"})
_CODE = re.compile(r"[A-Z0-9]{1,4}\Z")
_REFERENCE = re.compile(r"[\x20-\x7e]{1,105}\Z")
_DATE = re.compile(r"([0-9]{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01]))(?:T[0-9:.]{8,18}|Z|[+-][0-9:]{5})*\Z")
_FAMILY = re.compile(re.escape(NAMESPACE) + r"(pain\.002|camt\.053|camt\.054)\.001\.(0[2-9]|1[0-9])\Z")
Level: TypeAlias = Literal["group", "payment", "transaction"]
Direction: TypeAlias = Literal["debit", "return"]


@dataclass(frozen=True, slots=True, order=True)
class Names:
    """How a bank names the transaction that it speaks of; each may be missing."""

    end_to_end_id: str = ""
    instruction_id: str = ""
    uetr: str = ""


@dataclass(frozen=True, slots=True, order=True)
class StatusFact:
    """How an order stands, or a whole file (`names` is then empty). `message_id` is that of our file."""

    message_id: str
    level: Level
    names: Names
    status: str
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True, order=True)
class EntryFact:
    """A booking on our account: money that left, or came back. The date is the bank's (YYYY-MM-DD)."""

    names: Names
    direction: Direction
    amount_fen: int
    currency: str
    booking_date: str
    bank_reference: str
    reasons: tuple[str, ...]


Fact: TypeAlias = StatusFact | EntryFact


@dataclass(frozen=True, slots=True)
class Answers:
    """One file. `skipped` counts entries that are neither booked debits nor returns: credits, pending ones, fees."""

    kind: str
    message_id: str
    facts: tuple[Fact, ...]
    skipped: int


def read_answers(data: bytes) -> Answers:
    """A file of a bank as facts. Raises MessageError; nothing of a refused file counts."""
    root = read_xml(data)
    found = _FAMILY.match(root.namespace)
    if root.tag != "Document" or found is None:
        raise MessageError("message_unknown", root.tag, "pain.002, camt.053 or camt.054 is read here")
    body, read = {
        "pain.002": ("CstmrPmtStsRpt", _read_report),
        "camt.053": ("BkToCstmrStmt", _read_statement),
        "camt.054": ("BkToCstmrDbtCdtNtfctn", _read_notification),
    }[found[1]]
    inside = _need(root, body, "Document")
    message_id = _reference(inside.value("GrpHdr", "MsgId"), f"Document/{body}/GrpHdr/MsgId")
    skipped = _Count()
    facts: list[Fact] = []
    for fact in read(inside, f"Document/{body}", skipped):
        facts.append(fact)
        if len(facts) > MAX_FACTS:
            raise MessageError("xml_bounds", body, f"more than {MAX_FACTS} facts in one file")
    return Answers(found[1], message_id, tuple(facts), skipped.number)


@dataclass(slots=True)
class _Count:
    number: int = 0


# --- pain.002


def _read_report(body: Element, path: str, _: _Count) -> Iterator[Fact]:
    """Each statement is given once for the level at which it is made."""
    group = _need(body, "OrgnlGrpInfAndSts", path)
    where = f"{path}/OrgnlGrpInfAndSts"
    original = _reference(group.value("OrgnlMsgId"), f"{where}/OrgnlMsgId")
    if group.value("GrpSts"):
        yield StatusFact(original, "group", Names(), _status(group, "GrpSts", where), _reasons(group, "StsRsnInf"))
    for payment in body.all("OrgnlPmtInfAndSts"):
        where = f"{path}/OrgnlPmtInfAndSts"
        if payment.value("PmtInfSts"):
            status = _status(payment, "PmtInfSts", where)
            yield StatusFact(original, "payment", Names(), status, _reasons(payment, "StsRsnInf"))
        for item in payment.all("TxInfAndSts"):
            place = f"{where}/TxInfAndSts"
            names = _names(item, "OrgnlEndToEndId", "OrgnlInstrId", "OrgnlUETR", place)
            if item.value("TxSts"):
                status = _status(item, "TxSts", place)
                yield StatusFact(original, "transaction", names, status, _reasons(item, "StsRsnInf"))


def _status(element: Element, tag: str, path: str) -> str:
    code = element.value(tag) or ""
    if not _CODE.match(code):
        raise MessageError("value", f"{path}/{tag}", "a status is a code of four letters")
    return code


# --- camt.053, camt.054


def _read_statement(body: Element, path: str, skipped: _Count) -> Iterator[Fact]:
    yield from _read_accounts(body, "Stmt", path, skipped)


def _read_notification(body: Element, path: str, skipped: _Count) -> Iterator[Fact]:
    yield from _read_accounts(body, "Ntfctn", path, skipped)


def _read_accounts(body: Element, tag: str, path: str, skipped: _Count) -> Iterator[Fact]:
    for account in body.all(tag):
        name = _reference(account.value("Id"), f"{path}/{tag}/Id")
        for number, entry in enumerate(account.all("Ntry"), start=1):
            yield from _read_entry(entry, f"{path}/{tag}/Ntry[{number}]", f"{name}/{number}", skipped)


def _read_entry(entry: Element, path: str, unnamed: str, skipped: _Count) -> Iterator[EntryFact]:
    """One fact for each transaction of a booked entry: money out is a debit, what comes back a credit that says so."""
    status = entry.value("Sts", "Cd") or entry.value("Sts")
    if status != "BOOK":
        skipped.number += 1
        return
    details = list(entry.all("NtryDtls", "TxDtls"))
    for number, item in enumerate(details, start=1):
        place = f"{path}/NtryDtls/TxDtls[{number}]"
        direction = _direction(entry, item, place)
        names = _names(item, "EndToEndId", "InstrId", "UETR", f"{place}/Refs", "Refs")
        if direction is None or names == Names():
            skipped.number += 1
            continue
        amount, currency = _amount(entry, item, len(details) == 1, place)
        yield EntryFact(
            names=names,
            direction=direction,
            amount_fen=amount,
            currency=currency,
            booking_date=_date(entry, path),
            bank_reference=_bank_reference(entry, item, f"{unnamed}/{number}", place),
            reasons=_reasons(item, "RtrInf") or _reasons(entry, "RtrInf"),
        )
    if not details:
        skipped.number += 1


def _direction(entry: Element, item: Element, path: str) -> Direction | None:
    """`return`: a credit with return information, or the reversal of a debit; None: other people's money."""
    sign = item.value("CdtDbtInd") or entry.value("CdtDbtInd")
    if sign not in ("CRDT", "DBIT"):
        raise MessageError("value", f"{path}/CdtDbtInd", "CRDT or DBIT")
    reverses = entry.value("RvslInd") in ("true", "1")
    if sign == "DBIT":
        return None if reverses else "debit"
    return "return" if reverses or item.first("RtrInf") is not None else None


def _amount(entry: Element, item: Element, is_only: bool, path: str) -> tuple[int, str]:
    """(minor units, currency) of one transaction: its own, or the entry's where it is the only one."""
    found = item.first("Amt") or item.first("AmtDtls", "TxAmt", "Amt") or (entry.first("Amt") if is_only else None)
    if found is None:
        raise MessageError("element_missing", f"{path}/Amt", "one of several transactions has no amount of its own")
    currency = found.attributes.get("Ccy", "")
    return parse_amount(found.text, currency, f"{path}/Amt"), currency


def _date(entry: Element, path: str) -> str:
    text = entry.value("BookgDt", "Dt") or entry.value("BookgDt", "DtTm") or ""
    found = _DATE.match(text)
    if found is None:
        raise MessageError("date", f"{path}/BookgDt", "a booked entry has a booking date (YYYY-MM-DD)")
    return found[1]


def _bank_reference(entry: Element, item: Element, unnamed: str, path: str) -> str:
    """The bank's own name of the booking; where it gives none, the place in its statement."""
    text = item.value("Refs", "AcctSvcrRef") or entry.value("AcctSvcrRef") or entry.value("NtryRef") or unnamed
    return _reference(text, f"{path}/Refs/AcctSvcrRef")


# --- parts of both


def _names(element: Element, end_to_end: str, instruction: str, uetr: str, path: str, *inside: str) -> Names:
    def read(tag: str) -> str:
        text = element.value(*inside, tag)
        return "" if text is None or text in NOT_PROVIDED else _reference(text, f"{path}/{tag}")

    return Names(read(end_to_end), read(instruction), read(uetr).lower())


def _reasons(element: Element, tag: str) -> tuple[str, ...]:
    """Reason codes, ascending, without repeats. Texts are left where they are: they may name people."""
    found = {item.value("Rsn", "Cd") or "" for item in element.all(tag)}
    return tuple(sorted(code for code in found if _CODE.match(code)))[:MAX_REASONS]


def _reference(text: str | None, path: str) -> str:
    if not text:
        raise MessageError("element_missing", path, "needed here")
    if not _REFERENCE.match(text):
        raise MessageError("value", path, "a reference has 1 to 105 printable characters")
    return text


def _need(element: Element, tag: str, path: str) -> Element:
    found = element.first(tag)
    if found is None:
        raise MessageError("element_missing", f"{path}/{tag}", "needed here")
    return found


def encode_fact(fact: Fact) -> list[Any]:
    """A fact as plain values, to be kept."""
    names = [fact.names.end_to_end_id, fact.names.instruction_id, fact.names.uetr]
    if isinstance(fact, StatusFact):
        return ["status", fact.message_id, fact.level, names, fact.status, list(fact.reasons)]
    values = [fact.direction, fact.amount_fen, fact.currency, fact.booking_date, fact.bank_reference]
    return ["entry", names, *values, list(fact.reasons)]


def restore_fact(kept: list[Any]) -> Fact:
    """What `encode_fact` made."""
    if kept[0] == "status":
        return StatusFact(kept[1], kept[2], Names(*kept[3]), kept[4], tuple(kept[5]))
    return EntryFact(Names(*kept[1]), kept[2], kept[3], kept[4], kept[5], kept[6], tuple(kept[7]))
