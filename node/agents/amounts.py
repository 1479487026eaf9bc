"""Expected and actual amount of one payout: two figures, which whoever keeps the policy's balance brings together.

The expected amount is what the result leaves to be paid. Where the insurer keeps the balance, the actual one is what
its account holds reserved for this payout; another keeper's books are not here, so the actual amount is the expected
one and the closed claim says that it was taken over. Must always hold: no account pays more than it reserved.
"""

from typing import Any

from contracts.cases.checking import PolicyPackage
from contracts.cases.movements import read_balance, reservation_of
from contracts.cases.openings import balance_owner_of
from contracts.states import PayoutState
from node.agents.facts import SETTLED
from node.agents.ports import Ports


def expected_of(item: PolicyPackage) -> int:
    """What the result leaves to be paid, in minor units."""
    return int(item.result["result"]["net_fen"])


def actual_of(item: PolicyPackage, payout_id: str) -> int:
    """What is to be paid, in minor units. Raises CaseError."""
    if balance_owner_of(item.terms) != "insurer":
        return expected_of(item)
    held = reservation_of(read_balance(item.account_out), payout_id)
    return min(expected_of(item), held.expected_fen if held else 0)


def show_amounts(ports: Ports, item: PolicyPackage, payout_id: str, payout: PayoutState) -> dict[str, Any]:
    """{expected_fen, actual_fen, account, balance_owner, actual_by}.

    `actual_fen` is null until the bank booked it; `account` is `reserved`, `captured`, `restored`, or `nothing` where
    no money was reserved; `actual_by` is `account`, or `default` where another keeps the balance.
    """
    settlement = ports.vault.get_secret(f"settlement/{payout_id}/{payout.attempt}")
    owner, expected = balance_owner_of(item.terms), expected_of(item)
    state = "captured" if payout.status in SETTLED else "reserved"
    state = "restored" if payout.status == "RESTORED" else state
    return {
        "expected_fen": expected,
        "actual_fen": settlement["amount_fen"] if settlement and payout.status in SETTLED else None,
        "account": state if reservation_of(read_balance(item.account_out), payout_id) else "nothing",
        "balance_owner": owner,
        "actual_by": "account" if owner == "insurer" else "default",
    }
