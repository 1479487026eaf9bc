"""Decoders of node/ and cli/ for everybody else: API bodies, files of operators, auditors and customers."""

import json
import tomllib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from starlette.requests import Request

from cli.audit_proofs import read_identity
from cli.consent import Draft, _as_draft
from cli.consent_files import decode_attestation, read_instant
from cli.errors import CliError
from cli.network_config import load_network_config
from cli.network_setup import parse_time
from contracts.consenttokens import Attestation
from contracts.errors import InputError
from contracts.machine.errors import ProgramRefused
from contracts.reports.closings import read_mapping
from contracts.reports.fees import read_rates
from ledger.certificates import verify_finality
from ledger.encoding import decode, encode
from ledger.errors import DecodeError, InvalidProof, KeyFileError
from node.api.answers import read_body
from node.api.backtests import BacktestOrder, ShadowSwitch
from node.api.contracts import Ballot, Proposal
from node.api.customers import Consents, PayeeRequest, RevocationRequest
from node.api.events import _named
from node.api.evidence import Policies, Records
from node.api.feedback import AnswerRequest, FeedbackRequest
from node.api.problems import ApiError
from node.api.risks import SignalRequest, SignalWithdrawal
from node.api.tokens import load_tokens, read_token_file
from node.api.transactions import split_batch
from node.api.work import ReviewRequest, TakeRequest
from node.audit.dossier import decode_dossier, encode_dossier
from node.audit.proofcheck import verify_proof
from node.audit.proofs import decode_proof, encode_proof, encode_readable
from node.audit.report import AuditFailure
from node.audit.verify import read_trust, verify_dossier
from node.config import decode_config, load_config
from node.errors import ConfigError
from node.interop.fhir_folder import FolderError, read_folder
from node.machine.programs import read_program
from node.vault.sealing import Sealer
from node.wallet import ConsentWallet, WalletError, decode_wallet, encode_wallet, open_mail
from tests.fuzz import samples
from tests.fuzz.checking import ROOT, Decoder
from tests.fuzz.mutations import Sample, around, document, toml
from tests.support.invoice_story import absence, inclusion, invoice_story, presence
from tests.support.invoices import OUTPATIENT
from tests.support.network_builder import NETWORK

ID = "ab" * 32
RATE = {"service": "s", "unit": "case", "fen": 1, "first": "2026-01-01", "last": "2026-12-31", "count": 2}
SEALER = Sealer(b"k" * 32)
FILE_MESSAGE = 100_000
"""A file of an operator may have many faults, all of which are named."""


def _body(kind: type) -> Callable[[bytes], Any]:
    def read(data: bytes) -> Any:
        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": data, "more_body": False}

        request = Request({"type": "http", "method": "POST", "headers": []}, receive)  # type: ignore[arg-type]
        reading = read_body(request, kind)
        try:
            reading.send(None)
        except StopIteration as done:
            return done.value
        raise AssertionError("a body that is there needs no waiting")

    return read


def _cursor(data: bytes) -> int:
    """The header in which a browser names the last event that it has."""
    return _named(Request({"type": "http", "headers": [(b"last-event-id", data)]}), None, 10**15)


