"""A small claim in the flash lane: no person looks at it, and its payment is booked within the policy's minutes.

    total 960.00 - pooled fund 410.00 - outside the catalogue 50.00 = base 500.00;  90 % = 450.00

The terms promise 30 minutes for claims up to 5,000.00: from complete evidence to the order, in block times. What is
measured is stricter: that the bank booked it by then.
"""

from typing import Final

from cli.episodes import Expected
from cli.episodes_seeded import ILLNESSES, build_episode, build_policy
from cli.scenarios.stage import Scenario, Stage
from contracts.cases.lanes import flash_until_ms, read_lanes

MINUTES: Final = 30
POLICY: Final = build_policy(102, lanes={"flash": {"limit_fen": 500_000, "minutes": MINUTES}})
EPISODE: Final = build_episode(
    102,
    "flash lane",
    "吴磊",
    admitted="2024-05-06",
    discharged="2024-05-07",
    illness=ILLNESSES[2],
    total_fen=96_000,
    pooled_fen=41_000,
    self_funded_fen=5_000,
    policy=POLICY,
    expected=Expected("paid", "approved", 45_000),
)
EXPECTED: Final = {"received_fen": 45_000, "human_steps": 0, "claims_within_the_minutes": 1}


def play(stage: Stage) -> None:
    """The clock of the promise is read from the ledger."""
    stay = stage.admit(EPISODE)
    stage.note("admitted under a policy with a flash lane")
    result = stage.conclude(stay, EPISODE)
    claim = stage.runner.client(EPISODE.hospital).get(f"/v1/claims/{stay.claims[POLICY.insurer]}")
    until = flash_until_ms(read_lanes(POLICY.terms), int(claim["ready_ms"])) or 0
    in_time = sum(int(payout["settled_ms"]) <= until for payout in claim["payouts"])
    stage.note("decided without a person", human_steps=result.human_steps, claims_within_the_minutes=in_time)
    stage.note("the customer acknowledged the payment", received_fen=sum(stay.received.values()))


SCENARIO: Final = Scenario("flash", "a small claim within half an hour, untouched", EXPECTED, play)
