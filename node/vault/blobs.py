"""Envelopes as files, named by the digest of their ciphertext, below two-letter folders.

Knows files and digests. Must not know senders or subjects. Must always hold: a file that exists is whole (written
beside, synced, renamed), and what is read is what its name says, or an error.
"""

import os
import tempfile
from pathlib import Path

from ledger.crypto.envelopes import Envelope, ciphertext_digest, decode_envelope, encode_envelope
from ledger.errors import EnvelopeError
from node.vault.errors import VaultError


class BlobStore:
    """Ciphertexts of one node. Safe to call from several threads: each write is one rename."""

    __slots__ = ("_durable", "_root")

    def __init__(self, root: Path, *, durable: bool = True) -> None:
        self._root = root
        self._durable = durable
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        for scratch in root.glob("*/.new-*"):  # left by a crash between writing and renaming
            scratch.unlink(missing_ok=True)

    def put(self, envelope: Envelope) -> str:
        """Store durably and return the digest. An envelope with more recipients replaces the one before."""
        digest = ciphertext_digest(envelope)
        path = self._path(digest)
        path.parent.mkdir(mode=0o700, exist_ok=True)
        descriptor, scratch = tempfile.mkstemp(dir=path.parent, prefix=".new-")
        try:
            with open(descriptor, "wb") as stream:
                stream.write(encode_envelope(envelope))
                stream.flush()
                if self._durable:
                    os.fsync(stream.fileno())
            os.replace(scratch, path)
        except BaseException:
            Path(scratch).unlink(missing_ok=True)
            raise
        if self._durable:
            _sync(path.parent)
        return digest

    def get(self, digest: str) -> Envelope:
        """The envelope of a digest. Raises VaultError `missing`, `damaged`."""
        try:
            envelope = decode_envelope(self._path(digest).read_bytes())
        except FileNotFoundError:
            raise VaultError("missing", f"no ciphertext {digest} in this vault") from None
        except EnvelopeError as error:
            raise VaultError("damaged", f"ciphertext {digest}: {error.code}") from None
        if ciphertext_digest(envelope) != digest:
            raise VaultError("damaged", f"ciphertext {digest} is not what its name says")
        return envelope

    def delete(self, digest: str) -> None:
        """Forget a ciphertext; absent is fine."""
        self._path(digest).unlink(missing_ok=True)

    def _path(self, digest: str) -> Path:
        if len(digest) != 64 or not digest.isalnum():
            raise VaultError("missing", "a digest has 64 hexadecimal digits")
        return self._root / digest[:2] / digest


def _sync(directory: Path) -> None:
    if os.name != "posix":
        return
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
