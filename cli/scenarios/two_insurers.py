"""One invoice and two insurers: the second pays what is left of the patient's own loss, and not a fen more.

the patient's loss   total 4,862.50 - pooled fund 2,311.80                                = 2,550.70
first insurer        90 % of the base 2,226.70 (the loss without 324.00 outside it)       = 2,004.03
second insurer       90 % of 2,226.70 would be 2,004.03; of the loss are left             =   546.67
"""

from typing import Final

from cli.episodes import Expected
from cli.episodes_seeded import build_episode, build_policy
from cli.scenarios.stage import Scenario, Stage

EPISODE: Final = build_episode(
    103,
    "two insurers, one invoice",
    "孙丽",
    admitted="2022-02-14",
    discharged="2022-02-17",
    total_fen=486_250,
    pooled_fen=231_180,
    self_funded_fen=32_400,
    policies=(build_policy(103), build_policy(203, insurer="insurer-b")),
    expected=Expected("paid", "approved", 255_070),
)
EXPECTED: Final = {"first_fen": 200_403, "second_fen": 54_667, "received_fen": 255_070}


def play(stage: Stage) -> None:
    """One consent names both, in the order of their ranks."""
    stay = stage.admit(EPISODE)
    stage.note("one consent, two insurers by rank; a claim reported to each")
    stage.conclude(stay, EPISODE)
    first, second = (int(stage.detail(stay, name)["amount_fen"]) for name in ("insurer", "insurer-b"))
    stage.note("the insurer of the first rank decided as if alone", first_fen=first)
    stage.note("the second decided on what the first left of the loss", second_fen=second)
    stage.note("the customer acknowledged both payments", received_fen=sum(stay.received.values()))


SCENARIO: Final = Scenario("two-insurers", "two insurers share one invoice", EXPECTED, play)
