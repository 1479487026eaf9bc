"""Published JWS vectors: RFC 8037's example verifies; none of Wycheproof's tokens is taken for a customer's."""

from base64 import urlsafe_b64decode
from collections import Counter

import pytest

from contracts.consenttokens import REKEYING_TYPE, Rekeying
from contracts.errors import TokenError
from contracts.tokens import decode_consent, decode_revocation, peek_token
from ledger.crypto import ed25519
from tests.support.realdata import requires_real_data, wycheproof_tests

KEY = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
"""RFC 8037, appendix A.1 and A.4."""
SIGNING_INPUT = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc"
SIGNATURE = "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg"


def test_the_example_of_rfc_8037_verifies_and_is_no_token_of_ours() -> None:
    signature = urlsafe_b64decode(SIGNATURE + "==")
    ed25519.verify(bytes.fromhex(KEY), SIGNING_INPUT.encode(), signature)
    with pytest.raises(TokenError) as caught:
        decode_revocation(f"{SIGNING_INPUT}.{SIGNATURE}", KEY)
    assert caught.value.code == "token_header", "a header without typ could be meant for anything"


def refusal(jws: str) -> str:
    """The one code with which every reader refuses this token."""
    codes = set()
    for read in (
        decode_consent,
        lambda text: decode_revocation(text, KEY),
        lambda text: peek_token(text, REKEYING_TYPE, Rekeying),
    ):
        with pytest.raises(TokenError) as caught:
            read(jws)
        codes.add(caught.value.code)
    assert len(codes) == 1
    return codes.pop()


@pytest.mark.parametrize(
    ("name", "count"),
    [
        pytest.param("json_web_signature_test.json", 401, marks=requires_real_data),
        pytest.param("json_web_key_test.json", 26, marks=requires_real_data),
    ],
)
def test_wycheproof(name: str, count: int) -> None:
    """Every vector is by another algorithm (HMAC, ECDSA, RSA) or broken. Whatever its own verdict, we take none: an
    algorithm of the token's choice, a key inside it and any further header are refused by their form."""
    tests = wycheproof_tests(name)
    assert len(tests) == count
    codes: Counter[str] = Counter()
    for _, test in tests:
        jws = test["jws"]
        if isinstance(jws, str):
            codes[refusal(jws)] += 1
        else:
            codes["json serialisation"] += 1
    assert not codes.keys() & {"token_signature", "token_schema", "token_key"}, "none gets as far as its payload"
    assert codes["token_header"] > count // 2
