"""The worker process: reuse, limits, restart. Every bomb ends in an error of the run, never of the node."""

import json
import os
import signal

import pytest

from contracts.case import encode_case, read_case
from contracts.machine.bundle import build_bundle
from contracts.machine.errors import MachineLimit, ProgramFailed, ProgramRefused
from contracts.machine.evaluation import load_program
from node.machine.frames import EndOfWorker, read_frame, write_frame
from node.machine.limits import MachineLimits
from node.machine.programs import standard_examples, standard_program
from node.machine.runner import MachineRunner

BOMBS = """
def adjudicate(case, trace):
    if case == "memory":
        return len(grown("x", 60))
    if case == "lists":
        return len(grown([0], 60))
    if case == "cpu":
        return len(str(int(grown("9", 22))))
    if case == "steps":
        for i in range(10000):
            for j in range(10000):
                pass
    if case == "fail":
        fail("no")
    if case == "output":
        return grown("x", 23)
    return case

def grown(value, times):
    for i in range(60):
        if i < times:
            value = value + value
    return value
"""
BUNDLE = build_bundle({"program.star": BOMBS})


def run(runner: MachineRunner, case: object) -> object:
    return json.loads(runner.adjudicate(json.dumps(case)))


def pid_of(runner: MachineRunner) -> int:
    assert runner._process is not None
    return runner._process.pid


def test_one_worker_serves_many_runs() -> None:
    with MachineRunner(BUNDLE) as runner:
        runner.start()
        first = pid_of(runner)
        values: list[object] = [{"a": [-1, 2**53 - 1, -(2**53) + 1]}, "中\n", None, True, [], {"": {}}]
        assert [run(runner, value) for value in values] == values
        with pytest.raises(ProgramFailed):
            run(runner, "fail")
        assert run(runner, 1) == 1
        assert pid_of(runner) == first
    with pytest.raises(ProcessLookupError):
        os.kill(first, 0)


@pytest.mark.parametrize(
    ("bomb", "code", "survives"),
    [("memory", "memory", False), ("lists", "memory", False), ("steps", "steps", True), ("output", "size", True)],
)
def test_a_bomb_gives_no_result_and_the_next_run_works(bomb: str, code: str, survives: bool) -> None:
    with MachineRunner(BUNDLE, MachineLimits(steps=500)) as runner:
        assert run(runner, 1) == 1
        before = pid_of(runner)
        with pytest.raises(MachineLimit) as caught:
            run(runner, bomb)
        assert caught.value.code == code
        assert run(runner, 2) == 2
        assert (pid_of(runner) == before) is survives


@pytest.mark.parametrize("limits", [MachineLimits(cpu_seconds=0), MachineLimits(wall_seconds=0.3)])
def test_one_step_that_cannot_be_interrupted_is_killed(limits: MachineLimits) -> None:
    with MachineRunner(BUNDLE, limits) as runner:
        with pytest.raises(MachineLimit) as caught:
            run(runner, "cpu")
        assert caught.value.code == "time"
        assert run(runner, 2) == 2


def test_a_worker_killed_from_outside_is_replaced() -> None:
    with MachineRunner(BUNDLE) as runner:
        runner.start()
        os.kill(pid_of(runner), signal.SIGKILL)
        assert runner._process is not None
        runner._process.wait()
        assert run(runner, 1) == 1


def test_a_program_that_is_refused_says_why_each_time() -> None:
    with MachineRunner(build_bundle({"program.star": "X = 1\n"})) as runner:
        for _ in range(2):
            with pytest.raises(ProgramRefused) as caught:
                runner.start()
            assert caught.value.code == "lint"


def test_the_worker_gives_what_evaluation_gives() -> None:
    program = load_program(standard_program())
    with MachineRunner(standard_program()) as runner:
        assert runner.hash == program.hash
        for text in standard_examples():
            case = encode_case(read_case(json.loads(text)["input"]))
            assert runner.adjudicate(case) == program.run(case).result
            assert runner.explain(case) == program.explain(case)


def test_frames_are_bounded_and_whole() -> None:
    reader, writer = os.pipe()
    write_frame(writer, b"K", b"abc")
    assert read_frame(reader, seconds=1) == (b"K", b"abc")
    os.write(writer, b"K\xff\xff\xff\xff")
    with pytest.raises(EndOfWorker):
        read_frame(reader, seconds=1)
    os.write(writer, b"K\x00\x00\x00\x09abc")
    os.close(writer)
    with pytest.raises(EndOfWorker):
        read_frame(reader, seconds=1)
    os.close(reader)
