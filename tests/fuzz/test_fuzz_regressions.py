"""What the fuzz suite has found, each with the input that showed it."""

import json
from pathlib import Path

import msgspec
import pytest
from starlette.requests import Request

from contracts.cases.documents import read_record
from contracts.cases.errors import CaseError
from contracts.errors import InputError
from contracts.genesis import decode_genesis
from contracts.inputs import decode_document
from contracts.machine.errors import ProgramRefused
from contracts.product import read_product
from ledger.certificates import Vote
from ledger.crypto.keys import certificate_der, generate_tls_identity, spki_hash
from ledger.encoding import convert, encode
from ledger.errors import DecodeError, KeyFileError, StoreError
from ledger.parts import join_parts
from ledger.storetables import decode_changes
from node.agents.programs import read_bundle
from node.api.events import _named
from node.config import decode_config
from node.errors import ConfigError
from node.interop.fhir_folder import read_folder
from tests.fuzz import samples
from tests.fuzz.checking import MAX_MESSAGE

PERSON = "Wang Xiaoming, K35.8"


def test_a_state_diff_with_a_key_that_is_no_key_is_damage() -> None:
    with pytest.raises(StoreError) as refused:
        decode_changes(join_parts([b"\xe3laim/x", bytes(8), b"e" * 32, b"\x01{}"]))
    assert refused.value.code == "damaged"


def test_a_genesis_that_leaves_out_a_default_would_have_two_chain_ids() -> None:
    content = json.loads(samples.story().network.genesis_bytes)
    del content["limits"]["author_share_bp"]
    with pytest.raises(DecodeError) as refused:
        decode_genesis(encode(content))
    assert refused.value.code == "schema"


@pytest.mark.parametrize(
    "files", [[], "program.star", {"program.star": None}, {"program.star": 1}, {"program.star": ["a"]}]
)
def test_a_program_whose_files_are_no_texts_is_refused(files: object) -> None:
    with pytest.raises(ProgramRefused) as refused:
        read_bundle(encode({"files": files, "language": "starlark-c1"}).decode())
    assert refused.value.code == "files"


@pytest.mark.parametrize(
    "value", [{PERSON: 1}, {"kind": PERSON}, {PERSON * 1_000: 1}, {"kind": "\x1b[2J\n"}, {"`\n - at `$": 1}]
)
def test_a_schema_fault_repeats_no_foreign_value(value: object) -> None:
    with pytest.raises(DecodeError) as refused:
        convert(value, Vote)
    assert refused.value.code == "schema"
    assert "Wang" not in str(refused.value)
    assert "\x1b" not in str(refused.value)
    assert len(str(refused.value)) < 100


def test_a_schema_fault_names_a_misspelt_field_and_the_place_of_a_wrong_value() -> None:
    vote = dict.fromkeys(Vote.__struct_fields__, 0) | {"kind": "finalise"}
    for value, text in (({"signr": 1}, "unknown field `signr`"), (vote, "Invalid enum value - at `$.kind`")):
        with pytest.raises(DecodeError) as refused:
            convert(value, Vote)
        assert text in str(refused.value)


@pytest.mark.parametrize("key", ["x" * 5_000, "\x1b[2J\n", "x" * 900])
def test_the_path_of_an_input_error_is_short_and_printable(key: str) -> None:
    with pytest.raises(InputError) as refused:
        read_product({"product_code": "P", "plans": {key: {"benefits": {key: 1}}}})
    assert len(str(refused.value)) <= MAX_MESSAGE
    assert str(refused.value).isprintable()


@pytest.mark.parametrize("kind", [{}, [], 1, None, "letter"])
def test_an_opened_record_of_no_known_type_is_refused(kind: object) -> None:
    with pytest.raises(CaseError) as refused:
        read_record("ab" * 32, {"document": {}, "secret": "00", "record_type": kind})
    assert refused.value.code == "DOCUMENT_FORM"


@pytest.mark.parametrize("status", [["active"], {}, 1, None])
def test_a_claim_whose_status_is_no_text_is_read_like_one_without(status: object, tmp_path: Path) -> None:
    stay = {"resourceType": "Encounter", "id": "e1", "class": {"code": "IMP"}}
    bill = {"resourceType": "Claim", "id": "c1", "status": status, "item": []}
    (tmp_path / "export.ndjson").write_text(f"{json.dumps(stay)}\n{json.dumps(bill)}\n", encoding="utf-8")
    assert len(read_folder(tmp_path).stays) == 1


def test_a_faulty_configuration_is_named_in_printable_words() -> None:
    with pytest.raises(ConfigError) as refused:
        decode_config(b'participant = "tpa"\n"\\u001b[2J" = 1\n')
    assert str(refused.value).isprintable()


@pytest.mark.parametrize("last", ["\u00b3", "\u0663", "-1", "", "9" * 17])
def test_an_event_id_of_other_digits_is_passed_over(last: str) -> None:
    header = (b"last-event-id", last.encode("latin-1", "replace"))
    assert _named(Request({"type": "http", "headers": [header]}), 7, 9) == 7


def test_the_path_of_a_deep_place_is_short() -> None:
    text = msgspec.json.encode("k" * 60).decode()
    with pytest.raises(InputError) as refused:
        decode_document("{" + f"{text}:{{" * 70 + "}" * 71)
    assert len(str(refused.value)) <= MAX_MESSAGE


def test_a_certificate_with_a_key_of_an_unknown_kind_is_refused() -> None:
    certificate = certificate_der(generate_tls_identity("node").certificate_pem)
    known, unknown = bytes.fromhex("06082a8648ce3d030107"), bytes.fromhex("06082a8648ce3d030102")  # curves of X9.62
    assert known in certificate
    with pytest.raises(KeyFileError) as caught:
        spki_hash(certificate.replace(known, unknown))
    assert caught.value.code == "format"
