"""The process in which claim programs run: reads requests from standard input, answers on standard output.

Knows one loaded program and its own limits. Must not know the node, its keys, its disk or its network: it
inherits nothing but two pipes. Always true: each request gets exactly one answer, or the process ends.

    L limits and bundle -> K program hash | E refused
    R case text         -> K result text  | E failed or over a limit
    X case text         -> K length of the result, result text, trace text | E
"""

import signal
import struct
import sys
from typing import Final

import msgspec

from contracts.machine.bundle import build_bundle
from contracts.machine.errors import MachineError, ProgramFailed
from contracts.machine.evaluation import LoadedProgram, load_program
from node.machine.frames import EndOfWorker, read_frame, write_frame
from node.machine.limits import grant_cpu, limit_process

LOAD: Final = b"L"
RUN: Final = b"R"
EXPLAIN: Final = b"X"
OK: Final = b"K"
ERROR: Final = b"E"
RESULT_LENGTH: Final = struct.Struct(">I")
EXIT_MEMORY: Final = 77
"""The process ended because an allocation was refused, and it had time to say so."""
EXIT_PANIC: Final = 78
"""The interpreter gave up for another reason."""
PANIC: Final = "PanicException"
"""How a failed assertion inside the interpreter arrives; its class cannot be imported."""
STDIN: Final = 0
STDOUT: Final = 1


class Order(msgspec.Struct, frozen=True):
    """The payload of LOAD."""

    files: dict[str, str]
    memory_bytes: int
    cpu_seconds: int
    steps: int


class Fault(msgspec.Struct, frozen=True):
    """The payload of ERROR: which MachineError, and its texts."""

    kind: str
    code: str
    detail: str
    private_text: str = ""


def main() -> None:
    """Serves requests until the other end closes its pipe."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        _serve()
    except EndOfWorker:
        return
    except MemoryError:
        sys.exit(EXIT_MEMORY)
    except BaseException as error:
        if type(error).__name__ != PANIC:
            raise
        sys.exit(EXIT_MEMORY if "memory" in str(error) else EXIT_PANIC)


def _serve() -> None:
    kind, payload = read_frame(STDIN)
    if kind != LOAD:
        raise EndOfWorker
    order = msgspec.json.decode(payload, type=Order)
    limit_process(order.memory_bytes)
    grant_cpu(order.cpu_seconds)
    try:
        program = load_program(build_bundle(order.files))
    except MachineError as error:
        write_frame(STDOUT, ERROR, _encode_fault(error))
        return
    write_frame(STDOUT, OK, program.hash.encode("ascii"))
    while True:
        kind, payload = read_frame(STDIN)
        grant_cpu(order.cpu_seconds)
        try:
            answer = _answer(program, kind, payload.decode("utf-8"), order.steps)
        except MachineError as error:
            write_frame(STDOUT, ERROR, _encode_fault(error))
        else:
            write_frame(STDOUT, OK, answer)


def _answer(program: LoadedProgram, kind: bytes, case_text: str, steps: int) -> bytes:
    if kind == RUN:
        return program.run(case_text, max_steps=steps).result.encode("utf-8")
    evaluation = program.explain(case_text, max_steps=steps)
    result = evaluation.result.encode("utf-8")
    return RESULT_LENGTH.pack(len(result)) + result + (evaluation.trace or "").encode("utf-8")


def _encode_fault(error: MachineError) -> bytes:
    private_text = error.private_text if isinstance(error, ProgramFailed) else ""
    return msgspec.json.encode(Fault(type(error).__name__, error.code, error.detail, private_text))
