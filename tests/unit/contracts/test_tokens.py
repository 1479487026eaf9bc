"""Customers' tokens: one spelling, a closed header, and the name of each fault."""

from base64 import urlsafe_b64encode
from typing import Any

import pytest

from contracts.errors import TokenError
from contracts.identifiers import derive_consent_id
from contracts.tokens import (
    CONSENT_TYPE,
    MAX_TOKEN_BYTES,
    REVOCATION_TYPE,
    Revocation,
    decode_consent,
    decode_revocation,
    encode_token,
    peek_acknowledgement,
)
from ledger.crypto import ed25519
from ledger.encoding import encode
from tests.support.network_builder import Network, make_bytes, make_hex

SEED = make_bytes("token seed")
KEY = ed25519.public_key(SEED).hex()


def part(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def sign(header: Any, payload: Any, seed: bytes = SEED) -> str:
    """A token with any header and payload, correctly signed."""
    head = header if isinstance(header, bytes) else encode(header)
    body = payload if isinstance(payload, bytes) else encode(payload)
    signing_input = f"{part(head)}.{part(body)}"
    return f"{signing_input}.{part(ed25519.sign(seed, signing_input.encode()))}"


HEADER = {"alg": "Ed25519", "typ": REVOCATION_TYPE}
PAYLOAD = {"v": 1, "network": "test.claims", "consent_id": make_hex("c"), "nonce": make_hex("n", 16)}


def fault(token: str) -> str:
    with pytest.raises(TokenError) as caught:
        decode_revocation(token, KEY)
    return caught.value.code


def test_a_token_round_trips_under_both_names_of_the_algorithm() -> None:
    payload = Revocation(1, "test.claims", make_hex("c"), make_hex("n", 16))
    for name in ("Ed25519", "EdDSA"):
        assert decode_revocation(encode_token(payload, REVOCATION_TYPE, SEED, name), KEY) == payload
    assert decode_revocation(sign(HEADER, PAYLOAD), KEY) == payload


@pytest.mark.parametrize(
    ("header", "code"),
    [
        ({"alg": "none", "typ": REVOCATION_TYPE}, "token_algorithm"),
        ({"alg": "HS256", "typ": REVOCATION_TYPE}, "token_algorithm"),
        ({"alg": "eddsa", "typ": REVOCATION_TYPE}, "token_algorithm"),
        ({"alg": "ES256", "typ": REVOCATION_TYPE}, "token_algorithm"),
        ({"alg": None, "typ": REVOCATION_TYPE}, "token_algorithm"),
        ({"alg": ["Ed25519"], "typ": REVOCATION_TYPE}, "token_algorithm"),
        ({"alg": "Ed25519", "typ": "JWT"}, "token_type"),
        ({"alg": "Ed25519", "typ": CONSENT_TYPE}, "token_type"),
        ({"alg": "Ed25519", "typ": REVOCATION_TYPE, "kid": "x"}, "token_header"),
        ({"alg": "Ed25519", "typ": REVOCATION_TYPE, "crit": ["x"]}, "token_critical"),
        ({"alg": "Ed25519", "typ": REVOCATION_TYPE, "jwk": {}}, "token_header"),
        ({"alg": "Ed25519"}, "token_header"),
        (["Ed25519", REVOCATION_TYPE], "token_header"),
        (b'{"alg":"Ed25519","alg":"none","typ":"consent-revocation+jwt"}', "token_duplicate"),
        (b'{"alg": "Ed25519","typ":"consent-revocation+jwt"}', "token_json"),
        (b'{"typ":"consent-revocation+jwt","alg":"Ed25519"}', "token_json"),
        (b"no json", "token_json"),
        (b"", "token_json"),
    ],
)
def test_headers(header: Any, code: str) -> None:
    assert fault(sign(header, PAYLOAD)) == code


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        (PAYLOAD | {"name": "x"}, "token_schema"),
        ({key: value for key, value in PAYLOAD.items() if key != "nonce"}, "token_schema"),
        (PAYLOAD | {"v": 2}, "token_schema"),
        (PAYLOAD | {"nonce": "A" * 32}, "token_schema"),
        (PAYLOAD | {"nonce": make_hex("n", 16) + "\n"}, "token_schema"),
        ([], "token_schema"),
        (b'{"v":1.0}', "token_json"),
        (b'{"v":1,"v":1}', "token_duplicate"),
        (b'{"a":{"v":1,"v":1}}', "token_duplicate"),
        (b"\xff", "token_json"),
    ],
)
def test_payloads(payload: Any, code: str) -> None:
    assert fault(sign(HEADER, payload)) == code


def test_the_three_parts_and_their_one_spelling() -> None:
    token = sign(HEADER, PAYLOAD)
    head, body, signature = token.split(".")
    assert fault(f"{head}.{body}") == "token_form"
    assert fault(f"{token}.") == "token_form"
    assert fault("") == "token_form"
    assert fault(f"{head}.{body}.{signature}==") == "token_base64"
    assert fault(f"{head}.{body}.{signature}\n") == "token_base64"
    assert fault(f"{head}.{body}. {signature}") == "token_base64"
    assert fault(f"{head}.{body}.{signature[:-1]}+") == "token_base64"
    assert fault(f"{head}.{body}.{signature[:-1]}") == "token_base64"
    assert fault(f"{head}.{body}.") == "token_signature"
    assert fault(token[:-1] + "é") == "token_size"
    assert fault("a" * (MAX_TOKEN_BYTES + 1)) == "token_size"


def test_spare_bits_in_the_last_character_are_refused() -> None:
    """64 bytes leave four spare bits in the last character: sixteen spellings, one of them valid."""
    token = sign(HEADER, PAYLOAD)
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    place = alphabet.index(token[-1])
    assert place % 16 == 0
    for spare in range(1, 16):
        assert fault(token[:-1] + alphabet[place + spare]) == "token_base64"


def test_another_key_or_another_message_does_not_verify() -> None:
    token = sign(HEADER, PAYLOAD)
    head, body, signature = token.split(".")
    assert fault(sign(HEADER, PAYLOAD, make_bytes("stranger"))) == "token_signature"
    other = part(encode(PAYLOAD | {"nonce": make_hex("m", 16)}))
    assert fault(f"{head}.{other}.{signature}") == "token_signature"
    head_two = part(encode(HEADER | {"alg": "EdDSA"}))
    assert fault(f"{head_two}.{body}.{signature}") == "token_signature"
    with pytest.raises(TokenError) as caught:
        decode_revocation(token, "01" + "00" * 31)
    assert caught.value.code == "token_key", "the identity point is no key"


def test_a_consent_is_verified_by_the_key_it_names_and_named_by_what_was_signed() -> None:
    network = Network()
    customer = network.make_consent([])
    decoded = decode_consent(customer.token)
    assert decoded.consent == customer.consent
    assert decoded.consent_id == derive_consent_id(customer.token.rpartition(".")[0].encode())
    tampered = network.make_consent([], signed_by=SEED)
    with pytest.raises(TokenError) as caught:
        decode_consent(tampered.token)
    assert caught.value.code == "token_signature"


def test_peeking_verifies_nothing_but_the_form() -> None:
    payload = {
        "v": 1,
        "network": "test.claims",
        "consent_id": make_hex("c"),
        "payout_id": make_hex("p"),
        "settlement_commit": make_hex("s"),
        "nonce": make_hex("n", 16),
    }
    header = {"alg": "Ed25519", "typ": "payout-ack+jwt"}
    token = sign(header, payload).rpartition(".")[0] + "." + part(bytes(64))
    assert peek_acknowledgement(token).payout_id == make_hex("p")
