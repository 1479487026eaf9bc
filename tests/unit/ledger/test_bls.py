"""The scheme on top of the curve: what a naive pairing check would accept is refused by both backends."""

import subprocess
import sys
from collections.abc import Callable

import pytest
from py_arkworks_bls12381 import G1Point, G2Point

from ledger.crypto import bls
from ledger.crypto.bls_backends import _py_ecc
from ledger.errors import SignatureError

ARKWORKS = bls.ArkworksBackend()
PY_ECC = bls.PyEccBackend()
BOTH = [
    pytest.param(ARKWORKS, id="arkworks"),
    pytest.param(PY_ECC, id="py_ecc", marks=pytest.mark.slow),
]

SECRETS = [bls.secret_key_from_seed(bytes([index]) * 32) for index in range(1, 6)]
PUBLICS = [bls.public_key(secret) for secret in SECRETS]
MESSAGE = b"header hash"
SIGNATURES = [bls.sign(secret, MESSAGE) for secret in SECRETS]
TOTAL = bls.aggregate(SIGNATURES)

IDENTITY_KEY = b"\xc0" + bytes(47)
IDENTITY_SIGNATURE = b"\xc0" + bytes(95)
NEGATED_KEY = (-G1Point.from_compressed_bytes(PUBLICS[0])).to_compressed_bytes()
FIELD = 0x1A0111EA397FE69A4B1BA7B6434BACD764774B84F38512BF6730D2A0F6B0F6241EABFFFEB153FFFFB9FEFFFFFFFFAAAB


def _key_outside_subgroup() -> bytes:
    for x in range(1, 100):
        data = bytes([0x80]) + x.to_bytes(47, "big")
        try:
            point = G1Point.from_compressed_bytes_unchecked(data)
        except ValueError:
            continue
        if not point.is_in_subgroup():
            return data
    raise AssertionError


def _signature_outside_subgroup() -> bytes:
    for x in range(1, 100):
        data = bytes([0x80]) + x.to_bytes(95, "big")
        try:
            point = G2Point.from_compressed_bytes_unchecked(data)
        except ValueError:
            continue
        if not point.is_in_subgroup():
            return data
    raise AssertionError


def _shifted(data: bytes, at: int) -> bytes:
    """The same point with p added to the 381-bit coordinate at byte `at`: it still fits, and must not pass."""
    flags = data[0] & 0xE0 if at == 0 else 0
    part = bytearray(data[at : at + 48])
    part[0] &= 0x1F if at == 0 else 0xFF
    return data[:at] + (int.from_bytes(part, "big") + FIELD | flags << 376).to_bytes(48, "big") + data[at + 48 :]


def _low(decode: Callable[[bytes], object], width: int, at: int) -> bytes:
    """A point of the curve whose coordinate at byte `at` is small enough to have p added."""
    for low in range(1, 100):
        data = bytearray(width)
        data[0] = 0x80
        data[at + 47] = low
        try:
            decode(bytes(data))
        except ValueError:
            continue
        return bytes(data)
    raise AssertionError


def _any_point(data: bytes) -> object:
    return G2Point.from_compressed_bytes_unchecked(data)


BAD_KEYS = {
    "identity": IDENTITY_KEY,
    "identity with a sign": b"\xe0" + bytes(47),
    "identity with a bit": b"\xc0" + bytes(46) + b"\x01",
    "outside the subgroup": _key_outside_subgroup(),
    "x + p": _shifted(_low(G1Point.from_compressed_bytes_unchecked, 48, 0), 0),
    "x = p": (FIELD | 0x80 << 376).to_bytes(48, "big"),
    "not compressed": bytes([PUBLICS[0][0] & 0x7F]) + PUBLICS[0][1:],
    "zeros": bytes(48),
    "ones": b"\xff" * 48,
    "empty": b"",
    "47 bytes": PUBLICS[0][:47],
    "49 bytes": PUBLICS[0] + b"\x00",
    "uncompressed": G1Point.from_compressed_bytes(PUBLICS[0]).to_xy_bytes_be(),
}
BAD_SIGNATURES = {
    "identity": IDENTITY_SIGNATURE,
    "identity with a sign": b"\xe0" + bytes(95),
    "identity with a bit": b"\xc0" + bytes(94) + b"\x01",
    "outside the subgroup": _signature_outside_subgroup(),
    "first coordinate + p": _shifted(_low(_any_point, 96, 0), 0),
    "second coordinate + p": _shifted(_low(_any_point, 96, 48), 48),
    "not compressed": bytes([SIGNATURES[0][0] & 0x7F]) + SIGNATURES[0][1:],
    "zeros": bytes(96),
    "empty": b"",
    "95 bytes": SIGNATURES[0][:95],
    "97 bytes": SIGNATURES[0] + b"\x00",
}


