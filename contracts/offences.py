"""What a validator signed against the rules of ordering, put on record (rules R11, B20).

Knows the sets of recent epochs and what proves an offence; must not know seats being taken: the record accuses, only a
proposal removes. Must always hold: an entry names a validator only after two contradicting statements verified under
the keys of its own seat in that epoch, and one offence is recorded once.
"""

from contracts.bodies import ConsensusEvidence
from contracts.errors import Refusal
from contracts.operations import Operation
from contracts.states import EpochState, OffenceState, OffenderState, read_state
from contracts.validators import build_validators
from ledger.certificates import ValidatorSet
from ledger.errors import InvalidEvidence
from ledger.offences import derive_offence_id, verify_proof
from ledger.state import Reader

RECENT_EPOCHS = 8
"""The present epoch and those before it that are judged: nobody guards the keys of a seat left long ago."""
MAX_OFFENCES = 8
"""Of one validator in one epoch: one pair proves as much as a thousand, and each one stays in state."""


def apply_evidence(operation: Operation, item: ConsensusEvidence) -> str:
    """`consensus.evidence`: recorded if it convicts. Signatures are looked at last, and two at most."""
    operation.participant(operation.author)
    validators = _require_epoch(operation, item.epoch)
    offence_id = derive_offence_id(operation.block.network, item)
    if operation.has(OffenceState, offence_id):
        raise Refusal("OFFENCE_KNOWN", "this offence was reported before", offence_id)
    offender = operation.get(OffenderState, item.signer) or OffenderState(total=0, recent=())
    if count_recent(offender, item.epoch) >= MAX_OFFENCES:
        raise Refusal("OFFENCE_LIMIT", f"{MAX_OFFENCES} of epoch {item.epoch} are recorded", item.signer)
    try:
        kind = verify_proof(item, validators, operation.electorate.chain)
    except InvalidEvidence as error:
        raise Refusal("OFFENCE_UNSOUND", error.code) from None
    operation.put(
        offence_id,
        OffenceState(
            culprit=item.signer,
            kind=kind,
            epoch=item.epoch,
            view=item.view,
            reporter=operation.author,
            height=operation.block.height,
        ),
    )
    operation.put(item.signer, _add(offender, item.epoch, operation.electorate.validators.epoch))
    operation.emit("validator.offence", offence_id)
    return offence_id


def read_offence(read: Reader, offence_id: str) -> OffenceState | None:
    """What is on record under this id."""
    return read_state(read, OffenceState, offence_id)


def read_offender(read: Reader, participant: str) -> OffenderState | None:
    """How much is on record against a participant."""
    return read_state(read, OffenderState, participant)


def is_recent(epoch: int, present: int) -> bool:
    """Whether offences of `epoch` are judged while `present` votes."""
    return 1 <= epoch <= present < epoch + RECENT_EPOCHS


def count_recent(offender: OffenderState, epoch: int) -> int:
    """Offences recorded of an epoch that is still judged."""
    return dict(offender.recent).get(epoch, 0)


def _require_epoch(operation: Operation, epoch: int) -> ValidatorSet:
    """The set that voted in `epoch`. State keeps every set after genesis'."""
    electorate = operation.electorate
    present = electorate.validators
    if not is_recent(epoch, present.epoch):
        raise Refusal("OFFENCE_EPOCH", f"epoch {epoch}, the present one is {present.epoch}")
    if epoch == present.epoch:
        return present
    if epoch == electorate.first.epoch:
        return electorate.first
    return build_validators(operation.require(EpochState, str(epoch), "OFFENCE_EPOCH"))


def _add(offender: OffenderState, epoch: int, present: int) -> OffenderState:
    counts = {number: count for number, count in offender.recent if is_recent(number, present)}
    counts[epoch] = counts.get(epoch, 0) + 1
    return OffenderState(total=offender.total + 1, recent=tuple(sorted(counts.items())))
