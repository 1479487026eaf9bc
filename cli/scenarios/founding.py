"""The founding case: Ms W, 2021-12-03 to 2021-12-06, an ordinary stay that nobody has to touch.

total 4,862.50 - pooled fund 2,311.80 - outside the catalogue 324.00 = base 2,226.70
90 % of 2,226.70 = 2,004.03
"""

from typing import Final

from cli.episodes import Expected
from cli.episodes_seeded import build_episode
from cli.scenarios.stage import Scenario, Stage

EPISODE: Final = build_episode(
    101,
    "founding case",
    "王女士",
    admitted="2021-12-03",
    discharged="2021-12-06",
    total_fen=486_250,
    pooled_fen=231_180,
    self_funded_fen=32_400,
    expected=Expected("paid", "approved", 200_403),
)
EXPECTED: Final = {"decided_fen": 200_403, "received_fen": 200_403, "human_steps": 0}


def play(stage: Stage) -> None:
    """From consent to the customer's own word that the money came."""
    stay = stage.admit(EPISODE)
    stage.note("consent given, admission published, claim reported by the ledger")
    result = stage.conclude(stay, EPISODE)
    stage.note("discharged, decided and paid", decided_fen=result.amount_fen or 0, human_steps=result.human_steps)
    stage.note("the customer acknowledged the payment", received_fen=sum(stay.received.values()))


SCENARIO: Final = Scenario("founding", "an ordinary stay, straight through", EXPECTED, play)
