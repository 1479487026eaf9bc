"""The insurer's notice of a decision, into the customer's mailbox, once for each adjudication.

Knows parcels. Must not know texts: `contracts.reports.notices`. Must always hold: the notice is sealed to the
customer's mailbox and to this node alone, and what is noted as sent is on the disk with the parcel that is owed.
"""

from msgspec import to_builtins

from contracts.cases.checking import Package
from contracts.reports.notices import build_notice
from contracts.states import ClaimState, read_consent
from node.agents.mail import keepers_of, post, seal_parcel
from node.agents.ports import Ports


def notice_name(claim_id: str, attempt: int) -> str:
    """The vault's name of what is noted of a notice: {sent_ms, digest}; block time."""
    return f"notice/{claim_id}/{attempt}"


def send_notice(ports: Ports, claim_id: str, claim: ClaimState, package: Package) -> None:
    """Post the notice of this decision to who keeps the customer's mail; nothing if that was done."""
    name = notice_name(claim_id, claim.attempt)
    consent = read_consent(ports.ledger.final.read, claim.consent_id)
    if consent is None or claim.decided_ms is None or ports.vault.get_secret(name) is not None:
        return
    results = [(item.result["result"], str(item.result["currency"])) for item in package.policies]
    notice = build_notice(claim_id, claim.attempt, ports.me, claim.decided_ms, results)
    envelope = seal_parcel(ports, "notice", claim_id, to_builtins(notice), [], consent.mailbox_key)
    keepers = [keeper for keeper in keepers_of(consent) if keeper != ports.me]
    with ports.vault.transaction():
        digest = post(ports, "notice", claim_id, claim.case_id, envelope, keepers)
        ports.vault.put_secret(name, {"sent_ms": ports.ledger.final.time_ms, "digest": digest})
