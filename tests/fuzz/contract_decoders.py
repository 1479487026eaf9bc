"""Decoders of contracts/: transaction bodies, tokens, genesis, cases, invoices, products, programs, packages."""

import copy
import json
from typing import Any

from msgspec import to_builtins
from msgspec.structs import replace

from contracts.bodies import BODIES
from contracts.case import decode_case, encode_case, read_case
from contracts.cases.accounts import empty_use
from contracts.cases.checking import Mismatch
from contracts.cases.documents import Record, encode_record, read_record
from contracts.cases.errors import CaseError
from contracts.cases.holds import Forecast, Interim, read_forecast
from contracts.cases.lanes import GuaranteeLane, read_lanes
from contracts.cases.movements import Balance, book_outcome, read_balance
from contracts.cases.openings import open_account
from contracts.cases.outcomes import read_adjudication
from contracts.cases.packages import read_package
from contracts.cases.pools import InvoiceLoss, open_pool, read_losses
from contracts.claimtokens import DISPUTE_TYPE, Complaint
from contracts.einvoice import validate
from contracts.einvoice_regions import validate_in_region
from contracts.errors import GenesisError, InputError, TokenError
from contracts.execution import genesis_state
from contracts.genesis import decode_genesis, encode_genesis
from contracts.holdtokens import RECOVERY_TYPE
from contracts.inputs import decode_document
from contracts.kinds import prepare
from contracts.machine.bundle import ProgramBundle, build_bundle
from contracts.machine.errors import ProgramRefused
from contracts.machine.evaluation import load_program
from contracts.machine.lint import lint_bundle
from contracts.product import read_product
from contracts.products.faults import ProductRefused
from contracts.products.release import Release, decode_release, read_product_folder, write_product_folder
from contracts.risk.parameters import (
    DEFAULTS,
    ParametersError,
    decode_parameters,
    encode_parameters,
    parse_parameters,
)
from contracts.risk.reading import read_request
from contracts.risktokens import APPEAL_TYPE
from contracts.tokens import (
    ACKNOWLEDGEMENT_TYPE,
    AMENDMENT_TYPE,
    CONSENT_TYPE,
    CONTEST_TYPE,
    PAYEE_TYPE,
    REVOCATION_TYPE,
    decode_acknowledgement,
    decode_amendment,
    decode_consent,
    decode_contest,
    decode_payee_change,
    decode_recovery_word,
    decode_revocation,
    decode_risk_appeal,
    decode_token,
    peek_acknowledgement,
    peek_amendment,
    peek_contest,
    peek_token,
)
from ledger.crypto import ed25519
from ledger.encoding import convert, decode, encode
from ledger.errors import DecodeError, InvalidTransaction
from ledger.transactions import decode_transaction
from node.agents.programs import read_bundle
from tests.fuzz import samples
from tests.fuzz.checking import Decoder
from tests.fuzz.mutations import Sample, document, toml
from tests.support.invoices import INPATIENT, OUTPATIENT, VAT, build_red, build_request
from tests.support.risk_records import claim_document, hospital_document


def _pool_samples() -> list[Sample]:
    """A pool before anybody paid, and one that two outcomes and a red invoice went through."""
    losses = (InvoiceLoss("ab" * 32, 1_000, {}), InvoiceLoss("cd" * 32, 700, {}))
    paid = (InvoiceLoss("ab" * 32, 1_000, {"01" * 32: 400, "02" * 32: 600}), InvoiceLoss("cd" * 32, -7, {}))
    return samples.values(*(open_pool("ef" * 32, at, item, "00" * 32) for at, item in enumerate((paid, losses))))


def _object(data: bytes) -> dict[str, Any]:
    """A JSON object: what a parcel's closed form lets through to this reader."""
    return convert(decode(data), dict[str, Any])


FORECASTER = ed25519.public_key(samples.SECRET).hex()
LANES = {"lanes": {"advance": {"ratio_bp": 5000, "forecast_keys": [FORECASTER]}, "hospitals": ["hospital"]}}
INTERIM = Interim("advance", "ab" * 32, "ab" * 32, "ab" * 16, Record("cd" * 32, "interim", {}, ""))


