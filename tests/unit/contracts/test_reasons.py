"""Every reason that a program can give has a text for the insured in both languages."""

import re
from importlib.resources import files

from contracts.reasons import ANSWERS, DECISIONS, FEEDBACK_REASONS, OVERRIDE_REASONS, REASONS, RELEASE_REASONS

TABLES = (REASONS, DECISIONS, RELEASE_REASONS, OVERRIDE_REASONS, FEEDBACK_REASONS, ANSWERS)


def test_every_reason_of_the_standard_program_is_explained() -> None:
    folder = files("contracts").joinpath("programs", "standard")
    source = "".join(item.read_text("utf-8") for item in folder.iterdir() if item.name.endswith(".star"))
    words = set(re.findall(r'"([A-Z][A-Z_]{5,})"', source))
    assert words <= set(REASONS), sorted(words - set(REASONS))
    assert len(words) > 20


def test_texts_are_there_in_both_languages() -> None:
    for texts in (text for table in TABLES for text in table.values()):
        assert set(texts) == {"en", "zh"}
        assert all(texts.values())
