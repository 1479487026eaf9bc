"""The life cycles as data: reachable, free of dead ends that nobody meant, and refused elsewhere."""

from pathlib import Path

import pytest

import contracts
from contracts.errors import Refusal
from contracts.kinds import KINDS
from contracts.lifecycle import CLAIM_STEPS, PAYOUT_STEPS, REMEMBERED, TABLES, is_possible, next_status
from contracts.lifecycle_tables import BEGIN, END, render_section

ENDS = {
    "case": {"COMPLETE"},
    "record": {"ACCEPTED", "REJECTED"},
    "claim": {"WITHDRAWN", "CLOSED"},
    "payout": {"RESTORED", "NOT_DUE", "RELEASED"},
}


@pytest.mark.parametrize("subject", sorted(TABLES))
def test_every_status_is_reached_from_nothing_and_leads_to_an_end(subject: str) -> None:
    table = TABLES[subject]  # type: ignore[index]
    reached: set[str | None] = {None}
    while True:
        more = {step.to for (status, _), step in table.items() if status in reached} - reached
        if not more:
            break
        reached |= more
    assert reached == {None} | {step.to for step in table.values()}
    left = {status for (status, _), step in table.items() if step.to != status} | {REMEMBERED}
    if subject == "claim":
        left.discard("CLOSED")
    assert reached - left == ENDS[subject]


@pytest.mark.parametrize("subject", sorted(TABLES))
def test_every_pair_outside_the_table_is_refused(subject: str) -> None:
    table = TABLES[subject]  # type: ignore[index]
    statuses = {None} | {step.to for step in table.values()}
    actions = {action for steps in TABLES.values() for _, action in steps}
    for status in statuses:
        for action in actions:
            possible = (status, action) in table
            assert is_possible(subject, status, action) is possible  # type: ignore[arg-type]
            if possible:
                assert next_status(subject, status, action, "x") == table[status, action].to  # type: ignore[arg-type]
                continue
            with pytest.raises(Refusal) as caught:
                next_status(subject, status, action, "x")  # type: ignore[arg-type]
            assert (caught.value.code, caught.value.subject) == ("WRONG_STATE", "x")


def test_actions_are_kinds_or_the_ledgers_own() -> None:
    for _, action in [*CLAIM_STEPS, *PAYOUT_STEPS]:
        assert action.partition("/")[0] in KINDS or action.startswith("ledger.")


def test_the_readme_has_the_table_as_it_is() -> None:
    text = (Path(contracts.__path__[0]) / "README.md").read_text(encoding="utf-8")
    assert text[text.index(BEGIN) : text.index(END) + len(END)] == render_section()
