"""Importing py_ecc raises the interpreter's recursion limit for the whole process, and then deeply nested text that
other tests feed to parsers overflows the C stack. So it is imported here first, and the limit put back."""

import sys

LIMIT = sys.getrecursionlimit()

import py_ecc.bls  # noqa: E402, F401

sys.setrecursionlimit(LIMIT)
