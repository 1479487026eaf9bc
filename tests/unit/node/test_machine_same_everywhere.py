"""Results and explanations are the same bytes in every process, whatever its hash seed."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path
from random import Random

import pytest

from contracts.case import encode_case, read_case
from contracts.machine.evaluation import load_program
from node.machine.programs import standard_program
from node.machine.runner import MachineRunner
from tests.support.adjudication_cases import build_paying_case

ROOT = Path(__file__).resolve().parents[3]
CASES = 25
CODE = """
from tests.unit.node.test_machine_same_everywhere import digest_of_explanations
print(digest_of_explanations())
"""


def digest_of_explanations() -> str:
    """Of case texts, results and traces of CASES fixed cases and all shipped examples, in this process."""
    import json

    from node.machine.programs import standard_examples

    program, digest = load_program(standard_program()), hashlib.sha256()
    examples = [json.loads(text)["input"] for text in standard_examples()]
    for case in [*examples, *(build_paying_case(Random(seed)) for seed in range(CASES))]:
        text = encode_case(read_case(case))
        found = program.explain(text)
        assert found.result == program.run(text).result
        for part in (text, found.result, found.trace or ""):
            digest.update(part.encode("utf-8") + b"\\0")
    return digest.hexdigest()


@pytest.mark.parametrize("seed", range(10))
def test_a_process_with_another_hash_seed_gives_the_same_bytes(seed: int) -> None:
    environment = {**os.environ, "PYTHONHASHSEED": str(seed)}
    done = subprocess.run(
        [sys.executable, "-c", CODE], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == digest_of_explanations()


def test_two_workers_give_the_same_bytes() -> None:
    with MachineRunner(standard_program()) as one, MachineRunner(standard_program()) as two:
        for seed in range(CASES):
            text = encode_case(read_case(build_paying_case(Random(seed))))
            assert one.explain(text) == two.explain(text)
            assert one.adjudicate(text) == two.adjudicate(text) == one.explain(text).result


def test_the_order_of_keys_in_the_input_changes_nothing() -> None:
    for seed in range(CASES):
        case = build_paying_case(Random(seed))
        assert encode_case(read_case(_turned(case))) == encode_case(read_case(case))


def _turned(value: object) -> object:
    """The same JSON value, the keys of every object in the opposite order."""
    if isinstance(value, dict):
        return {key: _turned(item) for key, item in reversed(value.items())}
    return [_turned(item) for item in value] if isinstance(value, list) else value
