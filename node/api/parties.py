"""Whose a thing is: each participant's interface shows the claims, records and payouts that it is a party of.

Knows consents, policies and roles as state holds them. Every member could read the ledger itself; this keeps the
daily interface to what concerns its owner. Always true: an auditor sees all, a stranger to a consent sees nothing
that hangs on it.
"""

from contracts.states import (
    ClaimState,
    ConsentState,
    PayoutState,
    RecordState,
    read_claim,
    read_consent,
    read_participant,
    read_policy,
)
from ledger.state import Reader


class Viewer:
    """What one participant may see in the daily interface, over a reader of final state."""

    def __init__(self, read: Reader, participant: str) -> None:
        self._read = read
        self._me = participant
        member = read_participant(read, participant)
        self._sees_all = member is not None and "auditor" in member.roles

    def sees_consent(self, consent: ConsentState | None) -> bool:
        """A hospital or grantee that the consent names, or whom one of them let in."""
        if self._sees_all:
            return True
        if consent is None:
            return False
        named = {grantee.participant for grantee in consent.grantees} | set(consent.hospitals)
        return self._me in named or any(item.to == self._me for item in consent.lived.delegations)

    def sees_claim(self, claim: ClaimState) -> bool:
        """The insurer, whoever its policies name, and the parties of the consent."""
        if self._sees_all or claim.insurer == self._me:
            return True
        for item in claim.policies:
            policy = read_policy(self._read, item.policy_id)
            if policy and self._me in (*policy.co_adjudicators, policy.escalation_to):
                return True
        return self.sees_consent(read_consent(self._read, claim.consent_id))

    def sees_record(self, record: RecordState) -> bool:
        """The hospital, the endorser, and the parties of the consent."""
        own = self._me in (record.hospital, record.endorsed_by)
        return own or self.sees_consent(read_consent(self._read, record.consent_id))

    def sees_payout(self, payout: PayoutState) -> bool:
        """The parties of its claim."""
        claim = read_claim(self._read, payout.claim_id)
        return claim is not None and self.sees_claim(claim)
