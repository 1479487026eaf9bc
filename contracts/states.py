"""What the ledger remembers: one closed record per family of state keys, and how it is read.

A value is the canonical bytes of its struct under the key `<family>/<id>`. Fields are plain types: this package wrote
them and the state root covers them, so bounds are not checked again. Must always hold: a family is written by its
subject's module alone, and only through `lifecycle` where a field is a status. Nothing here names a person.
"""

from functools import lru_cache
from typing import Any, ClassVar, TypeVar, cast

import msgspec
from msgspec import Struct

from contracts.claimlife import PLAIN, ClaimLife
from contracts.consentlife import PLAIN_CONSENT, ConsentLife
from contracts.consentlife import GranteeState as GranteeState
from contracts.genesis import Limits, Parameters
from contracts.versions import ClaimPolicy as ClaimPolicy
from ledger.certificates import Validator
from ledger.encoding import encode_trusted
from ledger.state import Reader


class State(Struct, frozen=True, forbid_unknown_fields=True):
    """Base of all families; `FAMILY` is the first part of the state key."""

    FAMILY: ClassVar[str] = ""


S = TypeVar("S", bound=State)


class InvoiceKeyState(Struct, frozen=True, forbid_unknown_fields=True):
    """The public key of a commission's nullifiers for one region and issue year."""

    region: str
    year: int
    public_key: str


class ParticipantState(State, frozen=True):
    """`participant/<id>`. `signing_keys` are key ids; the keys themselves are a family of their own."""

    FAMILY: ClassVar[str] = "participant"
    name: str
    roles: tuple[str, ...]
    control_group: str
    validator: bool
    signing_keys: tuple[str, ...]
    finality_key: str | None
    envelope_key: str
    note_key: str
    transport_spki: str
    endpoint: str | None
    invoice_keys: tuple[InvoiceKeyState, ...]


class KeyState(State, frozen=True):
    """`key/<key_id>`: an Ed25519 key, active in [from_height, until_height] (None: no end)."""

    FAMILY: ClassVar[str] = "key"
    participant: str
    public_key: str
    from_height: int
    until_height: int | None

    def is_active(self, height: int) -> bool:
        """Whether a block of this height counts the key's signatures."""
        return self.from_height <= height and (self.until_height is None or height <= self.until_height)


class ProgramState(State, frozen=True):
    """`program/<contract_hash>`: an approved claim program, in force in [active_from_ms, active_until_ms)."""

    FAMILY: ClassVar[str] = "program"
    contract_hash: str
    machine: str
    active_from_ms: int
    active_until_ms: int | None


class ProgramIndexState(State, frozen=True):
    """`program/index`: every approved program, ascending by hash; a claim pins its versions from here."""

    FAMILY: ClassVar[str] = "program"
    programs: tuple[ProgramState, ...]


class ParametersState(State, frozen=True):
    """`parameters/current`: the rules with figures that blocks are executed under."""

    FAMILY: ClassVar[str] = "parameters"
    limits: Limits
    parameters: Parameters


class EpochState(State, frozen=True):
    """`epoch/<number>`, from the second on (the first is genesis'): who votes from `from_height` on, by id."""

    FAMILY: ClassVar[str] = "epoch"
    epoch: int
    from_height: int
    validators: tuple[Validator, ...]


class CurrentEpochState(State, frozen=True):
    """`epoch/current`: the number of the newest set; there is none while the first one votes."""

    FAMILY: ClassVar[str] = "epoch"
    epoch: int


class ProposalState(State, frozen=True):
    """`proposal/<proposal_id>`. `changes` as proposed; `voters` are participants, counted by control group."""

    FAMILY: ClassVar[str] = "proposal"
    author: str
    epoch: int
    expires_ms: int
    changes: tuple[dict[str, Any], ...]
    voters: tuple[str, ...]
    passed_height: int | None


class FreezeState(State, frozen=True):
    """`freeze/<participant>`: who asked for it in `epoch`, and from when on nothing it signs counts, if ever."""

    FAMILY: ClassVar[str] = "freeze"
    epoch: int
    supporters: tuple[str, ...]
    from_height: int | None


