"""A node's stored ledger checked row by row, and two ledgers compared. Reads databases, which node.audit never does."""