def _bodies(kind: type) -> Decoder:
    tokens = [samples.story().customer.token] if kind is Consents else []
    values: dict[type, Any] = {
        Consents: {"tokens": tokens},
        RevocationRequest: {"token": None, "slip": ID},
        PayeeRequest: {"token": "a.b.c", "envelope": "00ff"},
        Records: {"consent_id": ID, "documents": [{"record_type": "invoice", "document": OUTPATIENT}]},
        Policies: {"policies": [{"terms": {}, "product": {}}]},
        Proposal: {
            "changes": [{"change": "contract.withdraw", "product_hash": ID, "reason": "fault"}],
            "expires_ms": 1,
        },
        Ballot: {"despite_faults": "agreed"},
        BacktestOrder: {"release": ID, "product": "P", "limit": 5, "compound": True},
        ShadowSwitch: {"release": None},
        FeedbackRequest: {"token": "a.b.c"},
        AnswerRequest: {"feedback_id": ID, "answer": "EXPLAINED"},
        TakeRequest: {"claim_id": ID, "override": "HOLDER_ABSENT"},
        SignalRequest: {"claim_id": ID, "hospital": None, "level": "INDICATED", "days": 365},
        SignalWithdrawal: {"reason": "the list came later"},
        ReviewRequest: {"action": "prepare", "reason": "AMOUNT_CONFIRMED", "override": None},
    }
    name = f"node.api.answers:read_body/{kind.__name__}"
    return Decoder(name, _body(kind), lambda: samples.values(values[kind]), (ApiError,))


def _in_file(name: str, read: Callable[[Path], Any]) -> Callable[[bytes], Any]:
    """A decoder of bytes from one that reads a file of mode 0600."""

    def decode_file(data: bytes) -> Any:
        path = samples.folder() / name
        path.parent.mkdir(exist_ok=True)
        path.touch(mode=0o600)
        path.write_bytes(data)
        return read(path)

    return decode_file


def _resources() -> list[Sample]:
    reference = [{"encounter": [{"reference": "Encounter/e1"}], "net": {"value": 1.5, "currency": "EUR"}}]
    coded = {"coding": [{"system": "http://snomed.info/sct", "code": "444470001"}]}
    stay = {
        "resourceType": "Encounter", "id": "e1", "status": "finished", "class": {"code": "IMP"},
        "subject": {"reference": "Patient/p1"}, "serviceProvider": {"reference": "urn:uuid:h1"},
        "period": {"start": "2020-12-30T23:30:00+08:00", "end": "2021-01-02T05:00:00+08:00"},
        "reasonCode": [coded], "diagnosis": [{"condition": {"reference": "Condition/d1"}}], "type": [coded],
    }  # fmt: skip
    bill = {
        "resourceType": "Claim", "id": "c1", "status": "active", "use": "claim", "type": coded,
        "created": "2021-01-02T05:00:00+08:00", "insurance": [{"focal": True, "coverage": {"display": "private"}}],
        "item": reference, "total": {"value": 100.5, "currency": "EUR"},
        "diagnosis": [{"diagnosisCodeableConcept": coded}],
    }  # fmt: skip
    explained = {
        "resourceType": "ExplanationOfBenefit", "id": "x1", "claim": {"reference": "Claim/c1"},
        "payment": {"amount": {"value": 5, "currency": "EUR"}}, "total": [{"category": coded, "amount": {"value": 1}}],
    }  # fmt: skip
    others = [
        {
            "resourceType": "Patient",
            "id": "p1",
            "name": [{"given": ["A"], "family": "B"}],
            "identifier": [{"value": "1"}],
        },
        {"resourceType": "Organization", "id": "h1", "name": "H"},
        {"resourceType": "Condition", "id": "d1", "code": coded, "encounter": {"reference": "Encounter/e1"}},
        {"resourceType": "Procedure", "id": "r1", "code": coded, "encounter": {"reference": "Encounter/e1"}},
    ]
    lines = [encode_open(item) for item in (stay, bill, explained, *others)]
    found = []
    for at, line in enumerate(lines):
        before, after = b"\n".join(lines[:at]), b"\n".join(lines[at + 1 :])
        found.append(around(line, lambda doc, a=before, b=after: a + b"\n" + doc + b"\n" + b))  # type: ignore[misc]
    return found


def encode_open(value: Any) -> bytes:
    """JSON of a foreign document: floats are usual there."""
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def _network_toml() -> list[Sample]:
    return [toml(tomllib.loads((ROOT / "network-config" / "demo" / "network.toml").read_text(encoding="utf-8")))]


