"""The life cycles as README.md shows them: a picture and a table of each subject, made from the one table.

Pure text. Must always hold: what is written here is what `lifecycle` has, row for row; a test compares the two.
"""

from typing import Final

from contracts.lifecycle import TABLES, Subject, Table

SUBJECTS: Final[tuple[Subject, ...]] = ("claim", "payout", "case", "record")
BEGIN: Final = "<!-- made from contracts/lifecycle.py by contracts/lifecycle_tables.py -->"
END: Final = "<!-- end of the life cycles -->"
NOTHING: Final = "-"
IN_PLACE: Final = "(the same)"


def render_section() -> str:
    """Everything between the two marks in README.md, marks included."""
    parts = [BEGIN, "", "```", *_picture(), "```"]
    for subject in SUBJECTS:
        parts += ["", f"**{subject}**", "", *_rows(TABLES[subject])]
    return "\n".join([*parts, "", END])


def _picture() -> list[str]:
    """One line for statuses from which the same actions lead to one status; steps in place are left out."""
    lines = []
    for subject in SUBJECTS:
        joined: dict[tuple[str, str], list[str]] = {}
        for (status, action), step in TABLES[subject].items():
            if step.to != status:
                joined.setdefault((status or "nothing", step.to), []).append(_short(action))
        alike: dict[tuple[str, str], list[str]] = {}
        for (status, to), actions in joined.items():
            alike.setdefault((" | ".join(dict.fromkeys(actions)), to), []).append(status)
        for number, ((actions_text, to), statuses) in enumerate(alike.items()):
            lines.append(f"{'' if number else subject:8}{' | '.join(statuses)} --{actions_text}--> {to}")
    return lines


def _rows(table: Table) -> list[str]:
    """One row for statuses from which one action is the same step."""
    alike: dict[tuple[str, str, str, str, str], list[str]] = {}
    for (status, action), step in table.items():
        to = IN_PLACE if step.to == status else step.to
        alike.setdefault((action, to, step.actor, step.guard, step.clock), []).append(status or NOTHING)
    lines = ["| from | action | to | who | guard | clock |", "|---|---|---|---|---|---|"]
    for (action, to, actor, guard, clock), statuses in alike.items():
        cells = (", ".join(statuses), f"`{action}`", to, actor, guard or NOTHING, clock or NOTHING)
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def _short(action: str) -> str:
    """`claim.review/open` is `review/open` in a picture."""
    return action.partition(".")[2] or action
