"""Payment messages of ISO 20022: pain.001 written, pain.002, camt.053 and camt.054 read back, and matched."""
