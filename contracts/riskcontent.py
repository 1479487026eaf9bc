"""What a risk signal hides: the sealed content for those who may weigh it, and the notice for its subject.

Knows the closed forms and how they are committed to. Must not know who is sent what. Must always hold: the content
names records and rules, never a name or a diagnosis; the notice has the class of a reason and no rule or threshold.
"""

from typing import Annotated, Final, Literal, TypeAlias

from msgspec import Meta, Struct

from contracts.errors import InputError
from contracts.riskbodies import Level
from ledger.crypto.hashing import tagged_hex
from ledger.encoding import convert, encode, encode_trusted
from ledger.errors import DecodeError
from ledger.types import Hex32, Millis

MAX_EVIDENCE: Final = 200
"""Records that one signal names."""
Id = Annotated[str, Meta(min_length=1, max_length=64)]
SubjectKind: TypeAlias = Literal["insured", "hospital"]


class SignalHit(Struct, frozen=True, forbid_unknown_fields=True):
    """One rule with the severity that it found; no figure of it."""

    rule: Annotated[str, Meta(pattern=r"^RK(0[1-9]|1[0-2])\Z")]
    severity: Literal["LOW", "MED", "HIGH"]


class SignalContent(Struct, frozen=True, forbid_unknown_fields=True):
    """For insurers, TPAs and commissions that were sent it. `subject`: of an insured the consent's id, of a hospital
    its participant id; `subject_salt` opens the subject's commitment. `evidence`: ids of records."""

    v: Literal[1]
    salt: Hex32
    subject_kind: SubjectKind
    subject: Id
    subject_salt: Hex32
    level: Level
    grade: Literal["LOW", "MEDIUM", "HIGH"]
    hits: Annotated[tuple[SignalHit, ...], Meta(min_length=1, max_length=24)]
    reason_classes: Annotated[tuple[Id, ...], Meta(max_length=12)]
    evidence: Annotated[tuple[Id, ...], Meta(max_length=MAX_EVIDENCE)]
    parameters_version: Id
    expires_ms: Millis


class SignalNotice(Struct, frozen=True, forbid_unknown_fields=True):
    """For the subject: that there is a signal, of which class, until when, and how to appeal.

    `appeal_seed` signs the appeal; `subject_salt` is what a hospital appeals with in its own name.
    """

    v: Literal[1]
    signal_id: Hex32
    level: Level
    reason_classes: Annotated[tuple[Id, ...], Meta(max_length=12)]
    expires_ms: Millis
    appeal_seed: Hex32
    subject_salt: Hex32


def commit_subject(subject: str, salt: str) -> str:
    """Commitment to who a signal is about; another salt for each signal, so that two of them cannot be linked."""
    return tagged_hex("risk-subject", encode({"salt": salt, "subject": subject}))


def commit_content(content: SignalContent) -> str:
    """Commitment to the sealed content, which holds its own salt."""
    return tagged_hex("risk-content", encode_trusted(content))


def derive_signal_id(network: str, author: str, content_commit: str) -> str:
    """Known to the author before the signal is on the ledger, so that envelopes can be bound to it."""
    return tagged_hex("risk-signal", encode({"network": network, "author": author, "content_commit": content_commit}))


def check_content(value: object, subject_commit: str, content_commit: str) -> SignalContent:
    """Opened content, compared with both commitments. Raises InputError `schema`, `commitment`."""
    try:
        content = convert(value, SignalContent)
    except DecodeError as error:
        raise InputError("schema", "", error.detail) from None
    known = commit_subject(content.subject, content.subject_salt), commit_content(content)
    if known != (subject_commit, content_commit):
        raise InputError("commitment", "", "the content is not what the signal on the ledger commits to")
    return content
