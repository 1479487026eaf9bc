"""What happens to a consent after it was made: attested, ratified, given another key; and the cases of a standing one.

Knows wallets, tokens and a participant's signing key; imports no server and no database. Must always hold: a wallet
keeps its old key until the ledger has put the new one in place, so that its owner can still say no.
"""

import os

from msgspec import UNSET
from msgspec.structs import replace

from contracts.commitments import commit
from contracts.consenttokens import (
    RATIFICATION_TYPE,
    REKEYING_TYPE,
    VETO_TYPE,
    Attestation,
    Ratification,
    Rekeying,
    RekeyVeto,
    attestation_message,
    derive_token_id,
)
from contracts.identifiers import derive_case_id, derive_standing_case
from contracts.tokens import encode_token
from ledger.crypto import ed25519
from ledger.crypto.hashing import tagged_hex
from ledger.crypto.keys import KeyPair
from ledger.crypto.wrapping import X25519, wrap_public_key
from node.wallet import SELF, Chance, ConsentWallet, Given, WalletError, last_ms

LOST = "00" * 32
"""In the place of a slip that this wallet does not have."""


def hash_form(form: bytes) -> str:
    """What stands in a token for a signed form, a court's order, a scan: 64 hexadecimal digits."""
    return tagged_hex("signed-form", form)


def attest_token(token: str, participant: str, key: KeyPair) -> Attestation:
    """A participant's word that this token was signed for the customer as it says. Raises TokenError."""
    token_id, key_id = derive_token_id(token), ed25519.key_id(key.public)
    message = attestation_message(token_id, participant, key_id)
    return Attestation(token_id, participant, key_id, ed25519.sign(key.secret, message).hex())


def open_standing_case(wallet: ConsentWallet, number: int) -> str:
    """The id of a standing consent's case with this number. Raises WalletError `wallet` for a consent of one case."""
    if wallet.case_secret is None:
        raise WalletError("wallet", "this consent is for one case, whose id it has")
    return derive_standing_case(wallet.case_secret, number)


def make_ratification(
    wallet: ConsentWallet,
    *,
    now_ms: int,
    exp_ms: int,
    given: Given = SELF,
    chance: Chance = os.urandom,
) -> ConsentWallet:
    """The wallet with the customer's own keys, and the token that takes an emergency consent over.

    The payee stays who it was: change it in the wallet before, if the emergency named another.
    """
    seed, mailbox, slip = chance(32), chance(32), chance(32)
    payee = {**wallet.payee, "salt": chance(32).hex()}
    ward = None if given.birthday is None else {"birthday": given.birthday, "salt": chance(32).hex()}
    if given.basis not in ("self", "paper", "guardian"):
        raise WalletError("wallet", f"nobody ratifies on the basis {given.basis}")
    ratification = Ratification(
        v=1,
        network=wallet.network,
        consent_id=wallet.consent_id,
        basis=given.basis,
        key=ed25519.public_key(seed).hex(),
        payee_commit=commit("payee", payee),
        mailbox_key=wrap_public_key(X25519, mailbox).hex(),
        revoke_hash=tagged_hex("revocation-slip", slip),
        notify="mailbox",
        exp_ms=last_ms(given, now_ms, exp_ms),
        nonce=chance(16).hex(),
        form_hash=given.form or UNSET,
        ward_commit=UNSET if ward is None else commit("ward", ward),
    )
    return replace(
        wallet,
        seed=seed.hex(),
        mailbox_secret=mailbox.hex(),
        slip=slip.hex(),
        payee=payee,
        ward=ward,
        pending=encode_token(ratification, RATIFICATION_TYPE, seed),
    )


def make_rekeying(network: str, consent_id: str, chance: Chance = os.urandom) -> ConsentWallet:
    """The wallet of somebody who lost theirs: new keys and the token that asks for them. What else the old one held
    (slip, account, token) stays lost; the paper slip is still the consent's."""
    seed, mailbox = chance(32), chance(32)
    token = Rekeying(
        v=1,
        network=network,
        consent_id=consent_id,
        key=ed25519.public_key(seed).hex(),
        mailbox_key=wrap_public_key(X25519, mailbox).hex(),
        nonce=chance(16).hex(),
    )
    return ConsentWallet(
        network=network,
        consent_id=consent_id,
        case_id=derive_case_id(consent_id),
        seed=seed.hex(),
        mailbox_secret=mailbox.hex(),
        slip=LOST,
        payee={},
        token="",
        pending=encode_token(token, REKEYING_TYPE, seed),
    )


def make_veto(wallet: ConsentWallet, key: str, chance: Chance = os.urandom) -> str:
    """The holder's no to another key (hex), as the ledger shows it in the consent."""
    veto = RekeyVeto(1, wallet.network, wallet.consent_id, key, chance(16).hex())
    return encode_token(veto, VETO_TYPE, bytes.fromhex(wallet.seed))
