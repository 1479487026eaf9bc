"""The worked examples published with the specification: W1 to W6 by the program, X1 to X4 by validation."""

import json
from typing import Any

import pytest

from contracts.case import decode_case, encode_case
from contracts.einvoice import validate
from contracts.inputs import decode_document
from contracts.machine.evaluation import load_program
from node.machine.programs import standard_program
from tests.support import adjudication_oracle
from tests.support.realdata import read_json, requires_real_data

pytestmark = requires_real_data


@pytest.fixture(scope="module")
def examples() -> Any:
    return read_json("..", "design", "adjudication-examples.json")


def test_adjudication(examples: Any) -> None:
    program = load_program(standard_program())
    assert len(examples["adjudication"]) == 6
    for example in examples["adjudication"]:
        case = encode_case(decode_case(json.dumps(example["input"])))
        assert json.loads(program.run(case).result) == example["expected"], example["id"]
        assert adjudication_oracle.adjudicate(example["input"]) == example["expected"], example["id"]


def test_einvoices(examples: Any) -> None:
    assert len(examples["einvoice"]) == 4
    for example in examples["einvoice"]:
        request = decode_document(json.dumps(example["input"]))
        assert validate(request) == example["expected"], example["id"]
