"""An epoch as this node's chain knows it: who votes, on which block it stands, and how the one before ended (R12).

Knows final state and the store; decides nothing. Must always hold: everything follows from final blocks, so a node that
restarts, catches up or only watches comes to the same sets as those who voted for them.
"""

from dataclasses import dataclass
from typing import Any

from consensus.types import Config, PayloadRule, Timing
from contracts.validators import closes_epoch, read_epoch
from ledger.blocks import MAX_BLOCK_BYTES
from ledger.certificates import Kind, ValidatorSet
from ledger.crypto import bls, ed25519
from node.chain import Chain
from node.errors import ConfigError
from node.identity import Identity
from node.keyring import Keyring


@dataclass(frozen=True, slots=True)
class KeySigner:
    """Votes with the keys of the node's folder (`consensus.types.Signer`)."""

    identity: Identity

    def sign_vote(self, kind: Kind, message: bytes) -> bytes:
        """Ed25519 for notarize and nullify, BLS for finalize."""
        if kind != "finalize":
            return ed25519.sign(self.identity.signing.secret, message)
        assert self.identity.finality is not None, "only a validator is asked to vote"
        return bls.sign(self.identity.finality.secret, message)


@dataclass(frozen=True, slots=True)
class EpochSource:
    """Gives the core's configuration for the epoch that the next block belongs to."""

    chain: Chain
    keys: Keyring
    payloads: PayloadRule
    timing: Timing
    log: Any

    def config(self) -> Config:
        """With the keys that state names from here on, if they wait in the folder.

        Raises ConfigError `keys` at the very start of a chain, when genesis names other keys than the folder has.
        """
        self.keys.adopt(self.chain.final)
        validators = self.chain.final.validators
        me = self._voting_index(validators)
        return Config(
            chain=self.chain.final.chain,
            validators=validators,
            me=me,
            root=self._root(validators.epoch),
            leader_seed=self._root(max(1, validators.epoch - 1)),  # A2: fixed before the boundary block was made
            payloads=self.payloads,
            signer=None if me is None else KeySigner(self.keys.identity),
            timing=self.timing,
            max_payload=MAX_BLOCK_BYTES,
        )

    @property
    def vote_key_id(self) -> str:
        """Which pair of keys votes now: names journal and guard."""
        return self.keys.identity.vote_key_id

    @property
    def has_seat(self) -> bool:
        """Whether this participant is one of the validators, with whatever keys."""
        return self.chain.final.validators.index_of(self.keys.participant) is not None

    def _root(self, epoch: int) -> bytes:
        """What view 0 of the epoch stands for: genesis, or the last block of the epoch before."""
        last = last_height(self.chain, epoch - 1)
        return self.chain.final.chain if last is None else self.chain.store.spine(last).header_hash

    def _voting_index(self, validators: ValidatorSet) -> int | None:
        """This node's place in the set; None for an observer, and while its seat is held with other keys."""
        identity = self.keys.identity
        index = validators.index_of(identity.participant)
        if index is None:
            return None
        member, finality = validators.validators[index], identity.finality
        faults = []
        if member.signing_key != identity.signing.public.hex():
            faults.append(("keys/signing.json", "is not the key that this validator's seat is held with"))
        if finality is None or member.finality_key != finality.public.hex():
            faults.append(("keys/finality.json", "is not the key that this validator's seat is held with"))
        if not faults:
            return index
        if self.chain.height == 0:
            raise ConfigError("keys", faults)
        self.log.error("keys_not_in_set", epoch=validators.epoch, files=[path for path, _ in faults])
        return None


def last_height(chain: Chain, epoch: int) -> int | None:
    """The height of an epoch's last block, None if it is not closed here (or is no epoch)."""
    following = read_epoch(chain.final.read, epoch + 1)
    return None if following is None else following.from_height - 1


def closing_certificate(chain: Chain, epoch: int) -> bytes | None:
    """The finalization that closed an epoch, None while it is not closed here."""
    last = last_height(chain, epoch)
    return None if last is None else chain.store.spine(last).certificate


def boundary_of(chain: Chain) -> bytes | None:
    """The digest of the last final block if it closes its epoch."""
    header = chain.final.header
    return chain.final.header_hash if header is not None and closes_epoch(header) else None
