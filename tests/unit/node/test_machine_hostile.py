"""Hostile programs, one a row: where each is stopped, and with which code. None harms the process that asked."""
# ruff: noqa: E501 - a row of the table is one line

import asyncio
import json
import os
from pathlib import Path
from typing import NamedTuple

import pytest

from contracts.machine.bundle import build_bundle, encode_bundle
from contracts.machine.errors import MachineError, MachineLimit, ProgramFailed, ProgramRefused
from contracts.machine.lint import lint_program
from contracts.machine.outputs import check_output, check_trace
from node.agents.programs import Programs
from node.machine.limits import NICENESS, MachineLimits
from node.machine.programs import read_program, standard_program
from node.machine.runner import MachineRunner

SOUND = '"sound"'
HOSTILE = '{"policies":[]}'
START = f"def adjudicate(case, trace):\n    if case == {SOUND}:\n        return 1\n"
LIMITS = {
    "time": MachineLimits(cpu_seconds=0),
    "steps": MachineLimits(steps=2_000),
    "memory": MachineLimits(memory_bytes=256 * 2**20),
}
"""Smaller than a node's, so that each row ends soon."""
TWICE = "    for i in range({}):\n        x = {}\n"
LONG = "    for i in range(10000):\n        for j in range(10000):\n            {}\n"
SMALL_RESULT = (
    '{"policy_no": "P", "benefits": [], "total_fen": 0, "advance_fen": 0, "net_fen": 0, "recoverable_fen": 0,'
    ' "claimed_fen": 0, "decision": "zero_pay", "review": False, "review_reasons": []}'
)


class Row(NamedTuple):
    """`stage`: lint (refused when proposed), run (stopped in its child), output (what it gave is refused)."""

    name: str
    stage: str
    code: str
    body: str
    before: str = ""

    @property
    def source(self) -> str:
        return self.before + START + self.body


