"""Who votes on a block: the newest set of validators that state names, else genesis'.

Knows sets and epochs, not how they come about (governance). Must always hold: the set that votes on block h + 1 follows
from the state after block h alone, so header, certificate and state name one and the same.
"""

from functools import lru_cache

from contracts.genesis import Genesis
from contracts.membership import validator_set
from contracts.states import CURRENT, CurrentEpochState, EpochState, read_state
from ledger.blocks import Header
from ledger.certificates import ValidatorSet
from ledger.state import Reader


def read_newest_epoch(read: Reader) -> EpochState | None:
    """The newest set in state, which votes from its `from_height` on; None while it is genesis'."""
    current = read_state(read, CurrentEpochState, CURRENT)
    return None if current is None else read_epoch(read, current.epoch)


def read_epoch(read: Reader, number: int) -> EpochState | None:
    """The set of an epoch from the second on."""
    return read_state(read, EpochState, str(number))


def read_validators(read: Reader, genesis: Genesis) -> ValidatorSet:
    """The voters of the block after the state that `read` shows."""
    newest = read_newest_epoch(read)
    return first_validators(genesis) if newest is None else build_validators(newest)


@lru_cache(maxsize=8)
def first_validators(genesis: Genesis) -> ValidatorSet:
    """The voters of epoch 1."""
    return validator_set(genesis)


@lru_cache(maxsize=64)
def build_validators(state: EpochState) -> ValidatorSet:
    """The set that state lists."""
    return ValidatorSet(state.epoch, state.validators)


def closes_epoch(header: Header) -> bool:
    """Whether another set votes on the next block (rule R12)."""
    return header.next_validator_set_hash != header.validator_set_hash
