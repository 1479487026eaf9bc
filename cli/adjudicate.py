"""`claimnode adjudicate`: cases in, results out, pure and offline, by the standard program.

Knows the options, and which input error a run beyond the machine's limits is. Must not know a rule: the
program holds them all. Always true: nothing is sent anywhere, no library of a server is imported, and the
result printed is the program's, unchanged.
"""

from collections.abc import Callable
from typing import Any

import click
import msgspec

from cli.documents import Answer, answer_file, answer_lines
from contracts.case import decode_case, encode_case
from contracts.errors import InputError
from contracts.machine.errors import MachineError, MachineLimit, ProgramFailed
from node.machine.programs import standard_program
from node.machine.runner import MachineRunner

EXIT_MACHINE = 3


class MachineTrouble(click.ClickException):
    """The program or its worker failed, whatever the case: one line on stderr."""

    exit_code = EXIT_MACHINE


@click.command(name="adjudicate")
@click.argument("file")
@click.option("--lines", is_flag=True, help="Read one case a line (NDJSON), write one result a line.")
@click.option("--json", "as_json", is_flag=True, help="Write the result as one compact JSON line.")
@click.option("--explain", is_flag=True, help='Add "trace": every step with its rule number.')
def adjudicate(file: str, lines: bool, as_json: bool, explain: bool) -> None:
    """Adjudicate the case in FILE (- for standard input) under each of its policies.

    The result is {"results": [one for each policy]}. Exit code 0: done, whatever was decided, 2: no case.
    With --lines a line that is no case gives an error object in its place, and the exit code is 0.

    \b
    Example: claimnode adjudicate case.json
             claimnode adjudicate --lines - < cases.ndjson > results.ndjson
    """
    with MachineRunner(standard_program()) as runner:
        answer = _answer_with(_explained(runner) if explain else _bare(runner))
        try:
            if lines:
                answer_lines(file, answer)
            else:
                answer_file(file, answer, as_json=as_json)
        except MachineError as error:
            raise MachineTrouble(f"the claim program failed: {error}; report this with the case") from None


def _bare(runner: MachineRunner) -> Callable[[str], Any]:
    return lambda case_text: msgspec.Raw(runner.adjudicate(case_text).encode("utf-8"))


def _explained(runner: MachineRunner) -> Callable[[str], Any]:
    def explain(case_text: str) -> Any:
        evaluation = runner.explain(case_text)
        result: dict[str, Any] = msgspec.json.decode(evaluation.result)
        return result | {"trace": msgspec.Raw((evaluation.trace or "[]").encode("utf-8"))}

    return explain


def _answer_with(run: Callable[[str], Any]) -> Answer:
    """Case document in, answer out; a case that the machine cannot finish is an input error of that case."""

    def answer(document: bytes) -> Any:
        case_text = encode_case(decode_case(document))
        try:
            return run(case_text)
        except MachineLimit as error:
            raise InputError("too_large", "", f"the case is beyond the machine's limits: {error.detail}") from None
        except ProgramFailed as error:
            if error.code != "result_range":
                raise
            raise InputError("range", "", "the amounts of the case add up beyond 2^53-1") from None

    return answer
