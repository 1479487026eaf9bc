"""Lint of claim programs: what the language level refuses before anything runs.

Knows the syntax tree of a program. Must not run it. Always true: a program without faults uses only the
syntax and names of contracts.machine.language, so it cannot recurse, loop without bound, make a float, reach
anything outside itself, or do in one step what the machine could not interrupt, except by growing data,
which the memory limit stops.

Starlark is read here with Python's grammar, of which it is a subset where it matters; what only one of the
two reads is refused by the other when the program is loaded.

How `*` is judged: types are not known before a run, so `*` is refused altogether; `mul(a, b)` of the prelude
multiplies whole numbers below 2^256 and nothing else.
"""

import ast
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from contracts.machine.bundle import ProgramBundle, build_bundle
from contracts.machine.language import (
    BUILTINS,
    ENTRY_FILE,
    ENTRY_POINT,
    GIVEN,
    MAX_INTEGER_LITERAL,
    MAX_RANGE,
    METHODS,
    RESERVED_PREFIX,
)

_FUNCTIONS: Final = BUILTINS | GIVEN
_BAD_ESCAPE: Final = re.compile(r"\\(?![n\"'\\]).?")
_LITERALS: Final = (ast.Constant, ast.Tuple, ast.List, ast.Dict, ast.Name, ast.UnaryOp, ast.USub, ast.Load)
_ALLOWED: Final = (
    *(ast.Module, ast.FunctionDef, ast.arguments, ast.arg, ast.Return, ast.Assign, ast.AugAssign, ast.Expr),
    *(ast.If, ast.For, ast.Pass, ast.Break, ast.Continue, ast.BoolOp, ast.And, ast.Or, ast.BinOp, ast.UnaryOp),
    *(ast.Not, ast.USub, ast.IfExp, ast.Dict, ast.List, ast.Tuple, ast.ListComp, ast.DictComp),
    *(ast.comprehension, ast.Compare, ast.Eq, ast.NotEq, ast.Lt, ast.LtE, ast.Gt, ast.GtE, ast.In, ast.NotIn),
    *(ast.Call, ast.keyword, ast.Constant, ast.Attribute, ast.Subscript, ast.Slice, ast.Name, ast.Load),
    *(ast.Store, ast.Add, ast.Sub, ast.FloorDiv, ast.Mod, ast.BitOr),
)
_OPERATORS: Final = {
    ast.Mult: "`*` (multiply whole numbers with mul(a, b))",
    ast.Pow: "`**`",
    ast.LShift: "`<<`",
    ast.RShift: "`>>`",
    ast.Div: "`/` (whole numbers are divided with `//`)",
}


@dataclass(frozen=True, slots=True, order=True)
class Fault:
    """One thing that the language level refuses, and where."""

    file: str
    line: int
    code: str
    detail: str


def lint_program(source: str) -> list[Fault]:
    """The faults of a program of one file. Raises ProgramRefused for what is no program text."""
    return lint_bundle(build_bundle({ENTRY_FILE: source}))


def lint_bundle(bundle: ProgramBundle) -> list[Fault]:
    """All faults of a program, sorted by place."""
    faults: list[Fault] = []
    trees: list[tuple[str, ast.Module]] = []
    for name, source in bundle.files:
        tree = _parse(name, source, faults)
        if tree is not None:
            trees.append((name, tree))
    if len(trees) < len(bundle.files):
        return sorted(faults)
    functions = {node.name for _, tree in trees for node in tree.body if isinstance(node, ast.FunctionDef)}
    for name, tree in trees:
        faults.extend(Fault(name, line, code, detail) for line, code, detail in _Linter(functions).visit(tree))
    faults.extend(_whole_program_faults(trees))
    return sorted(set(faults))


def _parse(name: str, source: str, faults: list[Fault]) -> ast.Module | None:
    escapes = [
        Fault(name, line, "escape", "a backslash not before n, a quote or a backslash")
        for line, text in enumerate(source.split("\n"), start=1)
        if _BAD_ESCAPE.search(text.replace("\\\\", ""))
    ]
    faults.extend(escapes)
    if escapes:
        return None
    try:
        return ast.parse(source)
    except SyntaxError as error:
        faults.append(Fault(name, error.lineno or 1, "syntax", "this is no Starlark"))
    except (RecursionError, MemoryError, ValueError):
        faults.append(Fault(name, 1, "syntax", "nested too deeply"))
    return None