def _forecast_samples() -> list[Sample]:
    unsigned = Forecast("ab" * 32, "cd" * 32, 5, FORECASTER, "00" * 64)
    signature = ed25519.sign(samples.SECRET, unsigned.message).hex()
    return samples.values(to_builtins(replace(unsigned, signature=signature)))


def _account_samples() -> list[Sample]:
    entry = {"paid_fen": 900, "deductible_used_fen": 50, "days_paid": 3, "day_paid_fen": {"2022-02-01": 900}}
    use = {
        "prior_use": {"2022": {"OP": entry}},
        "family_deductible_used_fen": {"2022": {"OP": 50}},
        "lifetime_paid_fen": {"OP": 900},
        "used_invoices": [{"code": "33060121", "number": "0000000001"}],
    }
    balance = book_outcome(Balance(empty_use()), use, "cd" * 32)
    return samples.values(open_account("ab" * 16, 1, balance, "00" * 32))


def _text(data: bytes) -> str:
    return data.decode("latin-1")


def _key() -> str:
    return samples.story().customer.consent.key


def _body(data: bytes) -> Any:
    """A body in its schema: what prepare and the directory make of it."""
    signed = decode_transaction(data)
    prepare(signed)
    kind = BODIES.get(signed.content.kind)
    return signed if kind is None else convert(signed.content.body, kind)


def _genesis_samples() -> list[Sample]:
    return [document(samples.story().network.genesis_bytes)]


def _case_samples() -> list[Sample]:
    return [document(json.dumps(item).encode()) for item in samples.cases()[:12]]


def _product(data: bytes) -> Any:
    return read_product(decode_document(data))


def _product_samples() -> list[Sample]:
    return [document(json.dumps(item["policies"][0]["product"]).encode()) for item in samples.cases()[:12]]


def _adjudication(data: bytes) -> Any:
    output = decode(data)
    return read_adjudication(read_case(copy.deepcopy(samples.cases()[0])), output, [])


def _adjudication_samples() -> list[Sample]:
    amounts = dict.fromkeys(("total_fen", "advance_fen", "net_fen", "recoverable_fen", "claimed_fen"), 0)
    fields = amounts | {"benefits": [], "decision": "zero_pay", "review": False, "review_reasons": []}
    results = [{"policy_no": item["policy_no"], **fields} for item in samples.cases()[0]["policies"]]
    return samples.values({"results": results})


def _invoice_samples() -> list[Sample]:
    requests = [build_request(item) for item in (OUTPATIENT, INPATIENT, VAT)]
    requests.append(build_request(build_red(OUTPATIENT), known=[OUTPATIENT, INPATIENT]))
    return [document(json.dumps(item, ensure_ascii=False).encode()) for item in requests]


def _record_samples() -> list[Sample]:
    return [document(encode_record("invoice", "ab" * 32, "cd" * 32, OUTPATIENT, "ef" * 32))]


def _package_samples() -> list[Sample]:
    statement = json.loads(next(item for item in samples.transactions() if b'"claim.adjudicate"' in item))["body"][
        "statements"
    ][0]["statement"]
    names = ("terms", "tables", "account_in", "account_out", "pool_in", "pool_out", "event_date", "result")
    policy: dict[str, Any] = {name: {"salt": "ab" * 32} for name in names}
    record = {"record_id": "ab" * 32, "record_type": "invoice", "document": OUTPATIENT, "secret": "cd" * 32}
    package = {"claim_id": "ab" * 32, "attempt": 1, "height": 9, "released": False, "payee": {"account": "1"}}
    return samples.values(
        {**package, "records": [record], "policies": [{"policy_id": "ab" * 16, "statement": statement, **policy}]}
    )


def _release(data: bytes) -> Any:
    """Program, tables and examples, as a list of the three that a proposal carries as texts."""
    parts = decode(data)
    texts = [encode(part).decode() for part in (parts if isinstance(parts, list) else [])]
    return decode_release(*[*texts, "", "", ""][:3])


def _encode_release(release: Release) -> bytes:
    texts = (release.program_text, release.tables_text, release.examples_text)
    return encode([decode(text.encode()) for text in texts])


def _release_samples() -> list[Sample]:
    program = {"files": {"program.star": "def adjudicate(case, trace):\n    return {}\n"}, "language": "starlark-c1"}
    example = {"name": "one", "title": "One", "worked": "", "input": {"policies": [{}]}, "expected": {"results": []}}
    tables = [read_product(item["policies"][0]["product"]) for item in samples.cases()[:4]]
    return samples.values(*([program, item, [example]] for item in tables))


