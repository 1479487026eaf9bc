"""pain.001 as banks read it, and what banks send: exact money, closed XML, places named in every refusal."""

from dataclasses import replace
from typing import Any
from xml.etree import ElementTree

import pytest

from node.interop.iso20022.answers import EntryFact, Names, StatusFact, encode_fact, read_answers, restore_fact
from node.interop.iso20022.errors import MessageError
from node.interop.iso20022.forms import NAMESPACE, ORDER_VERSIONS, check_order_form
from node.interop.iso20022.money import format_amount, parse_amount
from node.interop.iso20022.orders import (
    MAX_BATCH,
    Batch,
    Party,
    Transfer,
    build_batch,
    instruction_id,
    read_party,
    uetr_of,
)
from node.interop.iso20022.xmltext import MAX_BYTES, MAX_DEPTH, Element, read_xml, write_xml
from tests.support.bank_messages import Said, batch_entry, notification, report

DEBTOR = Party("First Insurer", "DE89370400440532013000", "COBADEFFXXX")
CREDITOR = Party("张三", "6222020000000000000", agent_clearing="102100099996")
E2E = "A" * 32


def transfer(number: int = 1, fen: int = 200_403, **changes: Any) -> Transfer:
    name = f"{number:032d}"
    return replace(Transfer(name, instruction_id(name, 1), fen, "CNY", CREDITOR), **changes)


def batch(*transfers: Transfer, **changes: Any) -> Batch:
    found = Batch("CN-1", "2025-01-06T08:00:00Z", "2025-01-07", DEBTOR, transfers or (transfer(),))
    return replace(found, **changes)


# --- an independent reading of the definition: order, counts and lengths by hand, with another XML library

ORDER_09 = {
    "GrpHdr": ["MsgId", "CreDtTm", "Authstn", "NbOfTxs", "CtrlSum", "InitgPty", "FwdgAgt"],
    "PmtInf": [
        *(
            "PmtInfId",
            "PmtMtd",
            "BtchBookg",
            "NbOfTxs",
            "CtrlSum",
            "PmtTpInf",
            "ReqdExctnDt",
            "PoolgAdjstmntDt",
            "Dbtr",
        ),
        *("DbtrAcct", "DbtrAgt", "DbtrAgtAcct", "UltmtDbtr", "ChrgBr", "ChrgsAcct", "ChrgsAcctAgt", "CdtTrfTxInf"),
    ],
    "CdtTrfTxInf": [
        *("PmtId", "PmtTpInf", "Amt", "XchgRateInf", "ChrgBr", "ChqInstr", "UltmtDbtr", "IntrmyAgt1", "CdtrAgt"),
        *("CdtrAgtAcct", "Cdtr", "CdtrAcct", "UltmtCdtr", "InstrForCdtrAgt", "InstrForDbtrAgt", "Purp", "RgltryRptg"),
        *("Tax", "RltdRmtInf", "RmtInf", "SplmtryData"),
    ],
    "PmtId": ["InstrId", "EndToEndId", "UETR"],
}


@pytest.mark.parametrize("version", ORDER_VERSIONS)
def test_a_file_follows_the_published_order_and_its_sums_are_those_of_its_orders(version: str) -> None:
    orders = [transfer(number, fen) for number, fen in enumerate((1, 10, 200_403, 99_999_999_999), start=1)]
    root = ElementTree.fromstring(build_batch(batch(*orders, version=version)))
    space = {"m": NAMESPACE + version}
    assert root.tag == f"{{{NAMESPACE}{version}}}Document"
    for name, order in ORDER_09.items():
        for element in root.iter(f"{{{NAMESPACE}{version}}}{name}"):
            tags = [child.tag.partition("}")[2] for child in element]
            assert tags == sorted(tags, key=order.index), name
    amounts = [item.text for item in root.iterfind(".//m:InstdAmt", space)]
    assert amounts == ["0.01", "0.10", "2004.03", "999999999.99"]
    assert {item.text for item in root.iterfind(".//m:NbOfTxs", space)} == {"4"}
    assert {item.text for item in root.iterfind(".//m:CtrlSum", space)} == {"1000002004.13"}
    assert [item.text for item in root.iterfind(".//m:EndToEndId", space)] == [item.end_to_end_id for item in orders]
    dated = "m:ReqdExctnDt/m:Dt" if version.endswith("09") else "m:ReqdExctnDt"
    assert [item.text for item in root.iterfind(f".//m:PmtInf/{dated}", space)] == ["2025-01-07"]
    assert all(len(item.text or "") <= 35 for item in root.iterfind(".//m:InstrId", space))
    assert len(list(root.iterfind(".//m:UETR", space))) == (4 if version.endswith("09") else 0)


def test_the_same_batch_gives_the_same_bytes() -> None:
    assert build_batch(batch()) == build_batch(batch())
    data = build_batch(batch(transfer(creditor=replace(CREDITOR, name="<&\"'>"))))
    assert b"&lt;&amp;" in data
    assert write_xml(read_xml(data)) == data