class FinalityKeyState(State, frozen=True):
    """`finality-key/<public key>`: whose it is, for keys that genesis did not know."""

    FAMILY: ClassVar[str] = "finality-key"
    participant: str


class OffenceState(State, frozen=True):
    """`offence/<offence_id>`: two contradicting statements of `culprit` were shown to the ledger, by `reporter`."""

    FAMILY: ClassVar[str] = "offence"
    culprit: str
    kind: str
    epoch: int
    view: int
    reporter: str
    height: int


class OffenderState(State, frozen=True):
    """`offender/<participant>`: offences recorded, in all and in each recent epoch as (epoch, number), ascending."""

    FAMILY: ClassVar[str] = "offender"
    total: int
    recent: tuple[tuple[int, int], ...]


class PolicyState(State, frozen=True):
    """`policy/<policy_id>`."""

    FAMILY: ClassVar[str] = "policy"
    insurer: str
    terms_commit: str
    product_hash: str
    account_id: str
    co_adjudicators: tuple[str, ...]
    threshold: int
    escalation_to: str
    look_back_days: int


class AccountState(State, frozen=True):
    """`account/<account_id>`: the coverage account's version, what caused it, and the claim that leases it."""

    FAMILY: ClassVar[str] = "account"
    policy_id: str
    version: int
    commit: str
    cause: str
    lease: str | None


class ConsentState(State, frozen=True):
    """`consent/<consent_id>`: the payload of a verified token, its case (empty for a standing one), and when it was
    revoked. `life` is there for what is not a plain consent."""

    FAMILY: ClassVar[str] = "consent"
    case_id: str
    key: str
    hospitals: tuple[str, ...]
    grantees: tuple[GranteeState, ...]
    policy_ids: tuple[str, ...]
    payee_commit: str
    mailbox_key: str
    revoke_hash: str
    notify: str
    nbf_ms: int
    exp_ms: int
    revoked_ms: int | None
    life: ConsentLife | msgspec.UnsetType = msgspec.UNSET

    @property
    def lived(self) -> ConsentLife:
        """`life`, the plain one where there is none."""
        return PLAIN_CONSENT if isinstance(self.life, msgspec.UnsetType) else self.life

    def grants(self, participant: str, purpose: str) -> bool:
        """Whether the customer named `participant` for `purpose`."""
        return any(item.participant == participant and purpose in item.purposes for item in self.grantees)


class CaseState(State, frozen=True):
    """`case/<case_id>`. `claims` in the order of rank; `records` and `evidence_root` once complete."""

    FAMILY: ClassVar[str] = "case"
    consent_id: str
    status: str
    claims: tuple[str, ...]
    reported_ms: int | None
    complete_ms: int | None
    records: tuple[str, ...]
    evidence_root: str | None


class RecordState(State, frozen=True):
    """`record/<record_id>`: one published document, and the commission's word on it."""

    FAMILY: ClassVar[str] = "record"
    case_id: str
    consent_id: str
    hospital: str
    record_type: str
    commitment: str
    ciphertext_digest: str
    padded_size: int
    replaces: str | None
    status: str
    published_ms: int
    endorsed_by: str | None
    profile: str | None
    nullifier: str | None


class NullifierState(State, frozen=True):
    """`nullifier/<hex>`: an invoice that was endorsed once. `reverses` is set for a red one."""

    FAMILY: ClassVar[str] = "nullifier"
    record_id: str
    commission: str
    reverses: str | None
    reversed_by: str | None


class PoolState(State, frozen=True):
    """`pool/<pool_id>`: the loss left in one case, as a commitment; and whose outcome was last taken out, when."""

    FAMILY: ClassVar[str] = "pool"
    case_id: str
    version: int
    commit: str
    restored_rank: int | msgspec.UnsetType = msgspec.UNSET
    restored_ms: int | msgspec.UnsetType = msgspec.UNSET