def _node_toml() -> list[Sample]:
    parts = {"api": {"host": "127.0.0.1", "port": 0}, "peers": {"addresses": {"tpa": "127.0.0.1:1"}, "edge": False}}
    return [toml({"participant": "tpa", **parts, "log": {"level": "info"}, "mempool": {"max_bytes": 2**24}})]


def _wallets() -> list[Sample]:
    return samples.values(_wallet())


def _wallet() -> ConsentWallet:
    return ConsentWallet(NETWORK, ID, ID, ID, samples.SECRET.hex(), ID, {"account": "1"}, "a.b.c")


def _draft(data: bytes) -> Any:
    draft = _as_draft(decode(data), Path("draft.json"))
    read_instant(draft.valid_from)
    return draft


def _drafts() -> list[Sample]:
    names: dict[str, Any] = {"hospitals": ("hospital",), "insurers": ("insurer",), "commissions": ("commission",)}
    times: dict[str, Any] = {"valid_from": "2025-01-06T08:00:00+08:00", "valid_until": "2026-01-06"}
    return samples.values(
        Draft(network=NETWORK, **names, co_adjudicators=(), policy_ids=("ab" * 16,), payee={"account": "1"}, **times)
    )


def _program_folder(path: Path) -> Any:
    return read_program(path.parent)


_proved: set[bytes] = set()


def _proofs() -> list[Sample]:
    story = invoice_story()
    proofs = (absence(story), presence(story), inclusion(story))
    return [*(Sample(encode_proof(item)) for item in proofs), *(document(encode_readable(item)) for item in proofs)]


def _either_form(data: bytes) -> tuple[bytes, bool]:
    """The proof's bytes again, and in which of its two forms it came."""
    readable = data.startswith(b"{")
    proof = decode_proof(data)
    return (encode_readable if readable else encode_proof)(proof), readable


@cache
def _proof_trust() -> Any:
    return read_trust(invoice_story().network.genesis_bytes)


def _verified_dossier(data: bytes) -> Any:
    def finality(certificate: Any, digest: bytes, validators: Any, chain: bytes) -> None:
        place = encode(certificate) + digest
        if place not in _proved:
            verify_finality(certificate, digest, validators, chain)
            _proved.add(place)

    return verify_dossier(data, samples.trust(), lambda *_: ("", ""), finality)