def test_names_of_an_attempt_are_its_own_and_a_uetr_has_its_form() -> None:
    first, second = instruction_id(E2E, 1), instruction_id(E2E, 2)
    assert (len(first), first != second, uetr_of(first) != uetr_of(second)) == (35, True, True)
    assert uetr_of(first)[14] == "4"
    assert uetr_of(first)[19] in "89ab"


@pytest.mark.parametrize(
    ("changes", "code", "path"),
    [
        ({"message_id": "x" * 36}, "value", "Document/CstmrCdtTrfInitn/GrpHdr/MsgId"),
        ({"message_id": ""}, "value", "Document/CstmrCdtTrfInitn/GrpHdr/MsgId"),
        ({"created": "2025-01-06"}, "value", "Document/CstmrCdtTrfInitn/GrpHdr/CreDtTm"),
        ({"execution_date": "2025-13-01"}, "value", "Document/CstmrCdtTrfInitn/PmtInf/ReqdExctnDt/Dt"),
        ({"debtor": replace(DEBTOR, agent_bic="nobic")}, "value", "Document/CstmrCdtTrfInitn/PmtInf/DbtrAgt"),
        ({"debtor": replace(DEBTOR, name="")}, "value", "Document/CstmrCdtTrfInitn/GrpHdr/InitgPty/Nm"),
        ({"transfers": ()}, "batch_size", ""),
        ({"transfers": (transfer(), transfer())}, "batch_size", ""),
        ({"transfers": (transfer(), transfer(2, currency="EUR"))}, "batch_size", ""),
        ({"transfers": (transfer(currency="euro"),)}, "value", ""),
        ({"transfers": (transfer(fen=-1),)}, "amount", ""),
        ({"transfers": (transfer(fen=10**18),)}, "amount", ""),
        ({"transfers": (transfer(),) * (MAX_BATCH + 1)}, "batch_size", ""),
    ],
)
def test_files_that_are_not_written(changes: dict[str, Any], code: str, path: str) -> None:
    with pytest.raises(MessageError) as caught:
        build_batch(batch(**changes))
    assert caught.value.code == code
    assert caught.value.path.startswith(path)


def test_the_rows_refuse_what_stands_elsewhere() -> None:
    root = read_xml(build_batch(batch()))
    payment = root.children[0].children[1]
    for damage, code in (
        (lambda: payment.children.pop(0), "element_missing"),
        (lambda: payment.children.insert(0, Element("PmtInfId", text="again")), "element_repeated"),
        (lambda: payment.children.append(Element("Extra")), "element_unknown"),
        (lambda: payment.children.reverse(), "element_missing"),
    ):
        kept = list(payment.children)
        damage()
        with pytest.raises(MessageError) as caught:
            check_order_form(root, ORDER_VERSIONS[0])
        assert caught.value.code == code
        payment.children[:] = kept
    check_order_form(root, ORDER_VERSIONS[0])


@pytest.mark.parametrize(
    ("payee", "charset", "code"),
    [
        ({"name": "Zhang San", "account": "6222 0200 0000"}, "latin", None),
        ({"name": "张三", "account": "6222"}, "unicode", None),
        ({"name": "张三", "account": "6222"}, "latin", "charset"),
        ({"name": "A\nB", "account": "6222"}, "unicode", "charset"),
        ({"name": "x" * 71, "account": "6222"}, "unicode", "charset"),
        ({"name": "A", "account": "DE89370400440532013001"}, "latin", "account"),
        ({"name": "A", "account": "1" * 35}, "latin", "account"),
        ({"name": "A", "account": "12_34"}, "latin", "account"),
        ({"name": "A"}, "latin", "account"),
        ({"account": "6222"}, "latin", "account"),
        ({"name": 7, "account": "6222"}, "latin", "account"),
        ({"name": "A", "account": "6222", "agent_clearing": "x"}, "latin", "account"),
    ],
)
def test_payees(payee: dict[str, Any], charset: Any, code: str | None) -> None:
    if code is None:
        assert read_party(payee, charset).account.startswith("6222")
        return
    with pytest.raises(MessageError) as caught:
        read_party(payee, charset)
    assert caught.value.code == code
    for value in payee.values():
        assert len(str(value)) < 4 or str(value) not in str(caught.value), "an error says which field, never what"


@pytest.mark.parametrize(
    ("minor", "currency", "text"),
    [(0, "CNY", "0.00"), (5, "CNY", "0.05"), (200_403, "CNY", "2004.03"), (7, "JPY", "7"), (1234, "KWD", "1.234")],
)
def test_amounts_are_exact(minor: int, currency: str, text: str) -> None:
    assert format_amount(minor, currency) == text
    assert parse_amount(text, currency) == minor


@pytest.mark.parametrize(
    "text", ["", "-1", "+1", "1e3", ".5", "1,00", "1.005", "1.2.3", "9" * 19, "٣", "1.000000", " 1"]
)
def test_amounts_that_are_none(text: str) -> None:
    with pytest.raises(MessageError) as caught:
        parse_amount(text, "CNY", "Amt")
    assert caught.value.code == "amount"


