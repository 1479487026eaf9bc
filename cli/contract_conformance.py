"""`claimnode contract conformance`: is the interpreter installed here the language level that old claims are re-run in?

Knows the suite, the shipped examples and stored dossiers' place in the answer. Must not know the language. Always
true: every program is loaded and run in a process of its own, and nothing is written or sent.
"""

from collections.abc import Iterator
from importlib.metadata import version

import click
import msgspec

from cli.errors import EXIT_NO
from cli.output import json_option, print_json, print_text


@click.command(name="conformance")
@json_option
@click.pass_context
def conformance(ctx: click.Context, as_json: bool) -> None:
    """Check the installed Starlark interpreter against language level starlark-c1, and re-run the shipped examples.

    Run it after every change of version, before the node decides a claim again; then re-run stored cases with
    `claimnode audit verify` on their dossiers. Exit code 0: conforms, 1: does not.

    \b
    Example: claimnode contract conformance
    """
    from contracts.machine.language import LANGUAGE
    from node.machine.programs import conformance_topics, standard_examples

    topics, examples = conformance_topics(), standard_examples()
    faults = [*_suite_faults(), *_example_faults()]
    checked = sum(topic.size for topic in topics.values()) + len(examples)
    interpreter = f"starlark-pyo3 {version('starlark-pyo3')}"
    if as_json:
        print_json({"language": LANGUAGE, "interpreter": interpreter, "checked": checked, "faults": faults})
    else:
        print_text("\n".join([*faults, f"{interpreter}: {checked} checks of {LANGUAGE}, {len(faults)} differ"]))
    ctx.exit(EXIT_NO if faults else 0)


def _suite_faults() -> Iterator[str]:
    from contextlib import ExitStack

    from contracts.machine.bundle import ProgramBundle
    from contracts.machine.conformance import Run, check_topic
    from node.machine.limits import MachineLimits
    from node.machine.programs import conformance_topics
    from node.machine.runner import MachineRunner

    for name, topic in conformance_topics().items():
        with ExitStack() as workers:

            def load(bundle: ProgramBundle, steps: int, workers: ExitStack = workers) -> Run:
                workers.pop_all().close()
                runner = workers.enter_context(MachineRunner(bundle, MachineLimits(steps=steps)))
                runner.start()
                return runner.adjudicate

            yield from (f"{name}: {fault}" for fault in check_topic(topic, load))


def _example_faults() -> Iterator[str]:
    from contracts.case import encode_case, read_case
    from contracts.machine.errors import MachineError
    from node.machine.programs import standard_examples, standard_program
    from node.machine.runner import MachineRunner

    with MachineRunner(standard_program()) as runner:
        for text in standard_examples():
            example = msgspec.json.decode(text)
            try:
                found = msgspec.json.decode(runner.adjudicate(encode_case(read_case(example["input"]))))
            except MachineError as error:
                yield f"example {example['title']}: {error}"
            else:
                if found != example["expected"]:
                    yield f"example {example['title']}: another result than it ships with"