_Found = tuple[int, str, str]


class _Linter:
    """The rules that look at one place of one file."""

    def __init__(self, functions: set[str]) -> None:
        self._functions = functions

    def visit(self, tree: ast.Module) -> Iterator[_Found]:
        for index, statement in enumerate(tree.body):
            yield from self._module_level(statement, index)
        key_names = {id(word.value) for word in _keywords(tree) if word.arg == "key"}
        callees = {id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
        for node in ast.walk(tree):
            yield from self._node(node)
            if isinstance(node, ast.Name):
                yield from self._name(node, is_called=id(node) in callees, is_key=id(node) in key_names)
            elif isinstance(node, ast.Attribute) and (id(node) not in callees or node.attr not in METHODS):
                yield node.lineno, "method", f"`.{node.attr}` is not a method of the language level"
            elif isinstance(node, ast.Call):
                yield from self._call(node)

    def _module_level(self, statement: ast.stmt, index: int) -> Iterator[_Found]:
        """Only functions and constants: loading a program runs nothing."""
        if isinstance(statement, ast.FunctionDef):
            yield from _function_faults(statement, _FUNCTIONS | self._functions)
        elif isinstance(statement, ast.Assign):
            is_constant = all(isinstance(node, _LITERALS) for node in ast.walk(statement.value))
            if not is_constant or len(statement.targets) != 1 or not isinstance(statement.targets[0], ast.Name):
                yield statement.lineno, "module_level", "only constants and functions stand at module level"
        elif not (index == 0 and _is_text(statement)):
            yield statement.lineno, "module_level", "only constants and functions stand at module level"

    def _node(self, node: ast.AST) -> Iterator[_Found]:
        line = getattr(node, "lineno", 1)
        if isinstance(node, ast.BinOp | ast.AugAssign):
            if type(node.op) in _OPERATORS:
                yield line, "operator", f"{_OPERATORS[type(node.op)]} is refused"
            elif not isinstance(node.op, _ALLOWED):
                yield line, "operator", "this operator is refused"
        elif isinstance(node, ast.Constant):
            yield from _constant_faults(node)
        elif isinstance(node, ast.FunctionDef) and node.col_offset > 0:
            yield line, "syntax", "functions stand at module level"
        elif isinstance(node, ast.For) and node.orelse:
            yield line, "syntax", "`else` of a loop is refused"
        elif isinstance(node, ast.Compare) and len(node.ops) > 1:
            yield line, "syntax", "comparisons are not chained"
        elif isinstance(node, ast.Dict) and None in node.keys:
            yield line, "syntax", "`**` is refused"
        elif not isinstance(node, (*_ALLOWED, *_OPERATORS)) and not isinstance(node, ast.operator):
            yield line, "syntax", f"{type(node).__name__} is not in the language level"

    def _name(self, node: ast.Name, *, is_called: bool, is_key: bool) -> Iterator[_Found]:
        known = node.id in _FUNCTIONS or node.id in self._functions
        if isinstance(node.ctx, ast.Store):
            yield from _binding_faults(node.id, node.lineno, known)
        elif known and not is_called and not (is_key and node.id in self._functions):
            yield node.lineno, "alias", f"`{node.id}` may only be called, or be the key of a sort"
        elif is_called and not known:
            yield node.lineno, "call", f"`{node.id}` is not a function of the program or the language level"

    def _call(self, node: ast.Call) -> Iterator[_Found]:
        if not isinstance(node.func, ast.Name | ast.Attribute):
            yield node.lineno, "call", "only functions and methods are called, by their names"
        if any(isinstance(argument, ast.Starred) for argument in node.args) or any(
            word.arg is None for word in node.keywords
        ):
            yield node.lineno, "call", "`*` and `**` arguments are refused"
        if isinstance(node.func, ast.Name) and node.func.id == "range" and not _is_bounded_range(node):
            yield node.lineno, "range", f"`range` takes numbers up to {MAX_RANGE} and len(...)"


def _keywords(tree: ast.Module) -> Iterable[ast.keyword]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.keyword))