OUTSIDE = (
    *(_bodies(kind) for kind in (Consents, RevocationRequest, PayeeRequest, Records, Policies, Proposal, Ballot)),
    *(_bodies(kind) for kind in (BacktestOrder, ShadowSwitch)),
    *(_bodies(kind) for kind in (SignalRequest, SignalWithdrawal)),
    *(_bodies(kind) for kind in (TakeRequest, ReviewRequest, FeedbackRequest, AnswerRequest)),
    Decoder(
        "contracts.reports.closings:read_mapping",
        lambda data: read_mapping(decode(data)),
        lambda: samples.values({"column": [{"name": "a", "field": "decision", "words": {"approved": "b"}}]}),
        (InputError, DecodeError),
        message=3_000,
    ),
    Decoder(
        "contracts.reports.fees:read_rates",
        lambda data: read_rates(decode(data)),
        lambda: samples.values({"provider": "a", "payer": "b", "currency": "CNY", "rate": [RATE]}),
        (InputError, DecodeError),
        message=3_000,
    ),
    Decoder(
        "node.api.transactions:split_batch",
        split_batch,
        lambda: [Sample(b"[" + b",".join(samples.transactions()) + b"]"), Sample(b"\n".join(samples.transactions()))],
        (ApiError,),
    ),
    Decoder("node.api.events:_named", _cursor, lambda: [Sample(b"12"), Sample(b"9" * 15)], (ApiError,), weight=2),
    Decoder(
        "node.api.tokens:load_tokens",
        _in_file("tokens.json", load_tokens),
        lambda: samples.values({"v": 1, "tokens": [{"name": "a", "scopes": ["read"], "sha256": ID}]}),
        (ConfigError,),
        weight=1,
    ),
    Decoder(
        "node.api.tokens:read_token_file",
        _in_file("token", read_token_file),
        lambda: [Sample(b"cn_" + b"a" * 43 + b"\n")],
        (KeyFileError,),
        weight=1,
    ),
    Decoder(
        "node.audit.dossier:decode_dossier",
        decode_dossier,
        lambda: [document(samples.dossier())],
        (DecodeError,),
        encode_dossier,
    ),
    Decoder(
        "node.audit.verify:verify_dossier",
        _verified_dossier,
        lambda: [document(samples.dossier())],
        (AuditFailure,),
        weight=2,
    ),
    Decoder(
        "node.audit.proofs:decode_proof",
        _either_form,
        _proofs,
        (DecodeError, InvalidProof),
        lambda answer: answer[0],
    ),
    Decoder(
        "node.audit.proofcheck:verify_proof",
        lambda data: verify_proof(data, _proof_trust()),
        _proofs,
        (AuditFailure,),
        weight=2,
    ),
    Decoder(
        "node.audit.verify:read_trust",
        read_trust,
        lambda: [document(samples.story().network.genesis_bytes)],
        (AuditFailure,),
        weight=1,
        message=20_000,
    ),
    Decoder("node.config:decode_config", decode_config, _node_toml, (ConfigError,), weight=2, message=FILE_MESSAGE),
    Decoder(
        "node.config:load_config",
        _in_file("node.toml", lambda path: load_config(path.parent)),
        _node_toml,
        (ConfigError,),
        weight=1,
        message=FILE_MESSAGE,
    ),
    Decoder(
        "cli.network_config:load_network_config",
        _in_file("network.toml", load_network_config),
        _network_toml,
        (CliError,),
        weight=1,
        message=FILE_MESSAGE,
    ),
    Decoder(
        "cli.audit_proofs:read_identity",
        _in_file("invoice.json", lambda path: read_identity(str(path))),
        lambda: [document(json.dumps(OUTPATIENT).encode())],
        (CliError, InputError),
        weight=1,
    ),
    Decoder("cli.consent:_as_draft", _draft, _drafts, (CliError, DecodeError), weight=1),
    Decoder(
        "cli.consent_files:read_instant",
        lambda data: read_instant(data.decode("utf-8", "replace")[:200]),
        lambda: [Sample(b"2025-01-01T08:00:00+08:00"), Sample(b"2025-01-01")],
        (CliError,),
        weight=1,
    ),
    Decoder(
        "cli.consent_files:decode_attestation",
        lambda data: decode_attestation(data, "file"),
        lambda: samples.values(Attestation("ab" * 32, "hospital", "cd" * 16, "ef" * 64)),
        (CliError,),
        weight=1,
    ),
    Decoder(
        "cli.network_setup:parse_time",
        lambda data: parse_time(data.decode("utf-8", "replace")[:200]),
        lambda: [Sample(b"2025-01-01T08:00:00Z"), Sample(b"2025-01-01")],
        (CliError,),
        weight=1,
    ),
    Decoder(
        "node.interop.fhir_folder:read_folder",
        _in_file("fhir/export.ndjson", lambda path: read_folder(path.parent)),
        _resources,
        (FolderError,),
    ),
    Decoder(
        "node.wallet:decode_wallet", decode_wallet, _wallets, (WalletError,), encode_wallet, canonical=False, weight=2
    ),
    Decoder(
        "node.wallet:open_mail",
        lambda data: open_mail(_wallet(), data),
        samples.content_samples,
        (WalletError,),
        weight=1,
    ),
    Decoder(
        "node.machine.programs:read_program",
        _in_file("program/program.star", _program_folder),
        lambda: [Sample(b"def adjudicate(case, trace):\n    return case\n")],
        (ProgramRefused,),
        weight=1,
    ),
)
