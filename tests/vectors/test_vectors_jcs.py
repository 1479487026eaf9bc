"""The RFC 8785 vectors: what lies in our subset keeps its bytes, the rest is refused with a code."""

import json

import pytest

from ledger.encoding import decode, encode
from ledger.errors import DecodeError
from tests.support.realdata import read_json, real_data_dir, requires_real_data

pytestmark = requires_real_data

FOLDER = ("vectors", "jcs-cyberphone", "testdata")


def _canonical(name: str) -> bytes:
    return bytes.fromhex(real_data_dir(*FOLDER, "outhex", f"{name}.txt").read_text())


@pytest.mark.parametrize("name", ["arrays", "structures", "unicode"])
def test_canonical_bytes_decode_and_encode_to_themselves(name: str) -> None:
    assert encode(decode(_canonical(name))) == _canonical(name)


@pytest.mark.parametrize("name", ["arrays", "unicode"])
def test_input_encodes_to_the_canonical_bytes(name: str) -> None:
    assert encode(read_json(*FOLDER, "input", f"{name}.json")) == _canonical(name)


@pytest.mark.parametrize(
    ("name", "code"),
    [("french", "key"), ("weird", "key"), ("values", "float")],
    ids=["non-ASCII keys", "keys that sort by UTF-16", "floats"],
)
def test_canonical_bytes_outside_our_subset_are_refused(name: str, code: str) -> None:
    with pytest.raises(DecodeError) as refusal:
        decode(_canonical(name))
    assert refusal.value.code == code


@pytest.mark.parametrize(
    ("name", "code"), [("french", "key"), ("weird", "key"), ("values", "float"), ("structures", "float")]
)
def test_input_outside_our_subset_is_refused(name: str, code: str) -> None:
    with pytest.raises(DecodeError) as refusal:
        encode(json.loads(real_data_dir(*FOLDER, "input", f"{name}.json").read_bytes()))
    assert refusal.value.code == code


@pytest.mark.parametrize("name", ["arrays", "structures", "unicode", "french", "weird", "values"])
def test_inputs_with_other_spelling_are_refused(name: str) -> None:
    with pytest.raises(DecodeError):
        decode(real_data_dir(*FOLDER, "input", f"{name}.json").read_bytes())
