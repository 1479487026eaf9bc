"""What a bank would send: pain.002, camt.053 and camt.054 as bytes, written here without the code under test."""

from collections.abc import Iterable
from dataclasses import dataclass

SPACE = "urn:iso:std:iso:20022:tech:xsd:"


@dataclass(frozen=True)
class Said:
    """One transaction of a report or entry of a notification."""

    end_to_end_id: str = ""
    instruction_id: str = ""
    uetr: str = ""
    status: str = "RJCT"
    reason: str = "AC04"
    amount: str = "2004.03"
    currency: str = "CNY"
    sign: str = "DBIT"
    booked: str = "BOOK"
    date: str = "2025-01-07"
    reference: str = "BANK-1"
    is_return: bool = False


def report(message_id: str, *said: Said, group: str = "", payment: str = "", version: str = "10") -> bytes:
    """pain.002 about our file `message_id`."""
    items = "".join(
        f"<TxInfAndSts><OrgnlInstrId>{item.instruction_id}</OrgnlInstrId>"
        f"<OrgnlEndToEndId>{item.end_to_end_id or 'NOTPROVIDED'}</OrgnlEndToEndId><TxSts>{item.status}</TxSts>"
        f"<StsRsnInf><Rsn><Cd>{item.reason}</Cd></Rsn><AddtlInf>Zhang San, 6222</AddtlInf></StsRsnInf></TxInfAndSts>"
        for item in said
    )
    reason = "<StsRsnInf><Rsn><Cd>AM04</Cd></Rsn></StsRsnInf>"
    about = f"<OrgnlMsgId>{message_id}</OrgnlMsgId><OrgnlMsgNmId>pain.001.001.09</OrgnlMsgNmId>"
    about += f"<GrpSts>{group}</GrpSts>{reason}" if group else ""
    inside = f"<OrgnlPmtInfId>{message_id}</OrgnlPmtInfId>"
    inside += f"<PmtInfSts>{payment}</PmtInfSts>{reason}" if payment else ""
    return (
        f'<?xml version="1.0" encoding="UTF-8"?><Document xmlns="{SPACE}pain.002.001.{version}"><CstmrPmtStsRpt>'
        f"<GrpHdr><MsgId>R-1</MsgId><CreDtTm>2025-01-07T08:00:00</CreDtTm></GrpHdr>"
        f"<OrgnlGrpInfAndSts>{about}</OrgnlGrpInfAndSts><OrgnlPmtInfAndSts>{inside}{items}</OrgnlPmtInfAndSts>"
        f"</CstmrPmtStsRpt></Document>"
    ).encode()


def notification(*said: Said, kind: str = "camt.054", version: str = "08", detail_amount: bool = True) -> bytes:
    """camt.054 or camt.053 with one entry for each."""
    body, part = ("BkToCstmrDbtCdtNtfctn", "Ntfctn") if kind == "camt.054" else ("BkToCstmrStmt", "Stmt")
    entries = "".join(_entry(item, version, detail_amount) for item in said)
    return (
        f'<?xml version="1.0" encoding="UTF-8"?><Document xmlns="{SPACE}{kind}.001.{version}"><{body}>'
        f"<GrpHdr><MsgId>N-1</MsgId><CreDtTm>2025-01-07T08:00:00</CreDtTm></GrpHdr>"
        f"<{part}><Id>N-1-1</Id><Acct><Id><Othr><Id>1</Id></Othr></Id></Acct>{entries}</{part}></{body}></Document>"
    ).encode()


def batch_entry(said: Iterable[Said], total: str) -> bytes:
    """camt.054 with one entry over several transactions."""
    details = "".join(_details(item, True) for item in said)
    entry = (
        f'<Ntry><Amt Ccy="CNY">{total}</Amt><CdtDbtInd>DBIT</CdtDbtInd><Sts><Cd>BOOK</Cd></Sts>'
        f"<BookgDt><DtTm>2025-01-07T23:59:59+08:00</DtTm></BookgDt><NtryDtls>{details}</NtryDtls></Ntry>"
    )
    return (
        f'<Document xmlns="{SPACE}camt.054.001.08"><BkToCstmrDbtCdtNtfctn><GrpHdr><MsgId>N-2</MsgId></GrpHdr>'
        f"<Ntfctn><Id>N-2-1</Id>{entry}</Ntfctn></BkToCstmrDbtCdtNtfctn></Document>"
    ).encode()


def _entry(item: Said, version: str, detail_amount: bool) -> str:
    status = f"<Sts><Cd>{item.booked}</Cd></Sts>" if version >= "08" else f"<Sts>{item.booked}</Sts>"
    return (
        f'<Ntry><Amt Ccy="{item.currency}">{item.amount}</Amt><CdtDbtInd>{item.sign}</CdtDbtInd>{status}'
        f"<BookgDt><Dt>{item.date}</Dt></BookgDt><AcctSvcrRef>{item.reference}</AcctSvcrRef>"
        f"<BkTxCd><Prtry><Cd>X</Cd></Prtry></BkTxCd>"
        f"<NtryDtls>{_details(item, detail_amount)}</NtryDtls></Ntry>"
    )


def _details(item: Said, with_amount: bool) -> str:
    names = [("AcctSvcrRef", item.reference), ("InstrId", item.instruction_id)]
    names += [("EndToEndId", item.end_to_end_id), ("UETR", item.uetr)]
    refs = "".join(f"<{tag}>{text}</{tag}>" for tag, text in names if text)
    amount = f'<Amt Ccy="{item.currency}">{item.amount}</Amt>' if with_amount else ""
    back = f"<RtrInf><Rsn><Cd>{item.reason}</Cd></Rsn></RtrInf>" if item.is_return else ""
    return f"<TxDtls><Refs>{refs}</Refs>{amount}<CdtDbtInd>{item.sign}</CdtDbtInd>{back}</TxDtls>"
