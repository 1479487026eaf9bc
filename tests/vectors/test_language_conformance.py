"""The conformance suite of language level `starlark-c1`, and every stored example, on the interpreter installed here.

A new version of the interpreter is let in only when this file passes (contracts/programs/README.md).
"""

import json
from typing import Any

import pytest

from contracts.case import encode_case, read_case
from contracts.machine.bundle import ProgramBundle, build_bundle
from contracts.machine.conformance import Run, Topic, build_topic, check_topic
from contracts.machine.errors import ProgramRefused
from contracts.machine.evaluation import load_program
from contracts.machine.language import BUILTINS, GIVEN, METHODS
from node.machine.programs import conformance_topics, standard_examples, standard_program

TOPICS = conformance_topics()
EVERYTHING = json.dumps([str(topic) for topic in TOPICS.values()])


def load(bundle: ProgramBundle, steps: int) -> Run:
    program = load_program(bundle)
    return lambda case_text: program.run(case_text, max_steps=steps).result


@pytest.mark.parametrize("name", TOPICS)
def test_the_interpreter_is_the_language_level(name: str) -> None:
    assert TOPICS[name].size
    assert list(check_topic(TOPICS[name], load)) == []


@pytest.mark.parametrize("name", sorted(BUILTINS | GIVEN))
def test_the_suite_calls_every_function_of_the_level(name: str) -> None:
    assert f"{name}(" in EVERYTHING


@pytest.mark.parametrize("name", sorted(METHODS))
def test_the_suite_calls_every_method_of_the_level(name: str) -> None:
    assert f".{name}(" in EVERYTHING


WRONG: list[dict[str, Any]] = [
    {"gives": [["1 + 1", 3]]},
    {"gives": [["1 + 1", "2"]]},
    {"gives": [["1 // 0", 0]]},
    {"gives": [["while", 0]]},
    {"fails": ["1"]},
    {"refused": [["1", "operator"]]},
    {"refused": [["1 * 1", "syntax"]]},
    {
        "programs": [
            {"name": "p", "source": "def adjudicate(case, trace):\n    return case\n", "case": 1, "expected": 2}
        ]
    },
    {"programs": [{"name": "p", "source": "def adjudicate(case, trace):\n    return case\n", "case": 1, "error": "x"}]},
    {"programs": [{"name": "p", "source": "X = 1\n", "case": 1, "expected": 1}]},
    {
        "programs": [
            {
                "name": "p",
                "source": "def adjudicate(case, trace):\n    return 1\n",
                "case": 1,
                "expected": 1,
                "steps": 5,
            }
        ]
    },
]


@pytest.mark.parametrize("document", WRONG, ids=str)
def test_an_interpreter_that_differs_is_found_out(document: dict[str, Any]) -> None:
    assert len(list(check_topic(build_topic(json.dumps(document)), load))) == 1


def test_a_topic_that_holds_something_else_is_no_topic() -> None:
    assert Topic().size == 0
    with pytest.raises(ValueError, match="unknown field"):
        build_topic('{"give": []}')


def test_a_program_that_does_not_load_is_refused_in_one_way() -> None:
    with pytest.raises(ProgramRefused):
        load(build_bundle({"program.star": "X = 1\n"}), 1)


STORED = [(json.loads(text)["title"], json.loads(text)) for text in standard_examples()]


@pytest.mark.parametrize(("title", "example"), STORED, ids=[title for title, _ in STORED])
def test_a_stored_case_gives_what_it_gave(title: str, example: dict[str, Any]) -> None:
    assert_same(example["input"], example["expected"])


def assert_same(case: dict[str, Any], expected: dict[str, Any]) -> None:
    text = encode_case(read_case(case))
    program = load_program(standard_program())
    assert json.loads(program.run(text).result) == expected
    assert json.loads(program.explain(text).result) == expected
