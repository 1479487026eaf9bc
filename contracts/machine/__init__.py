"""The claim-contract machine: Starlark programs, language level `starlark-c1`."""
