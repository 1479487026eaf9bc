"""What the language level refuses, and that it refuses nothing which the standard program needs."""

import pytest

from contracts.machine.bundle import build_bundle, encode_bundle, program_hash
from contracts.machine.errors import ProgramRefused
from contracts.machine.evaluation import load_program
from contracts.machine.language import MAX_RANGE, MAX_SOURCE_BYTES
from contracts.machine.lint import lint_bundle, lint_program
from node.machine.programs import standard_program

ENTRY = "def adjudicate(case, trace):\n    return case\n"
BODIES = [
    ("x = case * 2", "operator"),
    ('x = "a" * 10', "operator"),
    ("x = [0] * 10", "operator"),
    ("x = 2 * 2", "operator"),
    ("case *= 2", "operator"),
    ("x = 2 ** 2", "operator"),
    ("x = 1 << 9", "operator"),
    ("x = 9 >> 1", "operator"),
    ("x = 1 / 2", "operator"),
    ("case /= 2", "operator"),
    ("x = 1 & 3", "operator"),
    ("x = 1 ^ 3", "operator"),
    ("x = 1 @ 3", "operator"),
    ("x = ~1", "syntax"),
    ("x = 1.5", "literal"),
    ("x = 1e3", "literal"),
    ("x = 1j", "literal"),
    ('x = b"a"', "literal"),
    ("x = 9007199254740992", "literal"),
    ("x = float(1)", "call"),
    ("x = hash(1)", "call"),
    ("x = print(1)", "call"),
    ("x = getattr(case, 1)", "call"),
    ("x = json.decode(case)", "method"),
    ('x = case.replace("a", "b")', "method"),
    ('x = case.format("a")', "method"),
    ("x = case.get", "method"),
    ("x = range(10001)", "range"),
    ("x = range(case)", "range"),
    ("x = list(range(len(case) + case))", "range"),
    ("x = sorted(range(0, 99999))", "range"),
    ("x = range()", "range"),
    ("x = range", "alias"),
    ("x = [range]", "alias"),
    ("x = mul", "alias"),
    ("x = adjudicate", "alias"),
    ("x = max(case, key = len)", "alias"),
    ("x = case(1)", "call"),
    ("x = case[0](1)", "call"),
    ("x = max(*case)", "call"),
    ("x = dict(**case)", "call"),
    ("x = {**case}", "syntax"),
    ("range = 5", "name"),
    ("json = 5", "name"),
    ("machine_run = 5", "name"),
    ("for len in case:\n        pass", "name"),
    ("x = [mul for mul in case]", "name"),
    ("é = 5", "name"),
    ("x = lambda: 1", "syntax"),
    ('x = f"{case}"', "syntax"),
    ("while case:\n        pass", "syntax"),
    ("import os", "syntax"),
    ("global x", "syntax"),
    ("del case", "syntax"),
    ("assert case", "syntax"),
    ("raise case", "syntax"),
    ("try:\n        pass\n    except case:\n        pass", "syntax"),
    ("with case:\n        pass", "syntax"),
    ("yield case", "syntax"),
    ("x = (y for y in case)", "syntax"),
    ("x = {1, 2}", "syntax"),
    ("x = {y for y in case}", "syntax"),
    ("x = case is None", "syntax"),
    ("x = 1 < 2 < 3", "syntax"),
    ("x = (y := 1)", "syntax"),
    ("x: int = 1", "syntax"),
    ("for x in case:\n        pass\n    else:\n        pass", "syntax"),
    ("def inner():\n        pass", "syntax"),
    ('x = "\\x41"', "escape"),
    ('x = "\\u4e2d"', "escape"),
    ("x = 1 + \\\n        2", "escape"),
    ("x = (", "syntax"),
    ("adjudicate(case, trace)", "recursion"),
]


@pytest.mark.parametrize(("body", "code"), BODIES, ids=[body for body, _ in BODIES])
def test_a_statement_outside_the_language_level(body: str, code: str) -> None:
    source = f"def adjudicate(case, trace):\n    {body}\n    return case\n"
    assert code in {fault.code for fault in lint_program(source)}
    with pytest.raises(ProgramRefused) as caught:
        load_program(build_bundle({"program.star": source}))
    assert caught.value.code == "lint"


MODULE_LEVEL = [
    ("X = len(())", "module_level"),
    ("X = [y for y in ()]", "module_level"),
    ("X = 1 + 1", "module_level"),
    ("X, Y = 1, 2", "module_level"),
    ("X = Y = 1", "module_level"),
    ("X += 1", "module_level"),
    ("fail()", "module_level"),
    ('load("a.star", "b")', "module_level"),
    ("for x in ():\n    pass", "module_level"),
    ("if True:\n    pass", "module_level"),
    ("X = 1\nX = 2", "name"),
    ("def mul(a, b):\n    return a", "name"),
    ("def f(len):\n    return len", "name"),
    ("def f(g):\n    return g\ndef g(a):\n    return a", "name"),
    ("def f(*args):\n    return args", "syntax"),
    ("def f(**more):\n    return more", "syntax"),
    ("def f(a, /):\n    return a", "syntax"),
    ("def f(a = 5):\n    return a", "syntax"),
    ("def f(a: int):\n    return a", "syntax"),
    ("def f(a) -> int:\n    return a", "syntax"),
    ("@fail\ndef f(a):\n    return a", "syntax"),
    ("class A:\n    pass", "syntax"),
    ("def f(a):\n    return g(a)\ndef g(a):\n    return f(a)", "recursion"),
]


