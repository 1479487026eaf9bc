"""What can go wrong in the vault. The text names ids of the ledger only.

    NodeError
     +- VaultError      our own disk, key or limit: `vault_key`, `damaged`, `outbox_full`, `pending_full`, `missing`
     +- ParcelRefused   another node sent what this one does not take; the code travels back to the sender

Codes of ParcelRefused: `form` (not a parcel), `kind`, `unknown_sender`, `role` (its role does not send this kind),
`subject` (envelope and parcel name different things), `not_addressed`, `no_party` (the consent does not name this
node), `not_author`, `digest` (not the ciphertext on the ledger), `consent` (no longer in force), `expired` (a signal),
`consent_waits` (it has not begun, or an emergency is not ratified yet), `too_many` (of one
sender about one subject), `pending_full` (try again), `unknown` (nothing under this name).
"""

from node.errors import NodeError


class VaultError(NodeError):
    """The vault cannot do what this node itself asked of it."""


class ParcelRefused(NodeError):
    """A parcel or a pull of another node that is not served. Nothing was stored."""


LINK_FAULTS = frozenset({"unreachable", "timeout", "unknown_peer"})
"""Codes that say something about the link, not about the parcel: everything for that participant waits."""
TRANSIENT = frozenset({"pending_full", "busy", "failed", "unknown", "unknown_method", "damaged", "consent_waits"})
"""Codes after which this parcel is tried again: the other side may answer differently later."""
