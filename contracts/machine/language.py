"""Language level `starlark-c1`: what a claim program may name, and what it is given.

Knows the allowed names, the prelude and the bounds of the language. Must not know any program. Always true:
a change here that could change a result is a new language level with a new name, because the level is part
of a program's identity and old claims are re-run under their own.
"""

from typing import Final

LANGUAGE: Final = "starlark-c1"

MAX_SOURCE_BYTES: Final = 256 * 1024
"""All files of one program together; the standard program is a tenth of it."""
MAX_FILES: Final = 32
"""Files of one program."""
MAX_RANGE: Final = 10_000
"""Largest literal bound of `range`, so that no single step of a program is long."""
MAX_INTEGER_LITERAL: Final = 2**53 - 1
"""Integers written in a program; the same range as in its input and output."""
MAX_CALL_DEPTH: Final = 50
"""Nested calls; recursion is refused anyway."""

ENTRY_FILE: Final = "program.star"
ENTRY_POINT: Final = "adjudicate"

BUILTINS: Final = frozenset(
    [
        "abs",
        "all",
        "any",
        "bool",
        "dict",
        "enumerate",
        "fail",
        "int",
        "len",
        "list",
        "max",
        "min",
        "range",
        "reversed",
        "sorted",
        "str",
        "tuple",
        "type",
        "zip",
    ]
)
"""Functions of the language that a program may call, and only call."""
METHODS: Final = frozenset(
    [
        "get",
        "items",
        "keys",
        "values",
        "setdefault",
        "update",
        "pop",
        "append",
        "extend",
        "insert",
        "index",
        "remove",
        "upper",
        "lower",
        "strip",
        "lstrip",
        "rstrip",
        "startswith",
        "endswith",
        "split",
        "find",
        "count",
        "isdigit",
        "join",
    ]
)
"""Methods of dictionaries, lists and texts that a program may call."""
GIVEN: Final = frozenset({"mul", "day_number", "round_half_up"})
"""Functions of the prelude that a program may call."""
RESERVED_PREFIX: Final = "machine_"
"""Names that belong to the machine."""

PRELUDE: Final = '''
machine_BOUND = 1 << 256

def mul(a, b):
    """a x b for whole numbers below 2^256: texts and lists cannot be multiplied, numbers cannot explode."""
    if type(a) != "int" or type(b) != "int":
        fail("mul: whole numbers only")
    if max(abs(a), abs(b)) >= machine_BOUND:
        fail("mul: a number beyond 2^256")
    return a * b

def day_number(date):
    """Days since 0000-03-01 of a checked date text YYYY-MM-DD; years are counted from March."""
    year = int(date[0:4])
    month = int(date[5:7])
    if month < 3:
        year -= 1
        month += 12
    return 365 * year + year // 4 - year // 100 + year // 400 + (153 * (month - 3) + 2) // 5 + int(date[8:10]) - 1

def round_half_up(numerator, denominator):
    """A fraction not below zero, to the nearest whole number, a half upwards."""
    return (2 * numerator + denominator) // (2 * denominator)
'''

HARNESS: Final = """
def machine_run(text):
    return json.encode(adjudicate(json.decode(text), None))

def machine_explain(text):
    trace = []
    result = adjudicate(json.decode(text), trace)
    return [json.encode(result), json.encode(trace)]
"""
