"""What insurance is about, as stories on a running network: each with figures that were worked out by hand before.

Knows which there are, in the order in which they are told. Must not know how one is run. Always true: a name here is a
file here, and no figure that a scenario expects comes from the program that it tries.
"""

from typing import Final

from cli.scenarios import advance, complaint, flash, founding, red_invoice, two_insurers
from cli.scenarios.stage import Scenario

SCENARIOS: Final[tuple[Scenario, ...]] = (
    founding.SCENARIO,
    flash.SCENARIO,
    advance.SCENARIO,
    two_insurers.SCENARIO,
    red_invoice.SCENARIO,
    complaint.SCENARIO,
)
ALL: Final = "all"
NAMES: Final = tuple(item.name for item in SCENARIOS)


def choose(names: tuple[str, ...]) -> list[Scenario]:
    """The scenarios of these names, in the order of this file; `all` is every one."""
    return [item for item in SCENARIOS if ALL in names or item.name in names]
