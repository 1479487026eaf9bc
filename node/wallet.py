"""The customer's side: consents, revocation slips, opened mail, acknowledgements. For the command line and the demo.

Knows tokens, envelopes and openings; imports no server, no database and no node. Secrets live in one wallet value that
its owner keeps in a file. Must always hold: every consent has keys of its own, so two consents of one person share
nothing, and nothing is acknowledged that does not open to its commitment.
"""

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from msgspec import UNSET, Struct

from contracts.commitments import commit
from contracts.consentlife import ATTESTED_MS, of_age_ms
from contracts.errors import InputError
from contracts.identifiers import derive_case_id
from contracts.tokens import (
    ACKNOWLEDGEMENT_TYPE,
    CONSENT_TYPE,
    CONTEST_TYPE,
    PAYEE_TYPE,
    REVOCATION_TYPE,
    Acknowledgement,
    Consent,
    Contest,
    DataClass,
    Grantee,
    PayeeChange,
    Revocation,
    decode_consent,
    encode_token,
)
from ledger.crypto import ed25519
from ledger.crypto.envelopes import decode_envelope, encode_envelope, open_envelope, seal
from ledger.crypto.hashing import tagged_hash, tagged_hex
from ledger.crypto.wrapping import X25519, wrap_public_key
from ledger.encoding import decode, decode_as, encode
from ledger.errors import DecodeError, EnvelopeError, SignatureError
from ledger.types import Hex32, NetworkId

Chance = Callable[[int], bytes]
MAIL_KINDS = ("decision", "notice", "risk-notice", "settlement")
"""What a customer's mailbox can hold."""
MAX_WALLET = 64 * 1024
"""Bytes of one wallet: keys, slip and token of one consent."""


class WalletError(Exception):
    """What a customer's software cannot do: `wallet`, `mail`, `settlement`. `detail` names no person."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail


class ConsentWallet(Struct, frozen=True, forbid_unknown_fields=True):
    """Everything the holder of one consent needs. `payee` opens the consent's payee commitment, `ward` that of the
    ward's birthday; a standing consent has a `case_secret`. `pending` is the token with which these keys take the place
    of others, until the ledger has it. Its repr is short."""

    network: NetworkId
    consent_id: Hex32
    case_id: Hex32
    seed: Hex32
    mailbox_secret: Hex32
    slip: Hex32
    payee: dict[str, Any]
    token: str
    case_secret: Hex32 | None = None
    ward: dict[str, Any] | None = None
    pending: str | None = None

    def __repr__(self) -> str:
        return f"ConsentWallet(consent_id={self.consent_id!r})"


class Mail(Struct, frozen=True):
    """One opened message: `kind` is `decision` or `settlement`."""

    kind: str
    subject: str
    content: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Given:
    """How a consent was given: beside `self` for one case, see contracts.consentbases. `form` is the hash of the signed
    form, `birthday` (YYYY-MM-DD) a ward's."""

    basis: Literal["self", "paper", "guardian", "emergency", "court"] = "self"
    scope: Literal["case", "standing"] = "case"
    form: str | None = None
    birthday: str | None = None
    delegable: bool = False


SELF = Given()
"""The customer, for one case."""


def make_consent(
    *,
    network: str,
    hospitals: Sequence[str],
    grantees: Iterable[Grantee],
    policy_ids: Sequence[str],
    payee: dict[str, Any],
    nbf_ms: int,
    exp_ms: int,
    given: Given = SELF,
    chance: Chance = os.urandom,
) -> ConsentWallet:
    """A signed consent, with fresh keys, mailbox and revocation slip.

    `payee` names the account to be paid; it gets a salt here and only its commitment enters the token. On another
    basis than `self` it ends after 30 days at the latest, a guardian's on the ward's 18th birthday.
    """
    seed, mailbox, slip = chance(32), chance(32), chance(32)
    opening = {**payee, "salt": chance(32).hex()}
    ward = None if given.birthday is None else {"birthday": given.birthday, "salt": chance(32).hex()}
    consent = Consent(
        v=1,
        network=network,
        basis=given.basis,
        scope=given.scope,
        key=ed25519.public_key(seed).hex(),
        nonce=chance(16).hex(),
        hospitals=tuple(hospitals),
        grantees=tuple(grantees),
        policy_ids=tuple(policy_ids),
        payee_commit=commit("payee", opening),
        mailbox_key=wrap_public_key(X25519, mailbox).hex(),
        revoke_hash=tagged_hex("revocation-slip", slip),
        notify="mailbox",
        nbf_ms=nbf_ms,
        exp_ms=last_ms(given, nbf_ms, exp_ms),
        delegable=given.delegable,
        form_hash=given.form or UNSET,
        ward_commit=UNSET if ward is None else commit("ward", ward),
    )
    token = encode_token(consent, CONSENT_TYPE, seed)
    consent_id = decode_consent(token).consent_id
    return ConsentWallet(
        network=network,
        consent_id=consent_id,
        case_id=derive_case_id(consent_id),
        seed=seed.hex(),
        mailbox_secret=mailbox.hex(),
        slip=slip.hex(),
        payee=opening,
        token=token,
        case_secret=chance(32).hex() if given.scope == "standing" else None,
        ward=ward,
    )


def last_ms(given: Given, nbf_ms: int, exp_ms: int) -> int:
    """When a consent given like this ends: at `exp_ms`, or before it where its basis says so."""
    ends = [exp_ms]
    if given.basis != "self":
        ends.append(nbf_ms + ATTESTED_MS)
    if given.birthday is not None:
        ends.append(of_age_ms(given.birthday))
    return min(ends)


