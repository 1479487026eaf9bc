"""A batch of payment orders as one pain.001 document.

Knows the debtor, the orders and the message; must not know claims. Must always hold: the same batch gives the same
bytes, sums and counts in it are those of its orders, one order is one transaction with the EndToEndId of its payout,
and nothing is written that the forms do not allow.

`InstrId` and `UETR` name one attempt, `EndToEndId` the payout through all of them: an answer to a first attempt cannot
be taken for one to the second. A name with characters that the bank does not take is refused, not transliterated: the
payee's bank may compare it with the account's.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

from ledger.crypto.hashing import tagged_hash
from node.interop.iso20022.errors import MessageError
from node.interop.iso20022.forms import NAMESPACE, ORDER_VERSIONS, check_order_form
from node.interop.iso20022.money import format_amount
from node.interop.iso20022.xmltext import Element, write_xml

MAX_BATCH: Final = 5_000
"""Orders of one file: about 5 MB, below what banks take in one upload; the rest waits for the next file."""
MAX_NAME: Final = 70
"""Characters of a name: what the older rule books and CNAPS leave of Max140Text."""
PURPOSE: Final = "INSC"
"""Of ISO's external purpose codes the payment of an insurance claim. Nothing else about the claim leaves."""
CHARSETS: Final[dict[str, str]] = {
    "latin": r"[A-Za-z0-9/\-?:().,'+ ]*",
    "unicode": r"[^\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufffe\uffff]*",
}
"""`latin`: the set of the SEPA guidelines and of SWIFT; `unicode`: anything printable, for banks in China."""
Charset: TypeAlias = Literal["latin", "unicode"]
_IBAN = re.compile(r"[A-Z]{2}[0-9]{2}[A-Z0-9]{11,30}\Z")
_BIC = re.compile(r"[A-Z0-9]{4}[A-Z]{2}[A-Z0-9]{2}(?:[A-Z0-9]{3})?\Z")
_CLEARING = re.compile(r"[0-9A-Z]{3,28}\Z")


@dataclass(frozen=True, slots=True)
class Party:
    """Who pays or is paid. `agent_bic` or `agent_clearing` (a member id, for CNAPS 12 digits) names the bank."""

    name: str
    account: str
    agent_bic: str | None = None
    agent_clearing: str | None = None


@dataclass(frozen=True, slots=True)
class Transfer:
    """One order: what `EndToEndId`, `InstrId` and amount are, and whom it pays."""

    end_to_end_id: str
    instruction_id: str
    amount_fen: int
    currency: str
    creditor: Party


@dataclass(frozen=True, slots=True)
class Batch:
    """Everything that stands in one file. `created` is an ISO 8601 instant, `execution_date` a date (YYYY-MM-DD)."""

    message_id: str
    created: str
    execution_date: str
    debtor: Party
    transfers: tuple[Transfer, ...]
    version: str = ORDER_VERSIONS[0]
    charset: Charset = "unicode"
    clearing_system: str = "CNAPS"


def instruction_id(end_to_end_id: str, attempt: int) -> str:
    """The name of one attempt, at most 35 characters."""
    return f"{end_to_end_id}-{attempt:02d}"


def uetr_of(instruction: str) -> str:
    """The unique reference of one attempt: a UUID in the form of version 4 (RFC 9562), derived from its name."""
    raw = bytearray(tagged_hash("uetr", instruction.encode("ascii"))[:16])
    raw[6], raw[8] = raw[6] & 0x0F | 0x40, raw[8] & 0x3F | 0x80
    text = raw.hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def read_party(payee: Mapping[str, Any], charset: Charset = "unicode", path: str = "payee") -> Party:
    """The party of a payee's opening. Raises MessageError `account`, `charset`, `value`, naming the field alone."""
    found = {name: payee.get(name) for name in ("name", "account", "agent_bic", "agent_clearing")}
    for name, value in found.items():
        if value is not None and not isinstance(value, str):
            raise MessageError("account", f"{path}/{name}", "text is needed here")
    name, account = str(found["name"] or "").strip(), re.sub(r"[ -]", "", str(found["account"] or ""))
    if not name or not account:
        raise MessageError("account", path, "a payee for a payment file has a name and an account")
    if len(name) > MAX_NAME or not re.fullmatch(CHARSETS[charset], name):
        raise MessageError("charset", f"{path}/name", f"at most {MAX_NAME} characters of the bank's set ({charset})")
    if len(account) > 34 or not re.fullmatch(r"[A-Za-z0-9]+", account):
        raise MessageError("account", f"{path}/account", "an account has at most 34 letters and digits")
    if _IBAN.match(account) and not _is_iban(account):
        raise MessageError("account", f"{path}/account", "the check digits of the IBAN are wrong")
    bic = found["agent_bic"]
    if bic is not None and not _BIC.match(bic):
        raise MessageError("account", f"{path}/agent_bic", "a BIC has 8 or 11 capital letters and digits (ISO 9362)")
    clearing = found["agent_clearing"]
    if clearing is not None and not _CLEARING.match(clearing):
        raise MessageError("account", f"{path}/agent_clearing", "3 to 28 digits or capital letters")
    return Party(name, account, bic, clearing)


