"""The automatic work of each role: what a participant does on its own when the ledger or a parcel gives it cause."""
