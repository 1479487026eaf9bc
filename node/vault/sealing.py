"""Values encrypted under the vault key: AES-256-GCM, the name of a value bound as associated data.

Knows bytes and names. Must not know what a value means. Must always hold: a value moved under another name does not
open, and every encryption draws a fresh nonce.
"""

import os
from collections.abc import Callable
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from ledger.encoding import decode, encode
from ledger.errors import DecodeError
from node.vault.errors import VaultError

NONCE_BYTES = 12
MAX_SECRET = 8 * 2**20
"""Bytes of one value. The largest, a proposal with all its openings, is below one megabyte."""


class Sealer:
    """Encrypts values at rest. Its repr shows no key."""

    __slots__ = ("_aead", "_chance")

    def __init__(self, key: bytes, chance: Callable[[int], bytes] = os.urandom) -> None:
        self._aead = AESGCM(key)
        self._chance = chance

    def seal(self, name: str, value: Any) -> bytes:
        """nonce | ciphertext of the canonical bytes of `value`. Raises DecodeError for a value that has none."""
        plain = encode(value)
        if len(plain) > MAX_SECRET:
            raise VaultError("too_large", f"a value of {len(plain)} bytes, at most {MAX_SECRET}")
        nonce = self._chance(NONCE_BYTES)
        return nonce + self._aead.encrypt(nonce, plain, _associated(name))

    def open(self, name: str, sealed: bytes) -> Any:
        """The value. Raises VaultError `damaged`: another key, another name, or changed bytes."""
        try:
            plain = self._aead.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], _associated(name))
            return decode(plain)
        except (InvalidTag, ValueError, DecodeError):
            raise VaultError("damaged", f"the value {name} does not open with this vault's key") from None


def _associated(name: str) -> bytes:
    return b"claimnode/vault-value\x00" + name.encode("ascii")