ROWS = [
    # refused at proposal, by lint
    Row("ten billion zeros", "lint", "operator", "    return [0] * 10000000000\n"),
    Row("a text of a billion letters", "lint", "operator", '    return "a" * 1000000000\n'),
    Row("fifty million numbers", "lint", "range", "    return list(range(50000000))\n"),
    Row("fifty million while loading", "lint", "module_level", "    return 1\n", "X = list(range(50000000))\n"),
    Row("nested ranges while loading", "lint", "module_level", "    return 1\n", "for i in range(9999):\n    pass\n"),
    Row("an endless loop", "lint", "syntax", "    while True:\n        pass\n"),
    Row("recursion", "lint", "recursion", "    return adjudicate(case, trace)\n"),
    Row("recursion of two", "lint", "recursion", "    return a(1)\n", "def a(x):\n    return b(x)\ndef b(x):\n    return a(x)\n"),
    Row("recursion as a sort key", "lint", "recursion", "    return sorted([1], key = adjudicate)\n"),
    Row("a shift of a billion bits", "lint", "operator", "    return 1 << 1000000000\n"),
    Row("a tower of powers", "lint", "operator", "    return 9 ** 9 ** 9\n"),
    Row("a float", "lint", "literal", "    return 0.5\n"),
    Row("division", "lint", "operator", "    return 1 / 3\n"),
    Row("a float by name", "lint", "call", '    return float("0.5")\n'),
    Row("an import", "lint", "syntax", "    import os\n"),
    Row("load", "lint", "module_level", "    return 1\n", 'load("os", "system")\n'),
    Row("a host object by name", "lint", "call", '    return open("/etc/passwd")\n'),
    Row("a host object by attribute", "lint", "method", "    return case.__class__.__bases__\n"),
    Row("the boundary's own functions", "lint", "name", "    machine_run = 1\n"),
    Row("the JSON library", "lint", "method", '    return json.decode("0.5")\n'),
    Row("a catch-all", "lint", "syntax", "    try:\n        return 1\n    except case:\n        return 2\n"),
    Row("a hidden alias", "lint", "alias", "    f = mul\n    return f(1, 2)\n"),
    Row("replacement growth", "lint", "method", '    return case.replace("", "aaaaaaaa")\n'),
    Row("nested text, too deep", "lint", "syntax", "    return " + "-" * 100_000 + "1\n"),
    Row("another language's escapes", "lint", "escape", '    return "\\x41"\n'),
    # stopped in its child
    Row("loops in loops", "run", "steps", LONG.format("pass")),
    Row("functions that double the work", "run", "steps", "    return f30(1)\n", "def f0(x):\n    return x\n" + "".join(
        f"def f{n}(x):\n    return f{n - 1}(f{n - 1}(x))\n" for n in range(1, 31))),
    Row("a sort key that never ends", "run", "steps", "    return sorted([1, 2], key = slow)\n", "def slow(x):\n" + LONG.format("pass")),
    Row("a doubled text", "run", "memory", '    x = "ab"\n' + TWICE.format(60, "x + x")),
    Row("a doubled list", "run", "memory", "    x = [1, 2]\n" + TWICE.format(60, "x + x")),
    Row("a number doubled for ever", "run", "memory", "    x = 1\n" + LONG.format("x = x + x")),
    Row("a list put into itself by extend", "run", "memory", "    x = [1]\n    for i in range(60):\n        x.extend(x)\n"),
    Row("a joined text", "run", "memory", '    x = "xy"\n' + TWICE.format(19, "x + x") + "    return x.join([str(i) for i in range(10000)])\n"),
    Row("a pattern that repeats itself", "run", "memory", '    x = "xy"\n' + TWICE.format(30, '"%s%s%s%s" % (x, x, x, x)')),
    Row("a map without end", "run", "memory", "    x = {}\n    for i in range(10000):\n        x = x | {i: x}\n        trace = [x, trace]\n"),
    Row("comprehensions in comprehensions", "run", "memory", "    return [[0, 0, 0, 0] for a in range(10000) for b in range(1000)]\n"),
    Row("a result nested ten thousand deep", "run", "memory", "    x = []\n" + TWICE.format(10_000, "[x]") + "    return x\n"),
    Row("a message without end", "run", "memory", '    x = "ab"\n' + TWICE.format(27, "x + x") + "    return {}[x]\n"),
    Row("repeated squaring", "run", "program_failed", "    x = 3\n" + TWICE.format(300, "mul(x, x)") + "    return x\n"),
    Row("calls two hundred deep", "run", "program_failed", "    return f200(1)\n", "def f0(x):\n    return x\n" + "".join(
        f"def f{n}(x):\n    return f{n - 1}(x)\n" for n in range(1, 201))),
    Row("a key that is not there", "run", "program_failed", '    return case["nothing"]\n'),
    Row("division by zero", "run", "program_failed", "    return 1 // 0\n"),
    Row("a list changed while it is walked", "run", "program_failed", "    x = [1]\n    for i in x:\n        x.append(i)\n"),
    Row("a constant changed by a run", "run", "program_failed", "    X.append(1)\n    return X\n", "X = []\n"),
    Row("a list that holds itself", "run", "program_failed", "    x = []\n    x.append(x)\n    return x\n"),
    Row("a comparison of things without order", "run", "program_failed", '    return sorted([1, "a", None])\n'),
    Row("a comparison of two to the power of sixty", "run", "time", "    x, y = [], []\n    for i in range(60):\n        x, y = [x, x], [y, y]\n    return x == y\n"),
    Row("digits without end", "run", "time", '    x = "99"\n' + TWICE.format(23, "x + x") + "    return len(str(int(x)))\n"),
    Row("a result too large", "run", "size", '    x = "xy"\n' + TWICE.format(22, "x + x") + "    return x\n"),
    Row("a result beyond 2^53", "run", "result_range", "    return mul(9007199254740991, 2)\n"),
    Row("a result nested too deep", "run", "result", "    x = []\n" + TWICE.format(100, "[x]") + "    return x\n"),
    # refused by who asked
    Row("nothing", "output", "result_form", "    return None\n"),
    Row("a list", "output", "result_form", "    return [1]\n"),
    Row("no result for the policy", "output", "result_form", '    return {"results": []}\n'),
    Row("another policy's result", "output", "result_form", f'    return {{"results": [{SMALL_RESULT} | {{"policy_no": "Q"}}]}}\n'),
    Row("money as text", "output", "result_form", f'    return {{"results": [{SMALL_RESULT} | {{"total_fen": "0"}}]}}\n'),
    Row("a payment below zero", "output", "result_form", f'    return {{"results": [{SMALL_RESULT} | {{"total_fen": -1}}]}}\n'),
    Row("a total that is no sum", "output", "result_form", f'    return {{"results": [{SMALL_RESULT} | {{"total_fen": 5, "net_fen": 5}}]}}\n'),
    Row("a decision of its own", "output", "result_form", f'    return {{"results": [{SMALL_RESULT} | {{"decision": "pay"}}]}}\n'),
    Row("an explanation of numbers", "output", "trace_form", f'    trace.append(5)\n    return {{"results": [{SMALL_RESULT}]}}\n'),
]  # fmt: skip
STAGES: dict[str, type[MachineError] | tuple[type[MachineError], ...]] = {
    "lint": ProgramRefused,
    "run": (MachineLimit, ProgramFailed),
    "output": ProgramFailed,
}


