"""An advance during the stay, on what it had cost so far and more than the decision gives; the rest comes back.

    interim      6,000.00 - pooled fund 2,000.00 = 4,000.00; 90 % = 3,600.00; the terms advance 80 %   = 2,880.00
    decision     the hospital's final invoice is lower: 4,862.50 - 2,311.80 - 324.00, 90 %             = 2,004.03
    to be paid   nothing more; to come back  2,880.00 - 2,004.03                                       =   875.97

It comes back in the customer's own word, signed over this settlement: what the customer keeps is the decision's amount.
"""

from typing import Any, Final

from cli.demo_episode import FINAL_S, Stay, require_ok
from cli.episodes import Expected
from cli.episodes_seeded import ILLNESSES, build_episode, build_policy
from cli.scenarios.stage import Scenario, Stage
from contracts.identifiers import derive_recovery_id
from node.wallet_recoveries import build_repayment, make_recovery_word

INSURER: Final = "insurer"
POLICY: Final = build_policy(107, lanes={"advance": {"ratio_bp": 8_000}})
EPISODE: Final = build_episode(
    107,
    "advance during the stay",
    "郭强",
    admitted="2023-03-06",
    discharged="2023-03-10",
    illness=ILLNESSES[5],
    total_fen=486_250,
    pooled_fen=231_180,
    self_funded_fen=32_400,
    policy=POLICY,
    expected=Expected("zero", "approved", 0),
)
INTERIM: Final[dict[str, Any]] = {
    "diagnoses": ["S82.600"],
    "cause": "accident",
    "first_onset": "2023-03-06",
    "stay": {
        "admission_date": "2023-03-06",
        "discharge_date": "2023-03-08",
        "half_days": None,
        "institution_level": "3",
    },
    "charges": {
        "total_fen": 600_000,
        "pooled_fund_fen": 200_000,
        "self_funded_fen": 0,
        "insurance_type": "employee",
        "institution_level": "3",
    },
}
EXPECTED: Final = {
    "advanced_fen": 288_000,
    "benefit_fen": 200_403,
    "paid_after_fen": 0,
    "recoverable_fen": 87_597,
    "recoveries_settled": 1,
    "kept_fen": 200_403,
}


def play(stage: Stage) -> None:
    """The advance reaches the customer before the discharge."""
    stay = stage.admit(EPISODE)
    stay.publish([("interim", INTERIM)])
    stage.note("admitted; the hospital published what the stay had cost so far")

    def advanced() -> int:
        stay.acknowledge()
        return sum(stay.received.values())

    advance = stage.wait("the advance is paid", advanced)
    stage.note("the advance was paid and acknowledged during the stay", advanced_fen=advance)
    stage.conclude(stay, EPISODE)
    (result,) = stage.detail(stay, INSURER)["results"]
    recoverable = int(result["recoverable_fen"])
    stage.note(
        "discharged and decided: the advance was more than the benefit",
        benefit_fen=int(result["total_fen"]),
        paid_after_fen=int(result["net_fen"]),
        recoverable_fen=recoverable,
    )
    settled = _repay(stage, stay, recoverable)
    kept = sum(stay.received.values()) - recoverable * settled
    stage.note("the customer paid the rest back and signed for it", recoveries_settled=settled, kept_fen=kept)


def _repay(stage: Stage, stay: Stay, owed_fen: int) -> int:
    """The insurer's finance tells how it was settled, the customer signs it, the ledger has it. 1 when SETTLED."""
    client = stage.runner.client(INSURER)
    policy_id = stage.detail(stay, INSURER)["payouts"][0]["policy_id"]
    recovery_id = derive_recovery_id(stay.claims[INSURER], policy_id, 1)
    path = f"/v1/recoveries/{recovery_id}"
    stage.wait("the recovery is opened", lambda: client.find(path))
    repayment = build_repayment(recovery_id, owed_fen, EPISODE.currency, "DEMO-REPAYMENT-107")
    token = make_recovery_word(stay.wallet, repayment, owed_fen)
    require_ok(client.post(f"{path}/settlement", {"token": token}, wait=FINAL_S))
    return int(client.get(path)["status"] == "SETTLED")


SCENARIO: Final = Scenario("advance", "paid in advance during the stay, the rest recovered", EXPECTED, play)
