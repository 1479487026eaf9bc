"""The first state of a network: members, keys, limits, parameters and the claim programs in force.

The genesis document is public, canonical JSON; its tagged hash is the `chain` inside every vote. All that is
shared by the nodes stands here; what may differ from node to node stands in each node's own configuration.
"""

from typing import Annotated, Literal, TypeAlias

from msgspec import UNSET, Meta, Struct, UnsetType

from ledger.crypto.hashing import tagged_hash
from ledger.encoding import decode_as, encode
from ledger.errors import DecodeError
from ledger.types import Count, Height, Hex32, Hex48, Hex96, Millis, Name, NetworkId, OrgId, Text

MAX_GENESIS_BYTES = 4 * 2**20
CONTEST_MS = 10 * 86_400_000
"""A payee's time to contest a settlement where a genesis names none (protocol rule 8)."""
NOTICE_DAYS = 7
"""Days between the vote on a claim contract and its first, in a network that was begun before they could be named."""
COMPLEX_MS = 30 * 86_400_000
"""Time to decide a claim that was declared complex, where a genesis names none (protocol rule 6)."""
PAUSE_MS = 30 * 86_400_000
"""Longest time for which one claim's clock can be paused in all, where a genesis names none."""
AUDIT_RATE_BP = 100
"""Decisions that the audit lottery draws of 10,000, where a genesis names no rate (protocol rule 5)."""
Role: TypeAlias = Literal["hospital", "commission", "insurer", "tpa", "auditor"]


class _Part(Struct, frozen=True, forbid_unknown_fields=True):
    pass


class SigningKey(_Part, frozen=True):
    """An Ed25519 key, active in [from_height, until_height] (null: no end). Its id is `ed25519.key_id`."""

    public_key: Hex32
    from_height: Height
    until_height: Height | None


class FinalityKey(_Part, frozen=True):
    """A BLS12-381 key (min-pk) with its proof of possession."""

    public_key: Hex48
    possession: Hex96


class InvoiceKey(_Part, frozen=True):
    """A commission's BLS key for the invoices of one region and issue year."""

    region: Name
    year: Annotated[int, Meta(ge=1900, le=2200)]
    public_key: Hex48
    possession: Hex96


class Participant(_Part, frozen=True):
    """A member. `control_group` names who owns it: one group counts as one voice in every policy."""

    id: OrgId
    name: Text
    roles: Annotated[tuple[Role, ...], Meta(min_length=1, max_length=5)]
    control_group: Name
    validator: bool
    signing_keys: Annotated[tuple[SigningKey, ...], Meta(min_length=1, max_length=8)]
    finality_key: FinalityKey | None
    envelope_key: Hex32
    note_key: Hex32
    transport_spki: Hex32
    endpoint: Text | None
    invoice_keys: Annotated[tuple[InvoiceKey, ...], Meta(max_length=64)]


class Limits(_Part, frozen=True):
    """The same on every node. All but the writes are checked before a transaction executes.

    Signatures count every one that the transaction makes a validator check: author, endorsers, tokens, statements.
    """

    transaction_bytes: Count = 262_144
    transaction_operations: Count = 200
    transaction_signatures: Count = 220
    transaction_writes: Count = 1_200
    block_bytes: Count = 2_097_152
    block_transactions: Count = 2_000
    block_operations: Count = 8_000
    block_signatures: Count = 8_000
    block_writes: Count = 24_000
    author_share_bp: Annotated[int, Meta(ge=1, le=10_000)] = 5_000