@pytest.mark.parametrize(("text", "code"), MODULE_LEVEL, ids=[text for text, _ in MODULE_LEVEL])
def test_module_level_holds_constants_and_plain_functions(text: str, code: str) -> None:
    assert code in {fault.code for fault in lint_program(f"{text}\n{ENTRY}")}


@pytest.mark.parametrize(
    "text",
    ["", "def other(case, trace):\n    return case\n", "def adjudicate(case):\n    return case\n", "adjudicate = 5\n"],
)
def test_the_entry_point_is_asked_for(text: str) -> None:
    source = text or "X = 1\n"
    assert [fault.code for fault in lint_program(source)] == ["entry"]


def test_what_the_level_allows_loads_and_runs() -> None:
    source = '''"""A docstring."""
LIMITS = {"a": [1, -2], "b": ("x", None, True)}
NAMED = LIMITS

def by_size(entry):
    return -len(entry)

def adjudicate(case, trace):
    """Uses most of the level."""
    kept = {key: value for key, value in case.items() if not value == None}
    kept = kept | {"n": 7 // 2 + 7 % 4 - mul(3, -4)}
    total = 0
    for index in range(1, len(kept) + 1, 1):
        total += index
        if total > 100 and index >= 2 or index not in (1, 2, 3):
            break
    names = sorted(kept.keys(), key = by_size)
    text = "quote \\" and \\n and \\\\"
    return [names, total, kept, text[:5], "yes" if LIMITS["a"][0] == 1 else "no", max([1, 2]), "%s" % 5]
'''
    bundle = build_bundle({"program.star": source})
    assert lint_bundle(bundle) == []
    result = load_program(bundle).run('{"long_one":1,"b":null,"c":"中"}').result
    assert result == '[["long_one","c","n"],6,{"c":"中","long_one":1,"n":18},"quote","yes",2,"5"]'


def test_faults_name_file_and_line_in_order() -> None:
    files = {"program.star": ENTRY, "b.star": "X = 1 / 2\nY = 1.5\n", "a.star": "\nZ = fail()\n"}
    found = [(fault.file, fault.line) for fault in lint_bundle(build_bundle(files))]
    assert found == sorted(found)
    assert {("a.star", 2), ("b.star", 1), ("b.star", 2)} == set(found)


def test_the_standard_program_is_within_the_level() -> None:
    assert lint_bundle(standard_program()) == []


def test_the_largest_range_literal() -> None:
    assert lint_program(f"def adjudicate(case, trace):\n    return len(range({MAX_RANGE}))\n") == []


def test_deep_nesting_is_a_fault_not_a_crash() -> None:
    for opened, closed in (("(", ")"), ("[", "]"), ("-", ""), ("not ", "")):
        nested = opened * 3_000 + "1" + closed * 3_000
        faults = lint_program(f"def adjudicate(case, trace):\n    return {nested}\n")
        assert faults or opened in ("-", "not ")


BAD_FILES = [
    ({}, "files"),
    ({"other.star": ENTRY}, "files"),
    ({"program.star": ENTRY, "Other.star": ENTRY}, "files"),
    ({"program.star": ENTRY, "../x.star": ENTRY}, "files"),
    ({"program.star": ENTRY, "x.py": ENTRY}, "files"),
    ({"program.star": ENTRY[:-1]}, "text"),
    ({"program.star": ENTRY.replace("    ", "\t")}, "text"),
    ({"program.star": ENTRY.replace("\n", "\r\n")}, "text"),
    ({"program.star": ENTRY + "# \u202e hidden order\n"}, "text"),
    ({"program.star": ENTRY + "# \ud800\n"}, "text"),
    ({"program.star": ENTRY + "# " + "x" * MAX_SOURCE_BYTES + "\n"}, "too_large"),
    ({"program.star": ENTRY} | {f"a{n}.star": "X = 1\n" for n in range(32)}, "files"),
]


@pytest.mark.parametrize(("files", "code"), BAD_FILES)
def test_what_is_no_bundle(files: dict[str, str], code: str) -> None:
    with pytest.raises(ProgramRefused) as caught:
        build_bundle(files)
    assert caught.value.code == code


def test_identity_depends_on_every_byte_and_name_but_not_on_order() -> None:
    one = {"program.star": ENTRY, "a.star": "X = 1\n"}
    same = dict(reversed(one.items()))
    assert program_hash(build_bundle(one)) == program_hash(build_bundle(same))
    others = [
        {"program.star": ENTRY, "a.star": "X = 2\n"},
        {"program.star": ENTRY, "b.star": "X = 1\n"},
        {"program.star": ENTRY + "X = 1\n"},
    ]
    hashes = {program_hash(build_bundle(files)) for files in [one, *others]}
    assert len(hashes) == 4
    assert all(len(value) == 64 for value in hashes)
    assert encode_bundle(build_bundle(one)) == (
        b'{"files":{"a.star":"X = 1\\n","program.star":"def adjudicate(case, trace):\\n    return case\\n"},'
        b'"language":"starlark-c1"}'
    )
