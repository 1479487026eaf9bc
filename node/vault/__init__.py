"""What this node holds off the ledger: encrypted documents, its own secrets, and what it still owes to others."""

from node.vault.errors import VaultError
from node.vault.parcels import Parcel, StoredParcel
from node.vault.vault import Vault

__all__ = ["Parcel", "StoredParcel", "Vault", "VaultError"]
