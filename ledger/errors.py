"""Every way in which foreign bytes or the ledger's own state can be wrong.

    LedgerError                  code, detail
     +- DecodeError              bytes from outside that are not what they claim to be
     +- SignatureError           a signature, key or proof of possession does not verify
     +- InvalidTransaction       makes the block that carries it invalid
     +- InvalidBlock             a block no honest validator votes for
     +- InvalidCertificate       a certificate that proves nothing
     +- InvalidEvidence          two statements that convict nobody
     +- InvalidProof             a log or map proof that does not lead to its root
     +- EnvelopeError            an encrypted document that cannot be made or opened
     +- KeyFileError             a key file that is missing, exposed or not what it says
     +- StoreError               the local store is damaged or was misused

A transaction that only breaks a contract rule is no error: it stays in its block with a refusal code
in its receipt. Texts say what was wrong and where; they never contain personal or medical data.
"""


class LedgerError(Exception):
    """Base of the package. `code` is stable and documented; `detail` is for people."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail


class DecodeError(LedgerError):
    """Bytes from outside are not a canonical encoding of the expected value."""


class SignatureError(LedgerError):
    """A signature does not verify, or a key must not be used."""


class InvalidTransaction(LedgerError):
    """A transaction that no block may contain."""


class InvalidBlock(LedgerError):
    """A block that breaks a rule of the chain."""


class InvalidCertificate(LedgerError):
    """A certificate without a valid quorum for its subject."""


class InvalidEvidence(LedgerError):
    """Two statements that do not show an offence of the validator they are held against."""


class InvalidProof(LedgerError):
    """A Merkle proof that does not lead to the expected root."""


class EnvelopeError(LedgerError):
    """An encrypted document that cannot be made, read or opened."""


class KeyFileError(LedgerError):
    """A key file on this machine that is missing, readable by others, damaged or of another kind."""


class StoreError(LedgerError):
    """The local store is damaged, or was asked for what it must never do."""