class Parameters(_Part, frozen=True):
    """Rules with figures. Times in milliseconds of block time; `utc_offset_minutes` dates invoices (rule V07)."""

    utc_offset_minutes: Annotated[int, Meta(ge=-720, le=840)] = 480
    currency: Name = "CNY"
    report_on: Literal["admission", "discharge"] = "admission"
    accept_ms: Millis = 24 * 3_600_000
    endorse_ms: Millis = 48 * 3_600_000
    co_sign_ms: Millis = 48 * 3_600_000
    decide_ms: Millis = 10 * 86_400_000
    settle_ms: Millis = 10 * 86_400_000
    consent_max_ms: Millis = 3 * 366 * 86_400_000
    heartbeat_ms: Annotated[int, Meta(ge=1_000, le=600_000)] = 30_000
    contract_notice_days: Annotated[int, Meta(ge=0, le=366)] | UnsetType = UNSET
    """Whole days between the block in which a release passes and its first day. Absent: NOTICE_DAYS."""

    contest_window_ms: Millis | UnsetType = UNSET
    """A payee's time to contest a settlement, from the block that has it. Absent: CONTEST_MS."""

    complex_decide_ms: Millis | UnsetType = UNSET
    """Time to decide a claim that was declared complex. Absent: COMPLEX_MS."""
    pause_max_ms: Millis | UnsetType = UNSET
    """Longest time that pauses take off one claim's clock. Absent: PAUSE_MS."""
    audit_rate: Annotated[int, Meta(ge=0, le=10_000)] | UnsetType = UNSET
    """Decisions of 10,000 that an auditor is obliged to run again. Absent: AUDIT_RATE_BP."""

    @property
    def complex_ms(self) -> int:
        """`complex_decide_ms`, or what holds where a genesis does not name it."""
        return COMPLEX_MS if isinstance(self.complex_decide_ms, UnsetType) else self.complex_decide_ms

    @property
    def pause_ms(self) -> int:
        """`pause_max_ms`, or what holds where a genesis does not name it."""
        return PAUSE_MS if isinstance(self.pause_max_ms, UnsetType) else self.pause_max_ms

    @property
    def audit_rate_bp(self) -> int:
        """`audit_rate`, or what holds where a genesis does not name it."""
        return AUDIT_RATE_BP if isinstance(self.audit_rate, UnsetType) else self.audit_rate

    @property
    def contest_ms(self) -> int:
        """`contest_window_ms`, or what holds where a genesis does not name it."""
        return CONTEST_MS if isinstance(self.contest_window_ms, UnsetType) else self.contest_window_ms

    @property
    def notice_days(self) -> int:
        """`contract_notice_days`, or what holds where a genesis does not name it."""
        return NOTICE_DAYS if isinstance(self.contract_notice_days, UnsetType) else self.contract_notice_days


class Program(_Part, frozen=True):
    """A claim program approved from the start. `contract_hash` is the hash of its canonical source bundle."""

    contract_hash: Hex32
    machine: Literal["starlark-c1"]
    source: Annotated[str, Meta(max_length=262_144)]
    active_from_ms: Millis


class Genesis(_Part, frozen=True):
    """The whole document. Participants ascend by id."""

    v: Literal[1]
    network: NetworkId
    time_ms: Millis
    limits: Limits
    parameters: Parameters
    participants: Annotated[tuple[Participant, ...], Meta(min_length=1, max_length=500)]
    programs: Annotated[tuple[Program, ...], Meta(max_length=64)]


def decode_genesis(data: bytes) -> Genesis:
    """Closed schema only; membership rules are checked by `check_genesis`. Raises DecodeError.

    Every field is written out: one that is left to its default would give the same network a second chain id. The one
    exception came later than the first networks, whose ids must stay.
    """
    genesis = decode_as(data, Genesis, limit=MAX_GENESIS_BYTES)
    if encode(genesis) != data:
        raise DecodeError("schema", "a genesis names every limit and parameter, also those at their default")
    return genesis


def encode_genesis(genesis: Genesis) -> bytes:
    """The bytes whose hash is the chain id."""
    return encode(genesis)


def genesis_hash(data: bytes) -> bytes:
    """32 bytes: the chain id, parent of block 1 and first leaf of the log."""
    return tagged_hash("genesis", data)
