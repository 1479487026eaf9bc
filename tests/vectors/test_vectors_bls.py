"""Wycheproof's BLS vectors where they meet our scheme (min-pk, proof of possession).

- `pop`: our ciphersuite; all 26 apply to `verify`.
- `basic`: the same scheme under another domain (NUL); all 88 apply once the domain is exchanged.
- `hash_to_g2`: all 34 apply to the backend's hash, under the vectors' own domain.
- `aggregate`: aggregates of *distinct* messages in the basic scheme, which we neither make nor accept: our
  aggregates are of one message. What applies: keys and signatures that must not decode, and the valid
  single-signer case as a plain signature. Empty aggregates and unequal counts have no counterpart.
"""

from typing import Any

import pytest
from py_arkworks_bls12381 import G2Point

from ledger.crypto import bls
from ledger.errors import SignatureError
from tests.support.realdata import requires_real_data, wycheproof_tests

pytestmark = requires_real_data

BASIC_SUITE = b"BLS_SIG_BLS12381G2_XMD:SHA-256_SSWU_RO_NUL_"


def _verdict(group: dict[str, Any], test: dict[str, Any], backend: bls.BlsBackend) -> str:
    public, message = bytes.fromhex(group["publicKey"]["pk"]), bytes.fromhex(test["msg"])
    try:
        bls.verify(public, message, bytes.fromhex(test["sig"]), backend=backend)
    except SignatureError:
        return "invalid"
    return "valid"


def _disagreements(name: str, backend: bls.BlsBackend) -> list[tuple[int, str]]:
    return [
        (test["tcId"], test["comment"])
        for group, test in wycheproof_tests(name)
        if _verdict(group, test, backend) != test["result"]
    ]


def test_proof_of_possession_suite() -> None:
    assert len(wycheproof_tests("bls_sig_g2_pop_verify_test.json")) == 26
    assert _disagreements("bls_sig_g2_pop_verify_test.json", bls.ArkworksBackend()) == []


def test_basic_suite(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bls, "SUITE", BASIC_SUITE)
    assert len(wycheproof_tests("bls_sig_g2_basic_verify_test.json")) == 88
    assert _disagreements("bls_sig_g2_basic_verify_test.json", bls.ArkworksBackend()) == []


@pytest.mark.slow
def test_reference_backend_agrees_on_all(monkeypatch: pytest.MonkeyPatch) -> None:
    assert _disagreements("bls_sig_g2_pop_verify_test.json", bls.PyEccBackend()) == []
    monkeypatch.setattr(bls, "SUITE", BASIC_SUITE)
    assert _disagreements("bls_sig_g2_basic_verify_test.json", bls.PyEccBackend()) == []


def test_hash_to_g2() -> None:
    tests = wycheproof_tests("bls_hash_to_g2_test.json")
    assert len(tests) == 34
    for group, test in tests:
        point = G2Point.hash_to_curve(bytes.fromhex(test["msg"]), group["dst"].encode())
        assert point.to_compressed_bytes().hex() == test["expected"], test["comment"]


def _points_decode(test: dict[str, Any]) -> bool:
    try:
        for public in test["pubkeys"]:
            bls.check_public_key(bytes.fromhex(public))
        bls.check_signature(bytes.fromhex(test["sig"]))
    except SignatureError:
        return False
    return True


def test_points_of_aggregates() -> None:
    broken = {"IdentityPoint", "NotOnCurve", "NotInSubgroup", "TruncatedSignature", "InvalidFlags"}
    tests = [test for _, test in wycheproof_tests("bls_sig_g2_aggregate_verify_test.json")]
    refused = [test for test in tests if broken & set(test["flags"])]
    valid = [test for test in tests if test["result"] == "valid"]
    assert (len(refused), len(valid)) == (7, 6)
    assert not any(_points_decode(test) for test in refused)
    assert all(_points_decode(test) for test in valid)


def test_valid_aggregate_of_one_is_a_signature(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bls, "SUITE", BASIC_SUITE)
    (test,) = [
        test
        for _, test in wycheproof_tests("bls_sig_g2_aggregate_verify_test.json")
        if test["result"] == "valid" and len(test["pubkeys"]) == 1
    ]
    signature = bytes.fromhex(test["sig"])
    bls.verify(bytes.fromhex(test["pubkeys"][0]), bytes.fromhex(test["messages"][0]), signature)
