"""The chain of validator sets in a dossier or proof: from the genesis' set to the one that made the anchor final.

Needs the genesis and the ends of the epochs. Must always hold: a set counts only because the set before it made the
header final that names it, and the first set is the trusted genesis' own.
"""

from collections.abc import Callable, Iterable

from contracts.execution import ChainState
from contracts.validators import closes_epoch
from ledger.blocks import Header, header_hash
from ledger.certificates import Certificate, ValidatorSet
from ledger.errors import LedgerError
from node.audit.dossier import EpochEnd
from node.audit.report import AuditFailure

NUMBER = 3
FinalityCheck = Callable[[Certificate, bytes, ValidatorSet, bytes], None]


def check_epochs(ends: Iterable[EpochEnd], anchor: Header, start: ChainState, finality: FinalityCheck) -> ValidatorSet:
    """The set that votes on the header. Raises AuditFailure 3: `epoch`, `validator_set`, or a certificate's code."""
    validators, height = start.validators, 0
    for end in ends:
        _check_header(end.header, validators, height)
        validators = _next_set(end, validators, start.chain, finality)
        height = end.header.height
    _check_header(anchor, validators, height)
    return validators


def _check_header(header: Header, validators: ValidatorSet, above: int) -> None:
    if header.epoch != validators.epoch or header.height <= above:
        detail = f"header {header.height} of epoch {header.epoch} where one of epoch {validators.epoch} belongs"
        raise AuditFailure(NUMBER, "epoch", detail)
    if header.validator_set_hash != validators.hash.hex():
        raise AuditFailure(NUMBER, "validator_set", f"header {header.height} names another set than the one before it")


def _next_set(end: EpochEnd, validators: ValidatorSet, chain: bytes, finality: FinalityCheck) -> ValidatorSet:
    header = end.header
    if not closes_epoch(header):
        raise AuditFailure(NUMBER, "epoch", f"header {header.height} does not close epoch {header.epoch}")
    try:
        finality(end.certificate, header_hash(header), validators, chain)
        following = ValidatorSet(header.epoch + 1, end.validators)
    except LedgerError as error:
        raise AuditFailure(NUMBER, error.code, error.detail) from None
    if following.hash.hex() != header.next_validator_set_hash:
        raise AuditFailure(NUMBER, "validator_set", f"header {header.height} hands over to another set than the file's")
    return following