def _refused(code: str, attempt: Callable[[], object]) -> None:
    with pytest.raises(SignatureError) as refusal:
        attempt()
    assert refusal.value.code == code


def test_backends_give_the_same_bytes() -> None:
    assert bls.public_key(SECRETS[0], backend=PY_ECC) == PUBLICS[0]
    assert bls.sign(SECRETS[0], MESSAGE, backend=PY_ECC) == SIGNATURES[0]
    assert bls.aggregate(SIGNATURES[:2], backend=PY_ECC) == bls.aggregate(SIGNATURES[:2])


@pytest.mark.slow
def test_backends_accept_each_others_work() -> None:
    bls.verify(PUBLICS[0], MESSAGE, SIGNATURES[0], backend=PY_ECC)
    bls.fast_aggregate_verify(PUBLICS, MESSAGE, TOTAL, backend=PY_ECC)
    proof = bls.prove_possession(SECRETS[0], backend=PY_ECC)
    assert proof == bls.prove_possession(SECRETS[0])
    bls.verify_possession(PUBLICS[0], proof, backend=PY_ECC)


@pytest.mark.parametrize("seed", [bytes(32), bytes(range(48)), b"\xff" * 32])
def test_key_generation_is_that_of_the_draft(seed: bytes) -> None:
    assert int.from_bytes(bls.secret_key_from_seed(seed), "big") == _py_ecc().KeyGen(seed)


def test_published_key_generation_vector() -> None:
    """The master key of test case 0 of EIP-2333, which uses the same KeyGen."""
    seed = bytes.fromhex(
        "c55257c360c07c72029aebc1b53c05ed0362ada38ead3e3e9efa3708e53495531f09a6987599d18264c1e1c92f2cf141"
        "630c7a3c4ab7c81b2f001698e7463b04"
    )
    expected = 6083874454709270928345386274498605044986640685124978867557563392430687146096
    assert int.from_bytes(bls.secret_key_from_seed(seed), "big") == expected


@pytest.mark.parametrize("backend", BOTH)
@pytest.mark.parametrize("key", BAD_KEYS.values(), ids=BAD_KEYS.keys())
def test_bad_keys(key: bytes, backend: bls.BlsBackend) -> None:
    """B11: infinity, outside the subgroup, every other spelling: refused wherever a key is used."""
    _refused("bad_key", lambda: bls.check_public_key(key, backend=backend))
    _refused("bad_key", lambda: bls.verify(key, MESSAGE, SIGNATURES[0], backend=backend))
    _refused("bad_key", lambda: bls.verify(key, MESSAGE, IDENTITY_SIGNATURE, backend=backend))
    _refused("bad_key", lambda: bls.verify_possession(key, SIGNATURES[0], backend=backend))
    mixed = [PUBLICS[0], key]
    _refused("bad_key", lambda: bls.fast_aggregate_verify(mixed, MESSAGE, TOTAL, backend=backend))


@pytest.mark.parametrize("backend", BOTH)
@pytest.mark.parametrize("signature", BAD_SIGNATURES.values(), ids=BAD_SIGNATURES.keys())
def test_bad_signatures(signature: bytes, backend: bls.BlsBackend) -> None:
    """B11: the same for signatures, alone and in aggregates."""
    _refused("bad_signature", lambda: bls.check_signature(signature, backend=backend))
    _refused("bad_signature", lambda: bls.verify(PUBLICS[0], MESSAGE, signature, backend=backend))
    _refused("bad_signature", lambda: bls.aggregate([SIGNATURES[0], signature], backend=backend))
    _refused("bad_signature", lambda: bls.verify_possession(PUBLICS[0], signature, backend=backend))


@pytest.mark.parametrize("backend", BOTH)
def test_keys_that_cancel(backend: bls.BlsBackend) -> None:
    """B11 B13: {pk, -pk} with the identity as signature satisfies the bare pairing equation for any message."""
    keys = [PUBLICS[0], NEGATED_KEY]
    _refused("bad_key", lambda: bls.fast_aggregate_verify(keys, b"any", IDENTITY_SIGNATURE, backend=backend))
    _refused("bad_key", lambda: bls.fast_aggregate_verify(keys, MESSAGE, SIGNATURES[0], backend=backend))