_FILE_MARK = b"\n=== "


def _folder(data: bytes) -> Any:
    """Files of a product folder one after the other, each after a line with its name."""
    parts = (part.partition(b" ===\n") for part in data.split(_FILE_MARK)[1:])
    return read_product_folder({name.decode("latin-1"): content for name, _, content in parts}, _own_program())


def _own_program() -> ProgramBundle:
    return build_bundle({"program.star": "def adjudicate(case, trace):\n    return {}\n"})


def _encode_folder(release: Release) -> bytes:
    files = write_product_folder(release, _own_program())
    return b"".join(_FILE_MARK + name.encode("latin-1") + b" ===\n" + content for name, content in files.items())


def _folder_samples() -> list[Sample]:
    releases = (_release(sample.data) for sample in _release_samples())
    return [Sample(_encode_folder(item)) for item in releases]


def _program(data: bytes) -> Any:
    """A program's files: form, lint, and what Starlark itself makes of them."""
    bundle = read_bundle(data.decode("utf-8", "replace"))
    lint_bundle(bundle)
    return load_program(bundle)


def _program_samples() -> list[Sample]:
    small = {"program.star": 'def adjudicate(case, trace):\n    return {"results": [1 + 2, "a" + str(len(case))]}\n'}
    two = {"a.star": "def f(x):\n    return [y for y in range(3) if y]\n", **small}
    bundles = ({"files": files, "language": "starlark-c1"} for files in (small, two))
    return samples.values(*bundles)


def _risk_samples() -> list[Sample]:
    return [document(json.dumps(item, ensure_ascii=False).encode()) for item in (claim_document(), hospital_document())]


