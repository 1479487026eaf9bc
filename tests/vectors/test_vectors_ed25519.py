"""Wycheproof's Ed25519 vectors: every signature they call valid passes, every other is refused."""

from ledger.crypto.ed25519 import verify
from ledger.errors import SignatureError
from tests.support.realdata import requires_real_data, wycheproof_tests

pytestmark = requires_real_data


def test_all_151_agree() -> None:
    tests = wycheproof_tests("ed25519_test.json")
    wrong = []
    for group, test in tests:
        public = bytes.fromhex(group["publicKey"]["pk"])
        try:
            verify(public, bytes.fromhex(test["msg"]), bytes.fromhex(test["sig"]))
            verdict = "valid"
        except SignatureError:
            verdict = "invalid"
        if verdict != test["result"]:
            wrong.append((test["tcId"], test["comment"], verdict))
    assert len(tests) == 151
    assert wrong == []