def standard_grantees(
    insurers: Sequence[str], commissions: Sequence[str], co_adjudicators: Sequence[str]
) -> list[Grantee]:
    """What a usual consent allows: insurers in order of rank decide and pay, commissions endorse, others re-run."""
    everything: tuple[DataClass, ...] = ("identity", "clinical", "charges")
    ranked = [
        Grantee(participant=name, purposes=("report", "adjudicate", "pay"), data_classes=everything, rank=rank)
        for rank, name in enumerate(insurers, start=1)
    ]
    endorsing = [
        Grantee(
            participant=name,
            purposes=("endorse", "co-adjudicate") if name in co_adjudicators else ("endorse",),
            data_classes=everything,
            rank=None,
        )
        for name in commissions
    ]
    judging = [
        Grantee(participant=name, purposes=("co-adjudicate",), data_classes=everything, rank=None)
        for name in co_adjudicators
        if name not in commissions
    ]
    return [*ranked, *endorsing, *judging]


def seal_payee(wallet: ConsentWallet, envelope_keys: Iterable[str]) -> bytes:
    """The payee's opening for the insurers, as a `payee` parcel's envelope; keys are those of the registry, in hex."""
    recipients = sorted({bytes.fromhex(key) for key in envelope_keys})
    envelope = seal(
        encode(wallet.payee), network=wallet.network, subject=f"payee:{wallet.consent_id}", recipients=recipients
    )
    return encode_envelope(envelope)


def make_revocation(wallet: ConsentWallet, chance: Chance = os.urandom) -> str:
    """A token that ends the consent; the slip alone does the same from any node."""
    revocation = Revocation(v=1, network=wallet.network, consent_id=wallet.consent_id, nonce=chance(16).hex())
    return encode_token(revocation, REVOCATION_TYPE, bytes.fromhex(wallet.seed))


def open_mail(wallet: ConsentWallet, envelope: bytes) -> Mail:
    """A decision or settlement from the mailbox. Raises WalletError `mail`."""
    try:
        found = decode_envelope(envelope)
        kind, _, subject = found.header.subject.partition(":")
        content = decode(open_envelope(found, bytes.fromhex(wallet.mailbox_secret)))
    except (EnvelopeError, DecodeError) as error:
        raise WalletError("mail", f"this message does not open with the wallet's mailbox key: {error.code}") from None
    if kind not in MAIL_KINDS or not isinstance(content, dict):
        raise WalletError("mail", "the message is no decision, notice or settlement")
    return Mail(kind, subject, content)


def make_acknowledgement(
    wallet: ConsentWallet,
    payout_id: str,
    settlement_commit: str,
    settlement: dict[str, Any],
    chance: Chance = os.urandom,
) -> str:
    """The payee's word that the money of this settlement arrived. Raises WalletError `settlement`.

    `settlement_commit` is what the ledger says; the opened message must be its opening.
    """
    try:
        opens = commit("settlement", settlement) == settlement_commit and settlement.get("payout_id") == payout_id
    except (InputError, DecodeError):
        opens = False
    if not opens:
        raise WalletError("settlement", f"the message does not open the settlement of payout {payout_id}")
    token = Acknowledgement(
        v=1,
        network=wallet.network,
        consent_id=wallet.consent_id,
        payout_id=payout_id,
        settlement_commit=settlement_commit,
        nonce=chance(16).hex(),
    )
    return encode_token(token, ACKNOWLEDGEMENT_TYPE, bytes.fromhex(wallet.seed))


def make_contest(wallet: ConsentWallet, payout_id: str, settlement_commit: str, chance: Chance = os.urandom) -> str:
    """The payee's word that the money of this settlement did not arrive. `settlement_commit` is what the ledger says;
    it needs no opening: also who got no message can say that no money came."""
    token = Contest(
        v=1,
        network=wallet.network,
        consent_id=wallet.consent_id,
        payout_id=payout_id,
        settlement_commit=settlement_commit,
        nonce=chance(16).hex(),
    )
    return encode_token(token, CONTEST_TYPE, bytes.fromhex(wallet.seed))


def make_payee_change(
    wallet: ConsentWallet, payout_id: str, attempt: int, payee: dict[str, Any], chance: Chance = os.urandom
) -> tuple[str, dict[str, Any]]:
    """(token, opening) of another account for this attempt of a payout that failed; both go to the insurer."""
    opening = {**payee, "salt": chance(32).hex()}
    token = PayeeChange(
        v=1,
        network=wallet.network,
        consent_id=wallet.consent_id,
        payout_id=payout_id,
        attempt=attempt,
        payee_commit=commit("payee", opening),
        nonce=chance(16).hex(),
    )
    return encode_token(token, PAYEE_TYPE, bytes.fromhex(wallet.seed)), opening


def check_certificate(certificate: dict[str, Any], insurer_key: str) -> None:
    """A policy certificate as the insured got it: signed by the insurer's key (hex). Raises WalletError `wallet`."""
    content = {name: value for name, value in certificate.items() if name not in ("key_id", "signature")}
    try:
        signature = bytes.fromhex(str(certificate.get("signature")))
        ed25519.verify(bytes.fromhex(insurer_key), tagged_hash("policy-certificate", encode(content)), signature)
    except (SignatureError, DecodeError, ValueError):
        raise WalletError("wallet", "the policy certificate is not signed by this insurer") from None


def encode_wallet(wallet: ConsentWallet) -> bytes:
    """The bytes of a wallet file, to be written with mode 0600."""
    return encode(wallet)


def decode_wallet(data: bytes) -> ConsentWallet:
    """A wallet file. Raises WalletError `wallet`."""
    try:
        return decode_as(data, ConsentWallet, limit=MAX_WALLET)
    except DecodeError as error:
        raise WalletError("wallet", f"no wallet of a consent: {error.code}") from None
