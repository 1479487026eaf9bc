"""Auditing without a node: dossiers built and verified, ledgers replayed. Imports ledger and contracts only."""
