"""Every decoder of bytes or text from outside, with broken input: a value, or its own error, and nothing else.

A few cases in the usual run; CLAIMNODE_FUZZ_CASES=60000 spreads that many over all decoders by their weight. A case
that fails is printed with its seed and a blob that makes it again.
"""

import math
import os
from collections.abc import Callable

import pytest
from hypothesis import given, settings

from tests.fuzz.checking import MEASURED, Decoder, check_case
from tests.fuzz.conftest import PROPERTY, VARIABLE
from tests.fuzz.decoders import DECODERS
from tests.fuzz.mutations import Drawn, drawn, make_input

FEW = 20
WHOLE = int(os.environ.get(VARIABLE, "0"))
WEIGHTS = sum(decoder.weight for decoder in DECODERS)


def cases_of(decoder: Decoder) -> int:
    """How many cases of the asked volume are this decoder's."""
    return max(FEW, math.ceil(WHOLE * decoder.weight / WEIGHTS))


@pytest.mark.parametrize("decoder", DECODERS, ids=lambda decoder: decoder.name)
def test_a_value_or_its_own_error(decoder: Decoder, record_property: Callable[[str, object], None]) -> None:
    samples = decoder.samples()
    decoder.decode(samples[0].data)  # the first is a true one: else nothing deep would ever be reached
    ran = 0

    @settings(max_examples=cases_of(decoder), deadline=None, database=None, derandomize=False, print_blob=True)
    @given(drawn())
    def check(case: Drawn) -> None:
        nonlocal ran
        ran += 1
        check_case(decoder, make_input(samples, case), measured=ran % MEASURED == 1)

    try:
        check()
    finally:
        record_property(PROPERTY, ran)
