"""State at one final height as files: made from a store, checked before use, and the beginning of another node."""