@pytest.mark.parametrize("backend", BOTH)
def test_signatures_that_cancel(backend: bls.BlsBackend) -> None:
    """B13: an aggregate that is infinity is refused."""
    negated = (-G2Point.from_compressed_bytes(SIGNATURES[0])).to_compressed_bytes()
    _refused("bad_signature", lambda: bls.aggregate([SIGNATURES[0], negated], backend=backend))


def test_the_library_reads_one_spelling_of_a_coordinate() -> None:
    """By itself, before any check of the subgroup: otherwise we would have to compare the encodings."""
    for bad in (BAD_KEYS["x + p"], BAD_KEYS["x = p"]):
        with pytest.raises(ValueError):
            G1Point.from_compressed_bytes_unchecked(bad)
    for bad in (BAD_SIGNATURES["first coordinate + p"], BAD_SIGNATURES["second coordinate + p"]):
        with pytest.raises(ValueError):
            G2Point.from_compressed_bytes_unchecked(bad)


def test_aggregates() -> None:
    bls.fast_aggregate_verify(PUBLICS, MESSAGE, TOTAL)
    bls.fast_aggregate_verify(PUBLICS[::-1], MESSAGE, bls.aggregate(SIGNATURES[::-1]))
    bls.fast_aggregate_verify(PUBLICS[:1], MESSAGE, bls.aggregate(SIGNATURES[:1]))
    _refused("bad_signature", lambda: bls.fast_aggregate_verify(PUBLICS[:4], MESSAGE, TOTAL))
    _refused("bad_signature", lambda: bls.fast_aggregate_verify(PUBLICS, b"other", TOTAL))


def test_counts_of_aggregates() -> None:
    _refused("empty", lambda: bls.aggregate([]))
    _refused("empty", lambda: bls.fast_aggregate_verify([], MESSAGE, IDENTITY_SIGNATURE))
    _refused("duplicate", lambda: bls.aggregate([SIGNATURES[0], SIGNATURES[0]]))
    doubled = [PUBLICS[0], PUBLICS[0]]
    _refused("duplicate", lambda: bls.fast_aggregate_verify(doubled, MESSAGE, SIGNATURES[0]))
    too_many = [bytes(2) + index.to_bytes(46, "big") for index in range(bls.MAX_AGGREGATE + 1)]
    _refused("too_many", lambda: bls.fast_aggregate_verify(too_many, MESSAGE, TOTAL))


def test_rogue_key_needs_a_proof_it_cannot_have() -> None:
    """B11: A key made as mine - theirs lets me sign for both: the aggregate passes, the possession does not."""
    theirs, mine = G1Point.from_compressed_bytes(PUBLICS[0]), G1Point.from_compressed_bytes(PUBLICS[1])
    rogue = (mine - theirs).to_compressed_bytes()
    bls.fast_aggregate_verify([PUBLICS[0], rogue], MESSAGE, SIGNATURES[1])
    _refused("bad_signature", lambda: bls.verify_possession(rogue, bls.prove_possession(SECRETS[1])))


def test_a_signature_is_no_proof_of_possession() -> None:
    """B11: the two have domains of their own."""
    bls.verify_possession(PUBLICS[0], bls.prove_possession(SECRETS[0]))
    signed_key = bls.sign(SECRETS[0], PUBLICS[0])
    _refused("bad_signature", lambda: bls.verify_possession(PUBLICS[0], signed_key))
    proof = bls.prove_possession(SECRETS[0])
    _refused("bad_signature", lambda: bls.verify(PUBLICS[0], PUBLICS[0], proof))


@pytest.mark.parametrize("secret", [b"", bytes(32), b"\xff" * 32, bytes(33)])
def test_bad_secrets(secret: bytes) -> None:
    _refused("bad_secret", lambda: bls.sign(secret, MESSAGE))
    _refused("bad_secret", lambda: bls.public_key(secret))


def test_short_seed() -> None:
    _refused("bad_secret", lambda: bls.secret_key_from_seed(bytes(31)))


def test_importing_does_not_load_the_reference() -> None:
    program = "import sys, ledger.crypto.bls; sys.exit('py_ecc' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_loading_the_reference_leaves_the_recursion_limit_alone() -> None:
    """It sets 100,000, with which the JSON parser can be made to overflow the C stack: run apart, in case."""
    program = (
        "import sys\n"
        "from ledger.crypto import bls\n"
        "from ledger.encoding import decode\n"
        "from ledger.errors import DecodeError\n"
        "limit = sys.getrecursionlimit()\n"
        "bls.public_key(bytes(31) + bytes([7]), backend=bls.PyEccBackend())\n"
        "try:\n"
        "    decode(b'[' * 1_000_000)\n"
        "except DecodeError:\n"
        "    sys.exit(limit != sys.getrecursionlimit())\n"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