def build_batch(batch: Batch) -> bytes:
    """The file. Raises MessageError `batch_size` and what the forms refuse."""
    if not 1 <= len(batch.transfers) <= MAX_BATCH:
        raise MessageError("batch_size", "", f"{len(batch.transfers)} orders; a file has 1 to {MAX_BATCH}")
    names = {item.instruction_id for item in batch.transfers}
    currencies = {item.currency for item in batch.transfers}
    if len(names) != len(batch.transfers) or len(currencies) != 1:
        raise MessageError("batch_size", "", "each order stands once in a file, and a file has one currency")
    root = Element("Document", NAMESPACE + batch.version)
    root.children.append(_node("CstmrCdtTrfInitn", _header(batch), _payment(batch)))
    check_order_form(root, batch.version)
    return write_xml(root)


def _header(batch: Batch) -> Element:
    return _node(
        "GrpHdr",
        _leaf("MsgId", batch.message_id),
        _leaf("CreDtTm", batch.created),
        *_totals(batch),
        _node("InitgPty", _leaf("Nm", batch.debtor.name)),
    )


def _totals(batch: Batch) -> tuple[Element, Element]:
    total = sum(item.amount_fen for item in batch.transfers)
    count = _leaf("NbOfTxs", str(len(batch.transfers)))
    return count, _leaf("CtrlSum", format_amount(total, batch.transfers[0].currency))


def _payment(batch: Batch) -> Element:
    date = _leaf("ReqdExctnDt", batch.execution_date)
    if batch.version == ORDER_VERSIONS[0]:
        date = _node("ReqdExctnDt", _leaf("Dt", batch.execution_date))
    return _node(
        "PmtInf",
        _leaf("PmtInfId", batch.message_id),
        _leaf("PmtMtd", "TRF"),
        _leaf("BtchBookg", "false"),
        *_totals(batch),
        date,
        _node("Dbtr", _leaf("Nm", batch.debtor.name)),
        _account("DbtrAcct", batch.debtor, batch.transfers[0].currency),
        _agent("DbtrAgt", batch.debtor, batch),
        _leaf("ChrgBr", "SLEV" if batch.transfers[0].currency == "EUR" else "DEBT"),
        *(_transfer(item, batch) for item in batch.transfers),
    )


def _transfer(item: Transfer, batch: Batch) -> Element:
    names = [_leaf("InstrId", item.instruction_id), _leaf("EndToEndId", item.end_to_end_id)]
    if batch.version == ORDER_VERSIONS[0]:
        names.append(_leaf("UETR", uetr_of(item.instruction_id)))
    amount = _leaf("InstdAmt", format_amount(item.amount_fen, item.currency))
    amount.attributes["Ccy"] = item.currency
    has_agent = item.creditor.agent_bic or item.creditor.agent_clearing
    return _node(
        "CdtTrfTxInf",
        _node("PmtId", *names),
        _node("Amt", amount),
        *([_agent("CdtrAgt", item.creditor, batch)] if has_agent else []),
        _node("Cdtr", _leaf("Nm", item.creditor.name)),
        _account("CdtrAcct", item.creditor),
        _node("Purp", _leaf("Cd", PURPOSE)),
    )


def _account(tag: str, party: Party, currency: str | None = None) -> Element:
    named = _leaf("IBAN", party.account) if _is_iban(party.account) else _node("Othr", _leaf("Id", party.account))
    return _node(tag, _node("Id", named), *([_leaf("Ccy", currency)] if currency else []))


def _agent(tag: str, party: Party, batch: Batch) -> Element:
    inside = []
    if party.agent_bic:
        inside.append(_leaf("BICFI" if batch.version == ORDER_VERSIONS[0] else "BIC", party.agent_bic))
    if party.agent_clearing:
        system = _node("ClrSysId", _leaf("Cd", batch.clearing_system))
        inside.append(_node("ClrSysMmbId", system, _leaf("MmbId", party.agent_clearing)))
    if not inside:
        inside.append(_node("Othr", _leaf("Id", "NOTPROVIDED")))
    return _node(tag, _node("FinInstnId", *inside))


def _is_iban(account: str) -> bool:
    """ISO 13616: the form, and 1 as the remainder by 97."""
    if not _IBAN.match(account):
        return False
    return int("".join(str(int(sign, 36)) for sign in account[4:] + account[:4])) % 97 == 1


def _leaf(tag: str, text: str) -> Element:
    return Element(tag, text=text)


def _node(tag: str, *children: Element) -> Element:
    return Element(tag, children=list(children))
