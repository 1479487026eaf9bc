"""A complaint that overturns a decline: the hospital had written illness where it was an accident.

    covered since 2023-06-01, 30 days of waiting for illnesses; admitted 2023-06-15 with a broken ankle

    first decision    cause illness, within the waiting period: declined                                    =     0.00
    second decision   cause accident: total 8,120.00 - pooled 5,036.00 - outside 214.00 = 2,870.00; 90 %    = 2,583.00

The hospital publishes a discharge that replaces the wrong one, and the customer asks in its own word to decide again.
The commission completes the case anew, and the claim is decided on that evidence as its second attempt.
"""

from typing import Any, Final

from msgspec.structs import replace

from cli.demo_episode import FINAL_S, Stay, require_ok
from cli.episodes import Expected
from cli.episodes_seeded import ILLNESSES, build_episode, build_policy
from cli.scenarios.stage import Scenario, Stage
from node.wallet_claims import make_reopening

INSURER: Final = "insurer"
RIGHT: Final = build_episode(
    108,
    "complaint overturns a decline",
    "林艳",
    admitted="2023-06-15",
    discharged="2023-06-19",
    illness=ILLNESSES[5],
    total_fen=812_000,
    pooled_fen=503_600,
    self_funded_fen=21_400,
    policy=build_policy(108, first_effective="2023-06-01"),
    expected=Expected("paid", "approved", 258_300),
)
WRONG: Final = replace(RIGHT, discharge={**RIGHT.discharge, "cause": "illness"}, expected=Expected("declined"))
COMPLAINT: Final = "The ankle broke in a fall on the stairs. It was an accident, and the discharge says so now."
EXPECTED: Final = {
    "declines": 1,
    "declined_fen": 0,
    "attempts": 2,
    "overturned_fen": 258_300,
    "received_fen": 258_300,
}


def play(stage: Stage) -> None:
    """Corrected by the hospital, asked for by the customer, decided by the insurer: nobody does another's part."""
    stay = stage.admit(WRONG)
    result = stage.conclude(stay, WRONG)
    declines = int(result.decision == "declined")
    stage.note("declined within the waiting period", declines=declines, declined_fen=result.amount_fen or 0)
    hospital, claim_id = stage.runner.client(RIGHT.hospital), stay.claims[INSURER]
    (wrong,) = (item for item in stay.records if hospital.get(f"/v1/records/{item}")["record_type"] == "discharge")
    documents = [("discharge", RIGHT.discharge)]
    require_ok(hospital.publish(stay.wallet.consent_id, documents, replaces=wrong, wait_s=FINAL_S))
    stage.note("the hospital corrected its discharge")
    token, _, _ = make_reopening(stay.wallet, claim_id, 1, COMPLAINT)
    require_ok(hospital.post(f"/v1/claims/{claim_id}/words", {"kind": "reopen", "token": token}, wait=FINAL_S))
    stage.note("the customer asked to decide again")
    detail = stage.wait("decided again", lambda: _closed_again(stage, stay))
    attempts = int(hospital.get(f"/v1/claims/{claim_id}")["attempt"])
    stage.note("decided again on the corrected evidence", attempts=attempts, overturned_fen=int(detail["amount_fen"]))
    stage.note("the customer acknowledged the payment", received_fen=sum(stay.received.values()))


def _closed_again(stage: Stage, stay: Stay) -> dict[str, Any] | None:
    """The insurer's view once the payment of the second attempt was acknowledged and the claim closed."""
    stay.acknowledge()
    detail = stage.detail(stay, INSURER)
    return detail if stay.received and detail["ledger_status"] == "CLOSED" else None


SCENARIO: Final = Scenario("complaint", "a complaint that overturns a decline", EXPECTED, play)
