"""The keys in use, and those that wait beside them for the block that registers them.

Knows key files and what final state says of them; signs nothing. Must always hold: a waiting key is used from the first
block on for which state names it, never before; a replaced key file stays under another name; a crash at any point of
the change leaves files with which the next start completes it, since state was durable before.
"""

import contextlib
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from contracts.execution import ChainState
from contracts.states import read_key
from ledger.crypto import ed25519
from ledger.crypto.keys import KeyPair, load_key
from ledger.errors import KeyFileError
from node.identity import FINALITY, KEYS, SIGNING, Identity

NEXT = {SIGNING: "signing.next.json", FINALITY: "finality.next.json"}
"""The file of the key that is to follow, put there before the change is voted on."""


class Keyring:
    """One participant's identity through all changes of its keys (`node.agents.ports.Keys`)."""

    def __init__(self, folder: Path, identity: Identity, log: Any) -> None:
        self._folder = folder / KEYS
        self._log = log
        self.identity = identity

    @property
    def participant(self) -> str:
        """Whose keys these are."""
        return self.identity.participant

    @property
    def signing(self) -> KeyPair:
        """The key of transactions, and of notarize and nullify votes."""
        return self.identity.signing

    @property
    def envelope(self) -> KeyPair:
        """The key that documents are encrypted to."""
        return self.identity.envelope

    @property
    def invoice(self) -> Mapping[tuple[str, int], KeyPair]:
        """A commission's invoice keys."""
        return self.identity.invoice

    @property
    def key_id(self) -> str:
        """Id of the signing key now in use."""
        return self.identity.key_id

    def adopt(self, final: ChainState) -> None:
        """Change to the waiting keys that state names for the block after `final`. A file that cannot be used is logged
        and left alone: the keys in use are not worse for it."""
        for name in (SIGNING, FINALITY):
            if (self._folder / NEXT[name]).exists():
                try:
                    self._adopt_one(name, final)
                except (KeyFileError, OSError) as error:
                    self._log.error("key_not_adopted", file=f"{KEYS}/{NEXT[name]}", detail=str(error))

    def _adopt_one(self, name: str, final: ChainState) -> None:
        waiting = self._folder / NEXT[name]
        key = load_key(waiting, "ed25519" if name == SIGNING else "bls12-381")
        named = _names_signing if name == SIGNING else _names_finality
        if not named(final, self.participant, key.public):
            return
        old = self.signing if name == SIGNING else self.identity.finality
        if old is not None:
            self._retire(name, old)
        os.replace(waiting, self._folder / name)
        _sync(self._folder)
        mine = self.identity
        self.identity = replace(mine, signing=key) if name == SIGNING else replace(mine, finality=key)
        self._log.info("key_adopted", file=f"{KEYS}/{name}", public=key.public.hex(), height=final.height)

    def _retire(self, name: str, old: KeyPair) -> None:
        """A second name for the old file; its first one is then taken by the new key in one step."""
        retired = name.replace(".json", f"-retired-{old.public.hex()[:16]}.json")
        with contextlib.suppress(FileNotFoundError, FileExistsError):  # keys in memory; a change cut short
            os.link(self._folder / name, self._folder / retired)


def _names_signing(final: ChainState, participant: str, public: bytes) -> bool:
    known = read_key(final.read, ed25519.key_id(public))
    return known is not None and known.participant == participant and known.is_active(final.height + 1)


def _names_finality(final: ChainState, participant: str, public: bytes) -> bool:
    index = final.validators.index_of(participant)
    return index is not None and final.validators.validators[index].finality_key == public.hex()


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
