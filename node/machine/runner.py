"""Runs claim programs in a worker process, starts it, and replaces it when a run has ended it.

Knows processes, pipes and deadlines. Must not know what a program computes. Always true: a caller gets the
result that contracts.machine.evaluation would give, or a MachineError; a run that goes beyond its limits
harms nothing but itself, and the next run finds a fresh worker.
"""

import signal
import subprocess
import sys
import threading
from pathlib import Path
from types import TracebackType
from typing import Final

import msgspec

import node
from contracts.machine.bundle import ProgramBundle, program_hash
from contracts.machine.errors import MachineError, MachineLimit, ProgramFailed, ProgramRefused
from contracts.machine.evaluation import Evaluation
from node.machine.frames import EndOfWorker, OutOfTime, read_frame, write_frame
from node.machine.limits import MachineLimits
from node.machine.worker import ERROR, EXIT_MEMORY, EXIT_PANIC, EXPLAIN, LOAD, RESULT_LENGTH, RUN, Fault, Order

STOP_SECONDS: Final = 2.0
"""How long an idle worker may take to end once its pipe is closed."""
_ROOT: Final = str(Path(node.__file__).parent.parent)
_BOOT: Final = "import sys; sys.path.insert(0, sys.argv[1]); from node.machine.worker import main; main()"


class WorkerLost(MachineError):
    """The worker could not be started, or answers nonsense: this machine's fault, not the program's."""


class MachineRunner:
    """One program and the worker that runs it. Safe to use from several threads, one run at a time."""

    def __init__(self, bundle: ProgramBundle, limits: MachineLimits | None = None) -> None:
        """The worker is started by `start` or by the first run."""
        self.bundle = bundle
        self.hash = program_hash(bundle)
        self._limits = limits or MachineLimits()
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> "MachineRunner":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def start(self) -> None:
        """Starts the worker and loads the program. Raises ProgramRefused, MachineLimit or WorkerLost."""
        with self._lock:
            self._ready()

    def adjudicate(self, case_text: str) -> str:
        """The canonical result text of a checked case (contracts.case.encode_case). Raises MachineError."""
        with self._lock:
            return self._ask(RUN, case_text).decode("utf-8")

    def explain(self, case_text: str) -> Evaluation:
        """The same result and the steps that led to it. Raises MachineError."""
        with self._lock:
            answer = self._ask(EXPLAIN, case_text)
        end = RESULT_LENGTH.size + RESULT_LENGTH.unpack_from(answer)[0]
        return Evaluation(answer[RESULT_LENGTH.size : end].decode("utf-8"), answer[end:].decode("utf-8"))

    def close(self) -> None:
        """Ends the worker; a later run would start another."""
        with self._lock:
            self._stop(kill=False)

    def _ask(self, kind: bytes, case_text: str) -> bytes:
        process = self._ready()
        return self._exchange(process, kind, case_text.encode("utf-8"), self._limits.wall_seconds)

    def _ready(self) -> "subprocess.Popen[bytes]":
        if self._process is not None and self._process.poll() is None:
            return self._process
        self._stop(kill=True)
        self._process = process = _start_worker()
        limits = self._limits
        order = Order(dict(self.bundle.files), limits.memory_bytes, limits.cpu_seconds, limits.steps)
        try:
            loaded = self._exchange(process, LOAD, msgspec.json.encode(order), limits.load_seconds)
        except MachineError:
            self._stop(kill=True)
            raise
        if loaded.decode("ascii") != self.hash:
            self._stop(kill=True)
            raise WorkerLost("worker", "the worker loaded another program than it was given")
        return process

    def _exchange(self, process: "subprocess.Popen[bytes]", kind: bytes, payload: bytes, seconds: float) -> bytes:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            write_frame(process.stdin.fileno(), kind, payload)
            answer_kind, answer = read_frame(process.stdout.fileno(), seconds=seconds)
        except OutOfTime:
            self._stop(kill=True)
            raise MachineLimit("time", f"no answer within {seconds} seconds") from None
        except EndOfWorker:
            raise self._ended(process) from None
        except BaseException:
            self._stop(kill=True)
            raise
        if answer_kind == ERROR:
            raise _build_error(answer)
        return answer

    def _ended(self, process: "subprocess.Popen[bytes]") -> MachineError:
        """What the end of a worker in the middle of a run says."""
        self._stop(kill=False)
        code = process.returncode
        if code == -signal.SIGXCPU:
            return MachineLimit("time", f"more than {self._limits.cpu_seconds} seconds of CPU")
        if code == EXIT_PANIC:
            return ProgramFailed("interpreter", "the interpreter gave up on this run")
        if code is not None and (code < 0 or code == EXIT_MEMORY):
            return MachineLimit("memory", f"more than {self._limits.memory_bytes} bytes of memory, or of stack")
        return WorkerLost("worker", f"the machine worker ended with code {code}")

    def _stop(self, *, kill: bool) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        if kill:
            process.kill()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _start_worker() -> "subprocess.Popen[bytes]":
    """A process with two pipes, no environment, and this package on its path."""
    try:
        return subprocess.Popen(  # noqa: S603 - nothing in the command comes from outside
            [sys.executable, "-I", "-c", _BOOT, _ROOT],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={},
            bufsize=0,
        )
    except OSError as error:
        raise WorkerLost("worker", f"no machine worker can be started: {error.strerror}") from None


def _build_error(answer: bytes) -> MachineError:
    fault = msgspec.json.decode(answer, type=Fault)
    if fault.kind == ProgramFailed.__name__:
        return ProgramFailed(fault.code, fault.detail, private_text=fault.private_text)
    kinds = {kind.__name__: kind for kind in (ProgramRefused, MachineLimit)}
    return kinds.get(fault.kind, WorkerLost)(fault.code, fault.detail)
