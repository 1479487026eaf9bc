"""One strict rule: keys and signatures about which libraries disagree are refused, wherever they come from."""

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from nacl.bindings import crypto_core_ed25519_add

from ledger.crypto.ed25519 import check_public_key, key_id, public_key, sign, verify
from ledger.errors import SignatureError

SEED = bytes(range(32))
MESSAGE = b"payload"
GROUP_ORDER = 2**252 + 27742317777372353535851937790883648493
FIELD = 2**255 - 19
IDENTITY = (1).to_bytes(32, "little")
ORDER_8 = bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05")


def _encoded(y: int, sign_bit: int = 0) -> bytes:
    return (y | sign_bit << 255).to_bytes(32, "little")


SMALL_ORDER = {
    "identity": IDENTITY,
    "order 2": _encoded(FIELD - 1),
    "order 4": _encoded(0),
    "order 4, other sign": _encoded(0, 1),
    "order 8": ORDER_8,
    "order 8, other sign": ORDER_8[:31] + b"\x85",
    "order 8, second": bytes.fromhex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"),
    "order 8, second, other sign": bytes.fromhex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa"),
}
NOT_CANONICAL = {
    "identity with a sign": _encoded(1, 1),
    "order 2 with a sign": _encoded(FIELD - 1, 1),
    **{f"y = p + {above}, sign {bit}": _encoded(FIELD + above, bit) for above in range(19) for bit in (0, 1)},
}
MIXED_ORDER = {
    f"good key + {name}": crypto_core_ed25519_add(public_key(SEED), point)
    for name, point in SMALL_ORDER.items()
    if name != "identity"
}
NOT_A_POINT = {"y = 2": _encoded(2), "all ones": b"\xff" * 32}
WRONG_LENGTH = {"empty": b"", "31 bytes": public_key(SEED)[:31], "33 bytes": public_key(SEED) + b"\x00"}
BAD_KEYS = {**SMALL_ORDER, **NOT_CANONICAL, **MIXED_ORDER, **NOT_A_POINT, **WRONG_LENGTH}


@pytest.mark.parametrize("key", BAD_KEYS.values(), ids=BAD_KEYS.keys())
def test_bad_keys_are_refused_at_registration_and_at_every_verification(key: bytes) -> None:
    for attempt in (
        lambda: check_public_key(key),
        lambda: verify(key, MESSAGE, sign(SEED, MESSAGE)),
        lambda: verify(key, MESSAGE, IDENTITY + bytes(32)),  # satisfies the bare equation for the identity
    ):
        with pytest.raises(SignatureError) as refusal:
            attempt()
        assert refusal.value.code == "bad_key"


def test_another_library_accepts_what_we_refuse() -> None:
    """Why every key is checked: under the identity, one signature is good for every message."""
    Ed25519PublicKey.from_public_bytes(IDENTITY).verify(IDENTITY + bytes(32), b"anything at all")


def test_round_trip_is_deterministic_and_accepted_elsewhere() -> None:
    signature = sign(SEED, MESSAGE)
    assert signature == sign(SEED, MESSAGE)
    verify(public_key(SEED), MESSAGE, signature)
    Ed25519PublicKey.from_public_bytes(public_key(SEED)).verify(signature, MESSAGE)


def test_rfc_8032_test_1() -> None:
    seed = bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
    assert public_key(seed).hex() == "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
    assert sign(seed, b"").hex().startswith("e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155")


def _malleated() -> bytes:
    signature = sign(SEED, MESSAGE)
    scalar = int.from_bytes(signature[32:], "little") + GROUP_ORDER
    return signature[:32] + scalar.to_bytes(32, "little")


BAD_SIGNATURES = {
    "S + L": _malleated(),
    "other message": sign(SEED, b"other"),
    "other key": sign(bytes(32), MESSAGE),
    "R small order": ORDER_8 + sign(SEED, MESSAGE)[32:],
    "R not canonical": _encoded(FIELD + 1) + sign(SEED, MESSAGE)[32:],
    "zeros": bytes(64),
    "empty": b"",
    "63 bytes": sign(SEED, MESSAGE)[:63],
    "65 bytes": sign(SEED, MESSAGE) + b"p",
    "halves swapped": sign(SEED, MESSAGE)[32:] + sign(SEED, MESSAGE)[:32],
}


@pytest.mark.parametrize("signature", BAD_SIGNATURES.values(), ids=BAD_SIGNATURES.keys())
def test_bad_signatures_are_refused(signature: bytes) -> None:
    with pytest.raises(SignatureError) as refusal:
        verify(public_key(SEED), MESSAGE, signature)
    assert refusal.value.code == "bad_signature"


def test_the_border_between_signature_and_message_cannot_move() -> None:
    signed = sign(SEED, MESSAGE) + MESSAGE
    for length in (63, 65):
        with pytest.raises(SignatureError) as refusal:
            verify(public_key(SEED), signed[length:], signed[:length])
        assert refusal.value.code == "bad_signature"


@pytest.mark.parametrize("seed", [b"", bytes(31), bytes(33), bytes(64)])
def test_secret_of_wrong_length(seed: bytes) -> None:
    for attempt in (lambda: sign(seed, MESSAGE), lambda: public_key(seed)):
        with pytest.raises(SignatureError) as refusal:
            attempt()
        assert refusal.value.code == "bad_secret"


def test_key_id_is_16_bytes_of_a_tagged_hash() -> None:
    assert len(key_id(public_key(SEED))) == 32
    assert key_id(public_key(SEED)) != key_id(public_key(bytes(32)))