def _is_text(statement: ast.stmt) -> bool:
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    )


def _constant_faults(node: ast.Constant) -> Iterator[_Found]:
    value = node.value
    if isinstance(value, float | complex | bytes) or value is ...:
        yield node.lineno, "literal", "only texts, whole numbers, True, False and None are written"
    elif isinstance(value, int) and value > MAX_INTEGER_LITERAL:
        yield node.lineno, "literal", "a whole number beyond 2^53-1"


def _function_faults(function: ast.FunctionDef, taken: frozenset[str]) -> Iterator[_Found]:
    arguments = function.args
    plain = not (arguments.vararg or arguments.kwarg or arguments.kwonlyargs or arguments.posonlyargs)
    typed = function.returns is not None or any(argument.annotation is not None for argument in arguments.args)
    if not plain or typed or function.decorator_list or arguments.defaults:
        yield function.lineno, "syntax", "a function has plain parameters: no `*`, types, defaults or decorators"
    yield from _binding_faults(function.name, function.lineno, function.name in _FUNCTIONS)
    for argument in arguments.args:
        yield from _binding_faults(argument.arg, argument.lineno, argument.arg in taken)


def _binding_faults(name: str, line: int, known: bool) -> Iterator[_Found]:
    if known or name == "json" or name.startswith((RESERVED_PREFIX, "__")):
        yield line, "name", f"`{name}` already means something"
    if not name.isascii():
        yield line, "name", "names are ASCII"


def _is_bounded_range(node: ast.Call) -> bool:
    return not node.keywords and 1 <= len(node.args) <= 3 and all(_is_bounded(argument) for argument in node.args)


def _is_bounded(node: ast.expr) -> bool:
    """A literal up to MAX_RANGE, the length of something that exists, or a sum or difference of such."""
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        return _is_bounded(node.operand)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add | ast.Sub):
        return _is_bounded(node.left) and _is_bounded(node.right)
    if isinstance(node, ast.Constant):
        return isinstance(node.value, int) and node.value <= MAX_RANGE
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "len"


def _whole_program_faults(trees: list[tuple[str, ast.Module]]) -> Iterator[Fault]:
    """Names defined twice, recursion, and the entry point."""
    places: dict[str, tuple[str, int]] = {}
    calls: dict[str, set[str]] = {}
    for file, tree in trees:
        for statement in tree.body:
            for name in _defined_names(statement):
                if name in places:
                    yield Fault(file, statement.lineno, "name", f"`{name}` is defined twice")
                places[name] = (file, statement.lineno)
            if isinstance(statement, ast.FunctionDef):
                calls[statement.name] = {node.id for node in ast.walk(statement) if isinstance(node, ast.Name)}
                if statement.name == ENTRY_POINT and len(statement.args.args) != 2:
                    yield Fault(file, statement.lineno, "entry", f"`{ENTRY_POINT}` takes a case and a trace")
    if ENTRY_POINT not in calls:
        yield Fault(ENTRY_FILE, 1, "entry", f"the program has no function `{ENTRY_POINT}`")
    for name in sorted(_recursive_functions(calls)):
        yield Fault(*places[name], "recursion", f"`{name}` calls itself, directly or through others")


def _defined_names(statement: ast.stmt) -> Iterator[str]:
    if isinstance(statement, ast.FunctionDef):
        yield statement.name
    elif isinstance(statement, ast.Assign):
        yield from (target.id for target in statement.targets if isinstance(target, ast.Name))


def _recursive_functions(calls: dict[str, set[str]]) -> set[str]:
    """Functions left after those that call only functions already cleared are taken away, again and again."""
    left = {name: called & calls.keys() for name, called in calls.items()}
    while cleared := {name for name, called in left.items() if not called & left.keys()}:
        left = {name: called for name, called in left.items() if name not in cleared}
    return set(left)
