"""A customer's words about a claim: what is signed, what is kept, and that the ledger takes it."""

import pytest

from contracts.claimtokens import DISPUTE_TYPE, Complaint
from contracts.commitments import commit
from contracts.tokens import decode_consent, decode_token
from node.wallet import ConsentWallet, WalletError
from node.wallet_claims import make_agreement, make_dispute, make_escalation, make_reopening, make_withdrawal
from tests.support.claim_lives import make_lives
from tests.support.network_builder import Customer, make_hex


def wallet_of(customer: Customer) -> ConsentWallet:
    return ConsentWallet(
        network=customer.consent.network,
        consent_id=customer.consent_id,
        case_id=customer.case_id,
        seed=customer.seed.hex(),
        mailbox_secret=make_hex("mailbox"),
        slip=customer.slip,
        payee={},
        token=customer.token,
    )


def test_a_dispute_hands_back_what_opens_it() -> None:
    lives = make_lives()
    customer, claim_id = lives.reach("DECIDED")
    token, openings = make_dispute(wallet_of(customer), claim_id, 1, "the ward fee was left out", [make_hex("digest")])
    key = decode_consent(customer.token).consent.key
    word = decode_token(token, DISPUTE_TYPE, Complaint, key)
    assert (word.claim_id, word.attempt) == (claim_id, 1)
    assert word.complaint_commit == commit("complaint", openings["complaint"])
    assert word.disclosure_commit == commit("complaint", openings["disclosure"])
    assert "ward fee" not in token


@pytest.mark.parametrize("words", ["", "  \n", "x" * 16_385])
def test_words_are_bounded(words: str) -> None:
    customer, claim_id = make_lives().start()
    with pytest.raises(WalletError) as caught:
        make_reopening(wallet_of(customer), claim_id, 1, words)
    assert caught.value.code == "words"


def test_every_word_is_taken_by_the_ledger() -> None:
    lives = make_lives()
    customer, claim_id = lives.reach("EVIDENCE_COMPLETE")
    held = wallet_of(customer)
    said = {"token": make_escalation(held, claim_id, 1, "decide")}
    assert lives.act("claim.escalate", customer, claim_id, **said).code == "ok"
    customer, claim_id = lives.reach("CLOSED")
    token, commitment, _ = make_reopening(wallet_of(customer), claim_id, 1, "a late invoice")
    assert lives.act("claim.reopen", customer, claim_id, token=token, reason_commit=commitment).code == "ok"
    customer, claim_id = lives.reach("FILED")
    token = make_withdrawal(wallet_of(customer), claim_id, 1)
    assert lives.act("claim.withdraw", customer, claim_id, token=token).code == "ok"
    assert make_agreement(wallet_of(customer), claim_id, 1, [make_hex("statement")]).count(".") == 2
