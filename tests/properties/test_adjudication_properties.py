"""The Starlark program against an independent reading of the same rules, on cases drawn to collide."""

import json
from random import Random

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contracts.case import decode_case, encode_case, read_case
from contracts.machine.evaluation import load_program
from node.machine.programs import standard_program
from tests.support import adjudication_oracle
from tests.support.adjudication_cases import build_random_case

PROGRAM = load_program(standard_program())
FIXED_SEEDS = range(300)
"""Reach every reason of the specification; test_the_fixed_seeds_reach_every_reason holds that."""
REASONS = 24


def check(random: Random) -> set[str]:
    """Both readings agree on a random case; gives the reasons that occurred."""
    case = build_random_case(random)
    text = encode_case(decode_case(json.dumps(case)))
    result = json.loads(PROGRAM.run(text).result)
    assert result == adjudication_oracle.adjudicate(case)
    for entry in result["results"]:
        assert entry["total_fen"] == sum(sum(benefit["by_period"].values()) for benefit in entry["benefits"])
    return {reason for entry in result["results"] for benefit in entry["benefits"] for reason in benefit["reasons"]}


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(st.randoms(use_true_random=False))
def test_program_and_oracle_agree(random: Random) -> None:
    check(random)


def test_the_fixed_seeds_reach_every_reason() -> None:
    reached = set().union(*(check(Random(seed)) for seed in FIXED_SEEDS))
    assert len(reached) == REASONS, sorted(reached)


def test_the_explained_result_is_the_result() -> None:
    for seed in range(40):
        text = encode_case(read_case(build_random_case(Random(seed))))
        assert PROGRAM.explain(text).result == PROGRAM.run(text).result
