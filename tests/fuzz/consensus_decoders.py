"""Decoders of consensus/: what validators say to each other, the journal, the guard."""

from typing import Any

from consensus.journal import (
    FRAME_MAGIC,
    FloorMark,
    JournalDamaged,
    OwnVote,
    StoredCertificate,
    StoredPayload,
    decode_guard,
    decode_journal,
    encode_frame,
    encode_guard,
    encode_header,
)
from consensus.journal import _check as journal_check
from consensus.messages import (
    AskPosition,
    Certified,
    Payload,
    TellPosition,
    VoteCast,
    WantCertificate,
    WantPayload,
    WantProposalVote,
    Wire,
    decode_message,
    encode_message,
)
from consensus.types import Position
from ledger.certificates import (
    Certificate,
)
from ledger.encoding import encode
from ledger.errors import (
    DecodeError,
)
from tests.fuzz import samples
from tests.fuzz.checking import Decoder
from tests.fuzz.mutations import Sample, around, document

MAX_PAYLOAD = 4_000
SALT = b"fuzz salt 16 byt"


def _certificate(kind: str = "finalize") -> Certificate:
    return samples.core().certificate(kind, 2, 1)  # type: ignore[arg-type]


def _messages() -> list[Sample]:
    core = samples.core()
    vote, certificate = core.vote(1, "notarize", 3, 2), _certificate()
    found: list[tuple[Wire, bytes]] = [
        (core.proposal(3, 1), b"block"),
        (VoteCast(vote), b""),
        (Certified(certificate), b""),
        (WantCertificate(1, "nullify", 3), b""),
        (WantPayload("ab" * 32), b""),
        (Payload("ab" * 32), b"block"),
        (WantProposalVote(1, 3), b""),
        (AskPosition(1, 2), b""),
        (TellPosition(1, 2, vote, certificate), b""),
    ]
    return [around(encode(message), samples.before(rest)) for message, rest in found]


def _journals() -> list[Sample]:
    """Journals; in the later ones the records are foreign and the frame's checksum is right all the same."""
    core = samples.core()
    vote, certificate = OwnVote(core.vote(0, "notarize", 1)), StoredCertificate(_certificate("notarize"))
    batches: tuple[Any, ...] = (
        (FloorMark(1, 7),),
        (StoredPayload(1, b"d" * 32, FRAME_MAGIC * 9), vote),
        (certificate,),
    )
    whole = encode_header(SALT) + b"".join(encode_frame(SALT, at, batch) for at, batch in enumerate(batches))

    def build(kind: int, doc: bytes) -> bytes:
        body = bytes((kind,)) + len(doc).to_bytes(4, "big") + doc
        head = (0).to_bytes(8, "big") + len(body).to_bytes(4, "big")
        frame = FRAME_MAGIC + head + body + journal_check("journal-frame", SALT, head + body)
        return encode_header(SALT) + frame

    inside = [
        around(encode(item), lambda doc, kind=kind: build(kind, doc))  # type: ignore[misc]
        for kind, item in ((1, vote.vote), (2, certificate.certificate), (4, {"epoch": 1, "view": 2}))
    ]
    return [Sample(whole), *inside, Sample(encode_header(SALT))]


def _guards() -> list[Sample]:
    return [around(b'{"epoch":1,"step":2,"view":3}', samples.guard_bytes), document(encode_guard(Position(1, 3, 2)))]


CONSENSUS = (
    Decoder(
        "consensus.messages:decode_message",
        lambda data: decode_message(data, MAX_PAYLOAD),
        _messages,
        (DecodeError,),
        lambda found: encode_message(*found),
        weight=24,
    ),
    Decoder("consensus.journal:decode_journal", decode_journal, _journals, (JournalDamaged,), None, weight=4),
    Decoder("consensus.journal:decode_guard", decode_guard, _guards, (JournalDamaged,), encode_guard, weight=1),
)
