"""The loss pool among nodes: the opening of its current version, and who gets the next one.

Knows parcels of the kind `pool`. Must not know what was paid. Must always hold: an opening is used only if it is what
the ledger's version commits to, and every insurer of a case gets each version: one of a better rank that was silent
beyond its clock decides late, one behind may have its claim reopened.
"""

from contracts.cases.openings import Opening
from contracts.cases.pools import check_pool
from contracts.commitments import commit
from contracts.errors import InputError
from contracts.identifiers import derive_pool_id
from contracts.states import ClaimState, read_consent, read_pool
from ledger.errors import DecodeError
from node.agents.mail import post, read_parcels, seal_parcel
from node.agents.messages import PoolMessage
from node.agents.ports import Ports


def find_pool(ports: Ports, case_id: str) -> Opening | None:
    """The opening of the pool's version on the ledger, if it is in the vault. Raises CaseError `DOCUMENT_FORM`."""
    state = read_pool(ports.ledger.final.read, derive_pool_id(case_id))
    for _, message in read_parcels(ports, "pool", case_id, PoolMessage):
        try:
            if state is not None and commit("pool-version", message.pool) == state.commit:
                return check_pool(message.pool)
        except (InputError, DecodeError):
            continue
    return None


def post_pool(ports: Ports, claim: ClaimState, pool: Opening) -> None:
    """What was paid on each invoice, to the other insurers of the case and its hospitals."""
    consent = read_consent(ports.ledger.final.read, claim.consent_id)
    assert consent is not None, "a claim has its consent"
    others = [item.participant for item in consent.grantees if item.rank is not None and item.participant != ports.me]
    readers = [*others, *consent.hospitals]
    envelope = seal_parcel(ports, "pool", claim.case_id, {"pool": pool, "locks": {}}, readers)
    post(ports, "pool", claim.case_id, claim.case_id, envelope, readers)