def test_zeros_beyond_the_minor_unit_are_no_other_amount() -> None:
    assert [parse_amount(text, "CNY") for text in ("1", "1.", "1.5", "1.50000")] == [100, 100, 150, 150]


# --- answers


def test_a_report_on_three_levels() -> None:
    found = read_answers(report("CN-1", Said(E2E, f"{E2E}-01"), group="PART", payment="PART"))
    assert (found.kind, found.message_id) == ("pain.002", "R-1")
    assert found.facts == (
        StatusFact("CN-1", "group", Names(), "PART", ("AM04",)),
        StatusFact("CN-1", "payment", Names(), "PART", ("AM04",)),
        StatusFact("CN-1", "transaction", Names(E2E, f"{E2E}-01"), "RJCT", ("AC04",)),
    )


@pytest.mark.parametrize(("kind", "version"), [("camt.054", "08"), ("camt.054", "02"), ("camt.053", "08")])
@pytest.mark.parametrize("detail_amount", [True, False])
def test_bookings_and_returns(kind: str, version: str, detail_amount: bool) -> None:
    back = Said(E2E, sign="CRDT", is_return=True, reference="BANK-2")
    said = (Said(E2E), back, Said(E2E, booked="PDNG"), Said(E2E, sign="CRDT"), Said())
    found = read_answers(notification(*said, kind=kind, version=version, detail_amount=detail_amount))
    assert found.skipped == 3, "pending, somebody else's credit, and a debit that names nothing"
    assert found.facts == (
        EntryFact(Names(E2E), "debit", 200_403, "CNY", "2025-01-07", "BANK-1", ()),
        EntryFact(Names(E2E), "return", 200_403, "CNY", "2025-01-07", "BANK-2", ("AC04",)),
    )
    assert tuple(restore_fact(encode_fact(fact)) for fact in found.facts) == found.facts


def test_one_entry_over_several_transactions_takes_the_amount_of_each() -> None:
    found = read_answers(batch_entry([Said("A1", amount="1.00"), Said("A2", amount="2.5")], "3.50"))
    assert [fact.amount_fen for fact in found.facts if isinstance(fact, EntryFact)] == [100, 250]
    data = batch_entry([Said("A1"), Said("A2")], "3.50").replace(b'<Amt Ccy="CNY">2004.03</Amt>', b"", 1)
    with pytest.raises(MessageError) as caught:
        read_answers(data)
    assert caught.value.code == "element_missing"
    assert caught.value.path.endswith("Ntry[1]/NtryDtls/TxDtls[1]/Amt")


BOMB = b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "cc"><!ENTITY d "&b;&b;&b;">]><a>&d;</a>'
OUTSIDE = b'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>'
GOOD = notification(Said(E2E))


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (BOMB, "xml_doctype"),
        (OUTSIDE, "xml_doctype"),
        (b"<!DOCTYPE a><a/>", "xml_doctype"),
        (b"", "xml_form"),
        (b"<a>", "xml_form"),
        (b"<a/><b/>", "xml_form"),
        (b"<a>&unknown;</a>", "xml_form"),
        (b"<a>\xff</a>", "xml_encoding"),
        ("<a>金</a>".encode("gbk"), "xml_encoding"),
        (b'<?xml version="1.0" encoding="GBK"?><a/>', "xml_encoding"),
        (GOOD.decode().encode("utf-16"), "xml_encoding"),
        (b"<a>" * (MAX_DEPTH + 1), "xml_bounds"),
        (b"<a " + b" ".join(b'b%d="1"' % n for n in range(9)) + b"/>", "xml_bounds"),
        (b"<a>" + b"x" * 3_000 + b"</a>", "xml_bounds"),
        (b" " * (MAX_BYTES + 1), "xml_size"),
        (b"<a/>", "message_unknown"),
        (GOOD.replace(b"camt.054.001.08", b"camt.052.001.08"), "message_unknown"),
        (GOOD.replace(b"camt.054.001.08", b"camt.053.001.08"), "element_missing"),
        (GOOD.replace(b"<MsgId>N-1</MsgId>", b""), "element_missing"),
        (GOOD.replace(b"2004.03", b"2004.035"), "amount"),
        (GOOD.replace(b'Ccy="CNY"', b'Ccy="yuan"'), "value"),
        (GOOD.replace(b"DBIT", b"XXXX"), "value"),
        (GOOD.replace(b"2025-01-07</Dt>", b"07.01.2025</Dt>"), "date"),
        (GOOD.replace(b"<Dt>2025-01-07</Dt>", b""), "date"),
        (GOOD.replace(E2E.encode(), b"x" * 106), "value"),
        (report("CN-1", Said(E2E, status="rejected")), "value"),
    ],
)
def test_files_that_are_refused_whole(data: bytes, code: str) -> None:
    with pytest.raises(MessageError) as caught:
        read_answers(data)
    assert caught.value.code == code
    assert len(str(caught.value)) < 400
