"""Wire messages: round trips, bounds, and that garbage raises DecodeError and nothing else."""

import random

import pytest

from consensus.messages import (
    MAX_CARRIED,
    AskPosition,
    Certified,
    Payload,
    Proposal,
    ProposalVote,
    TellPosition,
    VoteCast,
    WantCertificate,
    WantPayload,
    WantProposalVote,
    Wire,
    decode_message,
    encode_message,
    encode_payload,
    max_message_bytes,
)
from ledger.errors import DecodeError
from tests.support.lone_core import LoneCore

CORE = LoneCore(start=False)
VOTE = CORE.vote(1, "notarize", 3, 2)
CERTIFICATE = CORE.certificate("finalize", 2, 1)
MESSAGES: list[tuple[Wire, bytes]] = [
    (CORE.proposal(3, 1), b"block"),
    (VoteCast(VOTE), b""),
    (Certified(CERTIFICATE), b""),
    (WantCertificate(1, "nullify", 3), b""),
    (WantPayload("ab" * 32), b""),
    (Payload("ab" * 32), b"block"),
    (WantProposalVote(1, 3), b""),
    (ProposalVote(VOTE), b""),
    (AskPosition(1, 2), b""),
    (TellPosition(1, 2, VOTE, CERTIFICATE), b""),
    (TellPosition(1, 2, None, None), b""),
]


@pytest.mark.parametrize(("message", "payload"), MESSAGES)
def test_round_trip(message: Wire, payload: bytes) -> None:
    assert decode_message(encode_message(message, payload), 100) == (message, payload)


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "truncated"),
        (b"\x00\x00\x00", "truncated"),
        (b"\xff\xff\xff\xff{}", "truncated"),
        (encode_message(VoteCast(VOTE)) + b"x", "payload"),
        (encode_message(Payload("ab" * 32)), "payload"),
        (encode_message(Payload("ab" * 32), b"x" * 101), "too_large"),
        (b"\x00\x00\x00\x02{}", "schema"),
        (b"\x00\x00\x00\x03{} ", "not_canonical"),
        (encode_message(Proposal(VOTE, None, (CERTIFICATE,) * (MAX_CARRIED + 1)), b"x"), "schema"),
    ],
)
def test_refusals(data: bytes, code: str) -> None:
    with pytest.raises(DecodeError) as refused:
        decode_message(data, 100)
    assert refused.value.code == code


def test_garbage_raises_decode_errors_only() -> None:
    chance = random.Random(5)
    for _ in range(3_000):
        message, payload = chance.choice(MESSAGES)
        data = bytearray(encode_message(message, payload))
        for _ in range(chance.randint(1, 3)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        try:
            decode_message(bytes(data[: chance.randint(0, len(data))]), 100)
        except DecodeError as error:
            assert error.code  # noqa: PT017 - any stable code will do


def test_sizes() -> None:
    assert encode_payload(b"\xab" * 32, b"xyz") == encode_message(Payload("ab" * 32), b"xyz")
    assert max_message_bytes(CORE.config) > CORE.config.max_payload
