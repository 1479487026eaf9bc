"""A red invoice after the payment: the outcome is taken back, and the annual limit is free for the right invoice.

    wrong invoice   total 4,862.50 - pooled fund 2,311.80 - outside 324.00 = 2,226.70; 90 % = 2,004.03
    right invoice   total 4,600.00 - pooled fund 2,311.80 - outside 324.00 = 1,964.20; 90 % = 1,767.78

The policy's year is limited to 2,500.00. What the wrong invoice took of it is reserved until the hospital's red one is
final and insurer and co-adjudicator took the outcome back; then a claim on the right one is paid whole. Without that it
would have got 2,500.00 - 2,004.03 = 495.97. The money of the wrong one stays a matter between insurer and insured.
"""

from typing import Any, Final

from cli.episodes import Episode, Expected
from cli.episodes_seeded import build_benefit, build_episode, build_policy
from cli.scenarios.stage import Scenario, Stage

LIMIT_FEN: Final = 250_000
INSURER: Final = "insurer"
POLICY: Final = build_policy(104, plans={"STD": build_benefit(9_000, annual_limit_fen=LIMIT_FEN)})


def _stay(number: int, total_fen: int, paid_fen: int) -> Episode:
    return build_episode(
        number,
        "red invoice after the payment",
        "胡芳",
        admitted="2022-08-01",
        discharged="2022-08-04",
        total_fen=total_fen,
        pooled_fen=231_180,
        self_funded_fen=32_400,
        policy=POLICY,
        expected=Expected("paid", "approved", paid_fen),
    )


WRONG: Final = _stay(104, 486_250, 200_403)
RIGHT: Final = _stay(105, 460_000, 176_778)
RED_NUMBER: Final = "0000000106"
EXPECTED: Final = {"wrong_fen": 200_403, "outcomes_taken_back": 1, "right_fen": 176_778}


def build_red(bill: dict[str, Any]) -> dict[str, Any]:
    """The red invoice that reverses a bill: every amount with the other sign."""
    red = {name: -value if name.endswith("_fen") else value for name, value in bill.items()}
    red["items"] = [item | {"amount_fen": -item["amount_fen"]} for item in bill["items"]]
    named = {"code": bill["code"], "number": bill["number"]}
    return red | {"kind": "red", "number": RED_NUMBER, "reverses": named}


def play(stage: Stage) -> None:
    """The red invoice comes under a consent of its own: nobody is admitted, so no claim takes the account meanwhile."""
    policy_id = stage.runner.commit(POLICY, WRONG.currency)
    first = stage.admit(WRONG, [policy_id])
    stage.conclude(first, WRONG)
    stage.note("the wrong invoice was paid and acknowledged", wrong_fen=sum(first.received.values()))
    correction = stage.runner.begin(WRONG, [policy_id])
    correction.grant()
    correction.publish([("invoice", build_red(WRONG.invoices[0]))])
    stage.note("the hospital published the red invoice under a consent for it")

    def taken_back() -> int:
        return sum(payout.get("account") == "restored" for payout in stage.detail(first, INSURER)["payouts"])

    count = stage.wait("the outcome is taken back", taken_back)
    stage.note("insurer and co-adjudicator took the outcome back", outcomes_taken_back=count)
    second = stage.admit(RIGHT, [policy_id])
    stage.conclude(second, RIGHT)
    stage.note("the right invoice was decided and paid whole", right_fen=sum(second.received.values()))


SCENARIO: Final = Scenario("red-invoice", "a red invoice after the payment", EXPECTED, play)