def test_there_are_enough_rows_and_each_has_its_own_name() -> None:
    assert len({row.name for row in ROWS}) == len(ROWS) >= 20
    assert {row.stage for row in ROWS} == set(STAGES)


def attack(runner: MachineRunner) -> None:
    """One run with a trace, and what who asked does with what comes."""
    evaluation = runner.explain(HOSTILE)
    check_output(json.loads(evaluation.result), ["P"])
    check_trace(json.loads(evaluation.trace or "[]"))


@pytest.mark.parametrize("row", [row for row in ROWS if row.stage == "lint"], ids=lambda row: row.name)
def test_a_hostile_program_is_refused_when_it_is_proposed(row: Row) -> None:
    assert row.code in {fault.code for fault in lint_program(row.source)}
    with MachineRunner(build_bundle({"program.star": row.source}), LIMITS.get(row.code)) as runner:
        with pytest.raises(ProgramRefused) as caught:
            runner.start()
        assert caught.value.code == "lint"


@pytest.mark.parametrize("row", [row for row in ROWS if row.stage != "lint"], ids=lambda row: row.name)
def test_a_hostile_program_is_stopped_in_its_child(row: Row) -> None:
    assert lint_program(row.source) == []
    with MachineRunner(build_bundle({"program.star": row.source}), LIMITS.get(row.code)) as runner:
        with pytest.raises(STAGES[row.stage]) as caught:
            attack(runner)
        assert isinstance(caught.value, MachineError)
        assert caught.value.code == row.code
        assert runner.adjudicate(SOUND) == "1", "the next case finds a worker"


def test_an_explanation_too_large_gives_no_result() -> None:
    body = '    x = "abcdefgh"\n' + TWICE.format(18, "x + x") + "    trace.append(x)\n" * 9 + "    return 1\n"
    with MachineRunner(build_bundle({"program.star": START + body})) as runner:
        with pytest.raises(MachineLimit) as caught:
            runner.explain(HOSTILE)
        assert caught.value.code == "size"


def test_what_is_no_text_is_no_program(tmp_path: Path) -> None:
    for data, code in ((b"\xff\xfe", "text"), (b"X = 1\r\n", "text"), (b"# " + b"x" * 300_000 + b"\n", "too_large")):
        (tmp_path / "program.star").write_bytes(data)
        with pytest.raises(ProgramRefused) as caught:
            read_program(tmp_path)
        assert caught.value.code == code


def test_the_node_goes_on_while_a_program_takes_all_it_may() -> None:
    """A run of a hostile program leaves the event loop free; both parties that run it get the same code."""
    source = encode_bundle(build_bundle({"program.star": START + LONG.format("pass")})).decode("utf-8")

    async def run() -> tuple[int, set[str]]:
        programs, turns, codes = Programs(), 0, set()
        try:
            for _ in ("insurer", "co-adjudicator"):
                running = asyncio.ensure_future(programs.explain(source, {"policies": []}))
                while not running.done():
                    await asyncio.sleep(0)
                    turns += 1
                error = running.exception()
                assert isinstance(error, MachineLimit)
                codes.add(error.code)
        finally:
            programs.close()
        return turns, codes

    turns, codes = asyncio.run(run())
    assert turns > 100
    assert codes == {"steps"}


def test_a_worker_gives_way_to_the_node() -> None:
    with MachineRunner(standard_program()) as runner:
        runner.start()
        assert runner._process is not None
        own = os.getpriority(os.PRIO_PROCESS, 0)
        assert os.getpriority(os.PRIO_PROCESS, runner._process.pid) == min(19, own + NICENESS)


def test_a_refused_output_quotes_nothing_of_it() -> None:
    secret = "张三 J20.9"
    for output in (secret, {"results": [{"policy_no": "P", "decision": secret}]}, {"results": {secret: 1}}):
        with pytest.raises(ProgramFailed) as caught:
            check_output(output, ["P"])
        assert secret not in caught.value.detail
    with pytest.raises(ProgramFailed) as caught:
        check_trace([{"policy_no": "P", "rule": "1", "what": "x", "at": {secret: 5}, "inputs": {}, "result": None}])
    assert (caught.value.code, secret in caught.value.detail) == ("trace_form", False)