class ClaimState(State, frozen=True):
    """`claim/<claim_id>`: one insurer's part of one case. `attempt` is the adjudication it awaits or had, `payouts` are
    those of all attempts; `life` is there once something happened off the straight way."""

    FAMILY: ClassVar[str] = "claim"
    case_id: str
    consent_id: str
    insurer: str
    rank: int
    status: str
    policies: tuple[ClaimPolicy, ...]
    attempt: int
    reported_ms: int
    accepted_ms: int | None
    ready_ms: int | None
    decided_ms: int | None
    closed_ms: int | None
    escalation_digest: str | None
    payouts: tuple[str, ...]
    life: ClaimLife | msgspec.UnsetType = msgspec.UNSET

    @property
    def lived(self) -> ClaimLife:
        """`life`, the plain one where nothing happened."""
        return PLAIN if isinstance(self.life, msgspec.UnsetType) else self.life


class PayoutState(State, frozen=True):
    """`payout/<payout_id>`: what one statement authorised. `attempt` counts orders; a payee may sign another."""

    FAMILY: ClassVar[str] = "payout"
    claim_id: str
    policy_id: str
    insurer: str
    consent_id: str
    payee_commit: str
    result_commit: str
    status: str
    attempt: int
    authorised_ms: int
    order_commit: str | None
    settlement_commit: str | None
    settled_ms: int | msgspec.UnsetType = msgspec.UNSET  # of the settlement that stands
    bank_commit: str | msgspec.UnsetType = msgspec.UNSET  # of the message with which the last attempt failed


@lru_cache(maxsize=64)
def _decoder(kind: type[State]) -> "msgspec.json.Decoder[State]":
    return msgspec.json.Decoder(kind)


def state_key(kind: type[State], identifier: str) -> str:
    """The key that a value of this family is stored under."""
    return f"{kind.FAMILY}/{identifier}"


def decode_state(data: bytes, kind: type[S]) -> S:
    """A value written by `encode_state`."""
    return cast("S", _decoder(kind).decode(data))


def encode_state(value: State) -> bytes:
    """Canonical bytes of a value."""
    return encode_trusted(value)


def read_state(read: Reader, kind: type[S], identifier: str) -> S | None:
    """The current value, None if there is none or it was deleted."""
    found = read(state_key(kind, identifier))
    return None if found is None or found.value is None else decode_state(found.value, kind)


def read_participant(read: Reader, participant: str) -> ParticipantState | None:
    return read_state(read, ParticipantState, participant)


def read_key(read: Reader, key_id: str) -> KeyState | None:
    return read_state(read, KeyState, key_id)


def read_program(read: Reader, contract_hash: str) -> ProgramState | None:
    return read_state(read, ProgramState, contract_hash)


def read_programs(read: Reader) -> tuple[ProgramState, ...]:
    """Every approved program, ascending by hash."""
    return index.programs if (index := read_state(read, ProgramIndexState, INDEX)) else ()


def read_parameters(read: Reader) -> ParametersState:
    """Limits and parameters in force. They are there from height 0 on."""
    found = read_state(read, ParametersState, CURRENT)
    assert found is not None, "a chain state without parameters was not made by genesis_state"
    return found


def read_policy(read: Reader, policy_id: str) -> PolicyState | None:
    return read_state(read, PolicyState, policy_id)


def read_account(read: Reader, account_id: str) -> AccountState | None:
    return read_state(read, AccountState, account_id)


def read_consent(read: Reader, consent_id: str) -> ConsentState | None:
    return read_state(read, ConsentState, consent_id)


def read_case(read: Reader, case_id: str) -> CaseState | None:
    return read_state(read, CaseState, case_id)


def read_record(read: Reader, record_id: str) -> RecordState | None:
    return read_state(read, RecordState, record_id)


def read_nullifier(read: Reader, nullifier: str) -> NullifierState | None:
    return read_state(read, NullifierState, nullifier)


def read_pool(read: Reader, pool_id: str) -> PoolState | None:
    return read_state(read, PoolState, pool_id)


def read_claim(read: Reader, claim_id: str) -> ClaimState | None:
    return read_state(read, ClaimState, claim_id)


def read_payout(read: Reader, payout_id: str) -> PayoutState | None:
    return read_state(read, PayoutState, payout_id)


INDEX, CURRENT = "index", "current"
