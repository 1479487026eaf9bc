"""Decoders of what a bank sends, and of a payee's account on its way to one."""

import json
from typing import Any, Final

from ledger.encoding import decode
from ledger.errors import DecodeError
from node.api.payments import RetryRequest
from node.api.problems import ApiError
from node.interop.iso20022.answers import read_answers
from node.interop.iso20022.errors import MessageError
from node.interop.iso20022.money import format_amount, parse_amount
from node.interop.iso20022.orders import read_party
from node.interop.iso20022.xmltext import read_xml, write_xml
from tests.fuzz import samples
from tests.fuzz.checking import Decoder
from tests.fuzz.mutations import Sample, document
from tests.fuzz.outside_decoders import _body
from tests.support.bank_messages import Said, batch_entry, notification, report

NAME = "A" * 32
PAYEE = {"name": "Zhang San", "account": "DE89370400440532013000", "agent_bic": "COBADEFFXXX", "salt": "00" * 32}


def _messages() -> list[Sample]:
    said = Said(NAME, f"{NAME}-01", reference="BANK-7")
    back = Said(NAME, sign="CRDT", is_return=True)
    found = (
        report("CN-1", said, group="PART", payment="RJCT"),
        notification(said, back),
        notification(said, kind="camt.053", version="02", detail_amount=False),
        batch_entry([said, Said("B" * 32)], "4008.06"),
    )
    return [Sample(item) for item in found]


def _party(data: bytes) -> Any:
    value = decode(data)
    return read_party(value) if isinstance(value, dict) else value


BANK: Final[tuple[Decoder, ...]] = (
    Decoder("node.interop.iso20022.answers:read_answers", read_answers, _messages, (MessageError,), weight=8),
    Decoder("node.interop.iso20022.xmltext:read_xml", read_xml, _messages, (MessageError,), write_xml, canonical=False),
    Decoder(
        "node.interop.iso20022.money:parse_amount",
        lambda data: parse_amount(data.decode("latin-1"), "CNY", "Amt"),
        lambda: [Sample(b"2004.03"), Sample(b"7"), Sample(b"0.5")],
        (MessageError,),
        lambda value: format_amount(value, "CNY").encode(),
        canonical=False,
        weight=1,
    ),
    Decoder(
        "node.interop.iso20022.orders:read_party",
        _party,
        lambda: [document(json.dumps(PAYEE, separators=(",", ":"), sort_keys=True).encode())],
        (MessageError, DecodeError),
    ),
    Decoder(
        "node.api.answers:read_body/RetryRequest",
        _body(RetryRequest),
        lambda: samples.values({"token": "a.b.c", "payee": PAYEE}),
        (ApiError,),
    ),
)
