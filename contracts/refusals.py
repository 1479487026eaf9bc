"""Every code that a receipt can carry beside `ok` and `partial`, with one English sentence for people.

Codes are signed into receipts, so one that exists never changes its meaning. A test compares this list with the
code base and with the table in README.md. The sentences name no person and no content.
"""

from typing import Final

REFUSALS: Final[dict[str, str]] = {
    # the transaction as a whole
    "UNKNOWN_KIND": "This version of the network executes no transaction of this kind.",
    "BODY_SCHEMA": "The body does not follow the closed schema of its kind, or holds no operation.",
    "KEY_NOT_ACTIVE": "The author's key is not active at the height of the block.",
    "LIMIT_WRITES": "The transaction would write more keys than the network allows; send it in parts.",
    # who speaks
    "PARTICIPANT_UNKNOWN": "A participant named here is no member of the network.",
    "ROLE_MISSING": "The author does not hold the role that this transaction takes.",
    "NOT_THE_INSURER": "The claim or payout belongs to another insurer.",
    "NETWORK_MISMATCH": "A token or statement was signed for another network.",
    "WRONG_STATE": "The life cycle has no such step from the present status.",
    # governance
    "PARTICIPANT_FROZEN": "The validators froze this participant: nothing it signs counts.",
    "PROPOSAL_EXISTS": "This proposal is on the ledger already.",
    "PROPOSAL_UNKNOWN": "There is no proposal with this id.",
    "PROPOSAL_PERIOD": "The proposal ends before it begins, or is open for too long.",
    "PROPOSAL_OVER": "The proposal has passed, or its time or its epoch is over.",
    "NOT_A_VALIDATOR": "A participant named here, or the author, has no seat among the validators.",
    "ALREADY_VOTED": "The author has said so before.",
    "KEY_UNSOUND": "The key is no sound public key, or its proof of possession does not hold.",
    "KEY_IN_USE": "The key stands for another purpose or another participant.",
    "KEY_UNFIT": "The key is not registered for this participant, not active, or about to end.",
    "SET_EMPTY": "A network needs at least one validator.",
    "SET_TOO_LARGE": "The set would have more validators than a certificate can hold.",
    "SET_CONTROL_GROUP": "One control group would have more votes than may be faulty.",
    "FREEZE_OWN_GROUP": "Only validators outside the other's control group can freeze it.",
    "ALREADY_FROZEN": "The participant is frozen.",
    "NOT_FROZEN": "The participant is not frozen.",
    # offences of validators
    "OFFENCE_EPOCH": "The epoch is not on this ledger yet, or too old to be judged.",
    "OFFENCE_KNOWN": "This offence is recorded; the receipt names it.",
    "OFFENCE_LIMIT": "Enough offences of this validator in this epoch are recorded.",
    "OFFENCE_UNSOUND": "The two statements do not convict the validator they are held against.",
    # policies
    "POLICY_EXISTS": "This policy id is taken.",
    "POLICY_UNKNOWN": "There is no policy with this id.",
    "ACCOUNT_EXISTS": "This account id is taken.",
    "ACCOUNT_UNKNOWN": "There is no account with this id.",
    "ADJUDICATOR_REPEATED": "A co-adjudicator is listed twice.",
    "ADJUDICATOR_ROLE": "A co-adjudicator or the escalation addressee holds no role that adjudicates.",
    "CONTROL_GROUP": "Too few co-adjudicators, or the escalation addressee, stand outside the insurer's control group.",
    # tokens
    "TOKEN_SIZE": "The token is too long or not ASCII.",
    "TOKEN_FORM": "The token is not a compact JWS of three parts.",
    "TOKEN_BASE64": "A part of the token is not base64url in its one spelling.",
    "TOKEN_JSON": "Header or payload of the token is not canonical JSON.",
    "TOKEN_HEADER": "The token's header holds something other than alg and typ.",
    "TOKEN_ALGORITHM": "The token's alg is neither Ed25519 nor EdDSA.",
    "TOKEN_TYPE": "The token's typ is not the one for this use.",
    "TOKEN_SCHEMA": "The token's payload does not follow its closed schema.",
    "TOKEN_SIGNATURE": "The token's signature does not verify with the key it must be made by.",
    # consents
    "BASIS_NOT_SUPPORTED": "Only consents given by the customer personally can be executed.",
    "SCOPE_NOT_SUPPORTED": "Only consents for one case can be executed.",
    "CONSENT_EXISTS": "This consent is on the ledger already.",
    "CONSENT_MISSING": "There is no consent with this id.",
    "CONSENT_REVOKED": "The customer revoked this consent.",
    "CONSENT_EXPIRED": "This consent has ended.",
    "CONSENT_NOT_YET": "This consent has not begun.",
    "CONSENT_PERIOD": "The consent ends before it begins, lasts too long, or begins too far ahead.",
    "CONSENT_REPEATED": "The consent lists a hospital, grantee or policy twice.",
    "CONSENT_RANK": "Each insurer with a policy needs a rank of its own, and nobody else has one.",
    "GRANTEE_ROLE": "A hospital or grantee does not hold the role for what it is named for.",
    "POLICY_NOT_GRANTED": "A policy and the grant to its insurer do not go together.",
    "NOT_GRANTED": "The consent does not name the author for this purpose.",
    "REVOCATION_PROOF": "Neither the consent's token nor its slip was given, or both, or the wrong one.",
    # records and evidence
    "HOSPITAL_NOT_LISTED": "The consent does not name this hospital.",
    "CASE_MISMATCH": "A record and the case it is given for do not belong together.",
    "CASE_UNKNOWN": "There is no case with this id.",
    "PADDED_SIZE": "The ciphertext's size is no power of two from 64 kB to 4 GB.",
    "RECORD_EXISTS": "This hospital published this commitment before.",
    "RECORD_UNKNOWN": "There is no record with this id.",
    "RECORD_TYPE": "A record can only replace one of its own type.",
    "COMMITMENT_MISMATCH": "The endorsed commitment is not the published one.",
    "ALREADY_ENDORSED": "The record has its verdict.",
    "NULLIFIER_FORM": "A nullifier is given for accepted invoices exactly, a reversal only with one.",
    "VERDICT_CODE": "A rejected record carries the code EVIDENCE_INVALID.",
    "DUPLICATE_OF": "This invoice was endorsed before; the receipt names the first record.",
    "REVERSES_UNKNOWN": "The red invoice reverses one that was never endorsed here.",
    "REVERSES_USED": "The reversed invoice is red itself or was reversed before.",
    "RECORD_REPEATED": "A record is listed twice as evidence.",
    "RECORD_NOT_ACCEPTED": "A record listed as evidence was not accepted.",
    "RECORD_REPLACED": "A record and its replacement are both listed as evidence.",
    "EVIDENCE_INCOMPLETE": "The evidence lacks a discharge or an invoice.",
    # claims and verdicts
    "CLAIM_UNKNOWN": "There is no claim with this id.",
    "POLICY_SET_INCOMPLETE": "The list does not hold each policy of the claim exactly once.",
    "ACCOUNT_LEASED": "Another claim on this account comes first; the receipt names it.",
    "LEASE_MISSING": "The claim lost its lease on the account; accept it again.",
    "ACCOUNT_VERSION": "The account is at another version.",
    "ACCOUNT_MISMATCH": "The statement names another account than the policy's.",
    "RANK_NOT_REACHED": "An insurer that comes first in the consent has not decided yet.",
    "CLAIM_MISMATCH": "The statement is about another claim.",
    "ATTEMPT_MISMATCH": "The attempt is not the one that is due.",
    "CONSENT_MISMATCH": "The statement or token is about another consent.",
    "EVIDENCE_MISMATCH": "The statement was made on other evidence.",
    "PAYEE_MISMATCH": "The payee is not the one of the consent.",
    "POOL_MISMATCH": "The loss pool is not the case's.",
    "POOL_VERSION": "The loss pool is at another version.",
    "CONTRACT_NOT_PINNED": "The claim program was not in force when the claim was reported.",
    "PRODUCT_MISMATCH": "Program and tables are not those that the policy commits to.",
    "DELIVERY_MISSING": "No ciphertext of the result is addressed to the customer's mailbox.",
    "STATEMENT_EXPIRED": "The statement is no longer valid.",
    "SIGNATURE_ORDER": "The statement's signatures do not ascend by participant and key, without repeats.",
    "STATEMENT_SIGNATURE": "A signature on the statement does not verify, or names an unknown key.",
    "INSURER_SIGNATURE_MISSING": "The insurer did not sign its statement with an active key.",
    "CO_ADJUDICATOR_MISSING": "Too few listed co-adjudicators outside the insurer's control group signed.",
    # payouts
    "PAYOUT_UNKNOWN": "There is no payout with this id.",
    "PAYOUT_OPEN": "A payout of this claim was ordered and is not paid yet.",
    "SETTLEMENT_MISMATCH": "The payee acknowledged another settlement.",
}


def explain_refusal(code: str) -> str:
    """The sentence for a receipt code; the code itself if this version does not know it."""
    return REFUSALS.get(code, code)
