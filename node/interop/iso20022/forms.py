"""The shape of pain.001 as data: which element stands where, how often, and what may stand in it.

Written from the published message definitions pain.001.001.03 and pain.001.001.09, and cut to what a claim's payment
needs: every element that is here stands in the definition at this place, optional ones that are never written are left
out, so a document that passes is a document of the whole definition too. Must always hold: `check_form` knows the rows
and no element's name.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from node.interop.iso20022.errors import MessageError
from node.interop.iso20022.money import parse_amount
from node.interop.iso20022.xmltext import Element

NAMESPACE: Final = "urn:iso:std:iso:20022:tech:xsd:"
ORDER_VERSIONS: Final = ("pain.001.001.09", "pain.001.001.03")
"""Of 2019, with UETR, for banks that follow the message set of cross-border payments since 2022 and the SEPA rule books
since 2023; and of 2009, which banks in China and older connections take."""
MANY: Final = 1_000_000
"""No bound of the definition; what is written is bounded by MAX_BATCH."""


@dataclass(frozen=True, slots=True)
class Value:
    """Text with a pattern and a length in characters."""

    pattern: str = ".+"
    longest: int = 2_048


@dataclass(frozen=True, slots=True)
class Money:
    """Decimal text with the attribute Ccy."""


@dataclass(frozen=True, slots=True)
class Part:
    """One row: an element, the form of what is in it, and how often it stands here."""

    tag: str
    form: str
    least: int = 1
    most: int = 1


Form: TypeAlias = Value | Money | Sequence[Part]

_TIME = r"T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]{1,9})?(Z|[+-][0-9]{2}:[0-9]{2})?"
_DATE = r"[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])"
_COMMON: Final[dict[str, Form]] = {
    "Max15Number": Value(r"[0-9]{1,15}", 15),
    "Decimal": Value(r"[0-9]{1,17}(\.[0-9]{1,17})?", 19),
    "Max34": Value(longest=34),
    "Max35": Value(longest=35),
    "Max70": Value(longest=70),
    "Max140": Value(longest=140),
    "Method": Value("TRF", 3),
    "Charges": Value("DEBT|CRED|SHAR|SLEV", 4),
    "Boolean": Value("true|false", 5),
    "Date": Value(_DATE, 10),
    "DateTime": Value(
        _DATE + r"T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]{1,9})?(Z|[+-][0-9]{2}:[0-9]{2})?", 35
    ),
    "Iban": Value(r"[A-Z]{2}[0-9]{2}[a-zA-Z0-9]{1,30}", 34),
    "Bic": Value(r"[A-Z0-9]{4}[A-Z]{2}[A-Z0-9]{2}([A-Z0-9]{3})?", 11),
    "Uetr": Value(r"[a-f0-9]{8}-[a-f0-9]{4}-4[a-f0-9]{3}-[89ab][a-f0-9]{3}-[a-f0-9]{12}", 36),
    "ClearingCode": Value(r"[A-Z0-9]{1,5}", 5),
    "Amount": Money(),
    "Document": (Part("CstmrCdtTrfInitn", "Initiation"),),
    "Initiation": (Part("GrpHdr", "GroupHeader"), Part("PmtInf", "Payment", 1, MANY)),
    "GroupHeader": (
        Part("MsgId", "Max35"),
        Part("CreDtTm", "DateTime"),
        Part("NbOfTxs", "Max15Number"),
        Part("CtrlSum", "Decimal", 0),
        Part("InitgPty", "Party"),
    ),
    "Party": (Part("Nm", "Max140", 0),),
    "Payment": (
        Part("PmtInfId", "Max35"),
        Part("PmtMtd", "Method"),
        Part("BtchBookg", "Boolean", 0),
        Part("NbOfTxs", "Max15Number", 0),
        Part("CtrlSum", "Decimal", 0),
        Part("ReqdExctnDt", "ExecutionDate"),
        Part("Dbtr", "Party"),
        Part("DbtrAcct", "Account"),
        Part("DbtrAgt", "Agent"),
        Part("ChrgBr", "Charges", 0),
        Part("CdtTrfTxInf", "Transfer", 1, MANY),
    ),
    "Account": (Part("Id", "AccountChoice"), Part("Ccy", "Currency", 0)),
    "AccountChoice": (Part("IBAN", "Iban", 0), Part("Othr", "OtherAccount", 0)),
    "OtherAccount": (Part("Id", "Max34"),),
    "Currency": Value("[A-Z]{3}", 3),
    "Agent": (Part("FinInstnId", "Institution"),),
    "Clearing": (Part("ClrSysId", "ClearingChoice", 0), Part("MmbId", "Max35")),
    "ClearingChoice": (Part("Cd", "ClearingCode"),),
    "OtherAgent": (Part("Id", "Max35"),),
    "Transfer": (
        Part("PmtId", "PaymentId"),
        Part("Amt", "AmountChoice"),
        Part("CdtrAgt", "Agent", 0),
        Part("Cdtr", "Party", 0),
        Part("CdtrAcct", "Account", 0),
        Part("Purp", "Purpose", 0),
        Part("RmtInf", "Remittance", 0),
    ),
    "AmountChoice": (Part("InstdAmt", "Amount"),),
    "Purpose": (Part("Cd", "PurposeCode"),),
    "PurposeCode": Value("[A-Z]{4}", 4),
    "Remittance": (Part("Ustrd", "Max140", 0, MANY),),
}
_INSTITUTION: Final = (
    Part("ClrSysMmbId", "Clearing", 0),
    Part("Nm", "Max140", 0),
    Part("Othr", "OtherAgent", 0),
)
FORMS: Final[Mapping[str, Mapping[str, Form]]] = {
    "pain.001.001.09": {
        **_COMMON,
        "ExecutionDate": (Part("Dt", "Date"),),
        "Institution": (Part("BICFI", "Bic", 0), *_INSTITUTION),
        "PaymentId": (Part("InstrId", "Max35", 0), Part("EndToEndId", "Max35"), Part("UETR", "Uetr", 0)),
    },
    "pain.001.001.03": {
        **_COMMON,
        "ExecutionDate": _COMMON["Date"],
        "Institution": (Part("BIC", "Bic", 0), *_INSTITUTION),
        "PaymentId": (Part("InstrId", "Max35", 0), Part("EndToEndId", "Max35")),
    },
}
CHOICES: Final = frozenset({"AccountChoice"})
"""Forms of which exactly one element stands."""


def check_order_form(root: Element, version: str) -> None:
    """A document against the rows of its version. Raises MessageError naming the first place that is wrong."""
    if root.tag != "Document" or root.namespace != NAMESPACE + version:
        raise MessageError("message_unknown", root.tag, f"no document of {version}")
    _check(root, "Document", FORMS[version], "Document")


def _check(element: Element, name: str, forms: Mapping[str, Form], path: str) -> None:
    form = forms[name]
    if isinstance(form, Value):
        _check_value(element, form, path)
    elif isinstance(form, Money):
        parse_amount(element.text, element.attributes.get("Ccy", ""), path)
    else:
        _check_parts(element, form, forms, path)
        if name in CHOICES and len(element.children) != 1:
            raise MessageError("element_missing", path, "exactly one of its elements is given")


def _check_value(element: Element, form: Value, path: str) -> None:
    if element.children or not 1 <= len(element.text) <= form.longest:
        raise MessageError("value", path, f"1 to {form.longest} characters and no elements")
    if not re.fullmatch(form.pattern, element.text):
        raise MessageError("value", path, f"not of the form {form.pattern}")


def _check_parts(element: Element, parts: Sequence[Part], forms: Mapping[str, Form], path: str) -> None:
    """Children in the order of the rows, each as often as its row says."""
    place = 0
    for part in parts:
        count = 0
        while place < len(element.children) and element.children[place].tag == part.tag:
            _check(element.children[place], part.form, forms, f"{path}/{part.tag}")
            place, count = place + 1, count + 1
        if count < part.least:
            raise MessageError("element_missing", f"{path}/{part.tag}", f"{count} of {part.least}")
        if count > part.most:
            raise MessageError("element_repeated", f"{path}/{part.tag}", f"{count}, at most {part.most}")
    if place < len(element.children):
        raise MessageError("element_unknown", f"{path}/{element.children[place].tag}", "not here")