CONTRACTS = (
    Decoder(
        "contracts.kinds:prepare",
        _body,
        samples.transaction_samples,
        (DecodeError, InvalidTransaction),
        None,
        weight=12,
    ),
    Decoder(
        "contracts.tokens:decode_consent",
        lambda data: decode_consent(_text(data)),
        lambda: samples.token_samples(CONSENT_TYPE),
        (TokenError,),
        None,
        weight=12,
    ),
    Decoder(
        "contracts.tokens:decode_revocation",
        lambda data: decode_revocation(_text(data), _key()),
        lambda: samples.token_samples(REVOCATION_TYPE),
        (TokenError,),
    ),
    Decoder(
        "contracts.tokens:decode_acknowledgement",
        lambda data: decode_acknowledgement(_text(data), _key()),
        lambda: samples.token_samples(ACKNOWLEDGEMENT_TYPE),
        (TokenError,),
    ),
    Decoder(
        "contracts.tokens:peek_acknowledgement",
        lambda data: peek_acknowledgement(_text(data)),
        lambda: samples.token_samples(ACKNOWLEDGEMENT_TYPE),
        (TokenError,),
    ),
    Decoder(
        "contracts.tokens:decode_contest",
        lambda data: decode_contest(_text(data), _key()),
        lambda: samples.token_samples(CONTEST_TYPE),
        (TokenError,),
    ),
    Decoder(
        "contracts.tokens:peek_contest",
        lambda data: peek_contest(_text(data)),
        lambda: samples.token_samples(CONTEST_TYPE),
        (TokenError,),
    ),
    Decoder(
        "contracts.tokens:decode_payee_change",
        lambda data: decode_payee_change(_text(data), _key()),
        lambda: samples.token_samples(PAYEE_TYPE),
        (TokenError,),
    ),
    Decoder(
        "contracts.tokens:decode_recovery_word",
        lambda data: decode_recovery_word(_text(data), _key()),
        lambda: samples.token_samples(RECOVERY_TYPE),
        (TokenError,),
    ),
    Decoder(
        "contracts.tokens:decode_risk_appeal",
        lambda data: decode_risk_appeal(_text(data), _key()),
        lambda: samples.token_samples(APPEAL_TYPE),
        (TokenError,),
    ),
    Decoder(
        "contracts.tokens:decode_amendment",
        lambda data: decode_amendment(_text(data), _key()),
        lambda: samples.token_samples(AMENDMENT_TYPE),
        (TokenError,),
    ),
    Decoder(
        "contracts.tokens:peek_amendment",
        lambda data: peek_amendment(_text(data)),
        lambda: samples.token_samples(AMENDMENT_TYPE),
        (TokenError,),
    ),
    Decoder(
        "contracts.cases.pools:read_losses",
        lambda data: read_losses(_object(data)),
        _pool_samples,
        (DecodeError, CaseError),
    ),
    Decoder(
        "contracts.tokens:decode_token",
        lambda data: decode_token(_text(data), DISPUTE_TYPE, Complaint, _key()),
        lambda: samples.token_samples(DISPUTE_TYPE),
        (TokenError,),
    ),
    Decoder(
        "contracts.tokens:peek_token",
        lambda data: peek_token(_text(data), DISPUTE_TYPE, Complaint),
        lambda: samples.token_samples(DISPUTE_TYPE),
        (TokenError,),
    ),
    Decoder(
        "contracts.cases.movements:read_balance",
        lambda data: read_balance(decode(data)),
        _account_samples,
        (DecodeError, CaseError),
    ),
    Decoder(
        "contracts.cases.lanes:read_lanes",
        lambda data: read_lanes(decode(data)),
        lambda: samples.values(LANES),
        (DecodeError, CaseError),
    ),
    Decoder(
        "contracts.cases.holds:read_forecast",
        lambda data: read_forecast(decode(data), INTERIM, read_lanes(LANES).advance or GuaranteeLane()),
        _forecast_samples,
        (DecodeError, CaseError),
    ),
    Decoder(
        "contracts.genesis:decode_genesis", decode_genesis, _genesis_samples, (DecodeError,), encode_genesis, weight=2
    ),
    Decoder(
        "contracts.execution:genesis_state",
        genesis_state,
        _genesis_samples,
        (DecodeError, GenesisError),
        None,
        weight=1,
        message=20_000,
    ),
    Decoder("contracts.inputs:decode_document", decode_document, _case_samples, (InputError,), None, weight=4),
    Decoder(
        "contracts.case:decode_case",
        lambda data: encode_case(decode_case(data)),
        _case_samples,
        (InputError,),
        None,
        weight=4,
    ),
    Decoder("contracts.product:read_product", _product, _product_samples, (InputError,), None, weight=4),
    Decoder(
        "contracts.einvoice:validate",
        lambda data: validate(decode_document(data)),
        _invoice_samples,
        (InputError,),
        None,
        weight=8,
    ),
    Decoder(
        "contracts.einvoice_regions:validate_in_region",
        lambda data: validate_in_region(decode_document(data), "45"),
        _invoice_samples,
        (InputError,),
    ),
    Decoder(
        "contracts.cases.documents:read_record",
        lambda data: read_record("ab" * 32, decode(data)),
        _record_samples,
        (DecodeError, CaseError),
    ),
    Decoder(
        "contracts.cases.outcomes:read_adjudication",
        _adjudication,
        _adjudication_samples,
        (DecodeError, CaseError),
        None,
        weight=1,
    ),
    Decoder(
        "contracts.cases.packages:read_package",
        lambda data: read_package(decode(data)),
        _package_samples,
        (DecodeError, Mismatch),
    ),
    Decoder(
        "contracts.products.release:decode_release",
        _release,
        _release_samples,
        (ProductRefused, DecodeError),
        _encode_release,
        message=4_000,
    ),
    Decoder(
        "contracts.products.release:read_product_folder",
        _folder,
        _folder_samples,
        (ProductRefused,),
        _encode_folder,
        canonical=False,
        message=4_000,
    ),
    Decoder("contracts.machine.evaluation:load_program", _program, _program_samples, (ProgramRefused,), None, weight=4),
    Decoder(
        "contracts.risk.reading:read_request",
        lambda data: read_request(decode_document(data)),
        _risk_samples,
        (InputError,),
    ),
    Decoder(
        "contracts.risk.parameters:decode_parameters",
        decode_parameters,
        lambda: [document(encode_parameters(DEFAULTS))],
        (ParametersError,),
        encode_parameters,
        message=20_000,
    ),
    Decoder(
        "contracts.risk.parameters:parse_parameters",
        parse_parameters,
        lambda: [toml(json.loads(encode_parameters(DEFAULTS)))],
        (ParametersError,),
        message=20_000,
    ),
)
