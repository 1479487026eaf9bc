"""The customer's software: consents, mail, acknowledgements, and what importing it brings along."""

import subprocess
import sys

import pytest

from contracts.commitments import commit
from contracts.tokens import (
    decode_acknowledgement,
    decode_consent,
    decode_contest,
    decode_payee_change,
    decode_revocation,
)
from ledger.crypto import ed25519
from ledger.crypto.envelopes import decode_envelope, encode_envelope, open_envelope, seal
from ledger.crypto.hashing import tagged_hash, tagged_hex
from ledger.crypto.keys import key_from_secret
from ledger.encoding import decode, encode
from node.wallet import (
    ConsentWallet,
    WalletError,
    check_certificate,
    decode_wallet,
    encode_wallet,
    make_acknowledgement,
    make_consent,
    make_contest,
    make_payee_change,
    make_revocation,
    open_mail,
    seal_payee,
    standard_grantees,
)
from tests.support.network_builder import make_bytes, make_hex

NETWORK = "test.claims"
PAYOUT = make_hex("payout")


def make_wallet() -> ConsentWallet:
    return make_consent(
        network=NETWORK,
        hospitals=["hospital"],
        grantees=standard_grantees(["insurer", "insurer-two"], ["commission"], ["tpa", "commission"]),
        policy_ids=["ab" * 16],
        payee={"account": "NL00"},
        nbf_ms=1,
        exp_ms=1_000,
    )


def test_two_consents_of_one_person_share_nothing() -> None:
    first, second = make_wallet(), make_wallet()
    shared = {"network", "payee", "case_secret", "ward", "pending"}
    for name in ConsentWallet.__struct_fields__:
        assert name in shared or getattr(first, name) != getattr(second, name), name
    one, two = decode_consent(first.token).consent, decode_consent(second.token).consent
    assert one.payee_commit != two.payee_commit
    assert one.mailbox_key != two.mailbox_key


def test_the_consent_names_ranks_purposes_and_the_slip() -> None:
    wallet = make_wallet()
    consent = decode_consent(wallet.token).consent
    ranks = {item.participant: item.rank for item in consent.grantees}
    assert ranks == {"insurer": 1, "insurer-two": 2, "commission": None, "tpa": None}
    assert consent.grantees[2].purposes == ("endorse", "co-adjudicate")
    assert consent.revoke_hash == tagged_hex("revocation-slip", bytes.fromhex(wallet.slip))
    assert consent.payee_commit == commit("payee", wallet.payee)
    assert decode_revocation(make_revocation(wallet), consent.key).consent_id == wallet.consent_id


def test_a_wallet_file_comes_back_and_its_repr_keeps_its_secrets() -> None:
    wallet = make_wallet()
    assert decode_wallet(encode_wallet(wallet)) == wallet
    assert wallet.seed not in repr(wallet)
    for broken in (b"", b"{}", encode_wallet(wallet)[:-1]):
        with pytest.raises(WalletError, match="wallet"):
            decode_wallet(broken)


def test_the_payee_opens_for_the_insurers_only() -> None:
    wallet = make_wallet()
    insurer = key_from_secret("x25519", make_bytes("insurer"))
    envelope = decode_envelope(seal_payee(wallet, [insurer.public.hex()]))
    assert decode(open_envelope(envelope, insurer.secret)) == wallet.payee
    assert len(envelope.header.recipients) == 1


def mail(wallet: ConsentWallet, kind: str, content: object) -> bytes:
    mailbox = key_from_secret("x25519", bytes.fromhex(wallet.mailbox_secret)).public
    return encode_envelope(seal(encode(content), network=NETWORK, subject=f"{kind}:{PAYOUT}", recipients=[mailbox]))


def test_mail_opens_with_the_right_wallet() -> None:
    wallet = make_wallet()
    found = open_mail(wallet, mail(wallet, "decision", {"result": 1}))
    assert (found.kind, found.subject, found.content) == ("decision", PAYOUT, {"result": 1})
    with pytest.raises(WalletError, match="mail"):
        open_mail(make_wallet(), mail(wallet, "decision", {}))
    for broken in (b"", mail(wallet, "pool", {}), mail(wallet, "decision", [1])):
        with pytest.raises(WalletError, match="mail"):
            open_mail(wallet, broken)


def test_only_the_settlement_that_was_read_is_acknowledged() -> None:
    wallet = make_wallet()
    settlement = {"salt": "00" * 32, "payout_id": PAYOUT, "amount_fen": 5}
    committed = commit("settlement", settlement)
    token = make_acknowledgement(wallet, PAYOUT, committed, settlement)
    key = decode_consent(wallet.token).consent.key
    assert decode_acknowledgement(token, key).settlement_commit == committed
    for payout, commitment, opening in (
        (PAYOUT, make_hex("other"), settlement),
        (make_hex("other"), committed, settlement),
        (PAYOUT, committed, settlement | {"amount_fen": 6}),
        (PAYOUT, committed, {}),
    ):
        with pytest.raises(WalletError, match="settlement"):
            make_acknowledgement(wallet, payout, commitment, opening)


def test_a_contest_and_another_account_are_signed_with_the_consents_key() -> None:
    wallet = make_wallet()
    key = decode_consent(wallet.token).consent.key
    contest = decode_contest(make_contest(wallet, PAYOUT, "cd" * 32), key)
    assert (contest.payout_id, contest.settlement_commit, contest.consent_id) == (PAYOUT, "cd" * 32, wallet.consent_id)
    token, opening = make_payee_change(wallet, PAYOUT, 2, {"name": "Zhang San", "account": "6222"})
    change = decode_payee_change(token, key)
    assert (change.attempt, change.payee_commit) == (2, commit("payee", opening))
    assert opening["salt"] != make_payee_change(wallet, PAYOUT, 2, {"account": "6222"})[1]["salt"]


def test_a_policy_certificate_is_the_insurers_or_refused() -> None:
    seed = make_bytes("insurer signing")
    content = {"policy_id": "ab" * 16, "terms": {"relation": "employee"}}
    signature = ed25519.sign(seed, tagged_hash("policy-certificate", encode(content))).hex()
    certificate = {**content, "key_id": "cd" * 16, "signature": signature}
    key = ed25519.public_key(seed).hex()
    check_certificate(certificate, key)
    for changed in (certificate | {"terms": {}}, certificate | {"signature": "x"}, content):
        with pytest.raises(WalletError, match="wallet"):
            check_certificate(changed, key)


def test_importing_the_wallet_brings_no_server_and_no_database() -> None:
    heavy = "('sqlalchemy', 'fastapi', 'uvicorn', 'aiohttp')"
    code = f"import sys, node.wallet; print([name for name in {heavy} if name in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
