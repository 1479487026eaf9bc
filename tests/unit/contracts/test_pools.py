"""The loss pool on the ledger between ranks: one version for one verdict, restorations, and reopening in rank order."""

from typing import Any

import pytest

from contracts.bodies import AccountAmend, ClaimClose
from contracts.claimbodies import ClaimReopen
from contracts.errors import Refusal
from contracts.genesis import Parameters
from contracts.identifiers import derive_pool_id
from contracts.pools import require_reopening_turn
from contracts.receipts import receipts_root
from contracts.states import CaseState, ClaimState, PoolState, read_account, read_claim, read_pool
from tests.support.network_builder import Customer, Network, make_hex

HOUR_MS = 3_600_000
NAMES = ("insurer", "insurer-two")


class Case:
    """One case with a claim at each of these insurers, all accepted and complete."""

    def __init__(self, names: tuple[str, ...] = NAMES) -> None:
        self.network = Network()
        self.policies = {name: self.network.commit_policy(name) for name in names}
        self.customer: Customer = self.network.grant(*(item.policy_id for item in self.policies.values()))
        self.network.complete(self.customer, self.network.publish(self.customer, "admission", "discharge", "invoice"))
        self.claims = {name: self.network.claim_id(self.customer, name) for name in names}
        for name, claim_id in self.claims.items():
            self.network.accept(claim_id, name)

    @property
    def pool(self) -> PoolState:
        found = read_pool(self.network.state.read, derive_pool_id(self.customer.case_id))
        assert found is not None
        return found

    def decide_all(self) -> None:
        for name, claim_id in self.claims.items():
            self.network.adjudicate(claim_id, name)
            self.network.pay(self.network.payout_id(claim_id, self.policies[name].policy_id), name)
            assert self.network.do("claim.close", ClaimClose(claim_id), name).code == "ok"

    def take_back(self, name: str) -> str:
        policy, claim_id = self.policies[name], self.claims[name]
        account = read_account(self.network.state.read, policy.account_id)
        assert account is not None
        payout_id = self.network.payout_id(claim_id, policy.policy_id)
        body = AccountAmend(
            policy.account_id, account.version, make_hex("a"), payout_id, None, self.pool.version, make_hex("p")
        )
        return self.network.do("account.amend", body, name, ["tpa"]).code

    def reopen(self, name: str) -> str:
        return self.network.do("claim.reopen", ClaimReopen(self.claims[name], make_hex("why"), None), name).code


@pytest.mark.parametrize("leader", NAMES)
def test_two_verdicts_in_one_block_and_the_better_rank_wins(leader: str) -> None:
    """Both on version 0: within the first one's clock it wins in either order, and the refusal is in the receipts."""
    case = Case()
    order = sorted(NAMES, key=lambda name: name != leader)
    bodies = {name: case.network.make_adjudication(case.claims[name], (name, "tpa")) for name in order}
    block = case.network.run(*(case.network.sign("claim.adjudicate", bodies[name], name) for name in order))
    codes = dict(zip((tx.content.author for tx in block.transactions), block.receipts, strict=True))
    refused = codes["insurer-two"]
    assert codes["insurer"].code == "ok"
    # behind the first verdict it meets the next version, before it the first one's turn
    assert refused.code == ("POOL_VERSION" if leader == "insurer" else "RANK_NOT_REACHED")
    assert receipts_root(block.receipts).hex() == block.block.header.receipts_root
    assert case.pool.version == 1
    case.network.adjudicate(case.claims["insurer-two"], "insurer-two")
    assert case.pool.version == 2


def test_a_restoration_is_a_version_that_a_waiting_verdict_does_not_pass_over() -> None:
    case = Case()
    case.network.adjudicate(case.claims["insurer"])
    case.network.pay(case.network.payout_id(case.claims["insurer"], case.policies["insurer"].policy_id))
    assert case.network.do("claim.close", ClaimClose(case.claims["insurer"]), "insurer").code == "ok"
    early = case.network.make_adjudication(case.claims["insurer-two"], ("insurer-two", "tpa"))
    assert case.take_back("insurer") == "ok"
    assert (case.pool.version, case.pool.commit, case.pool.restored_rank) == (2, make_hex("p"), 1)
    assert case.pool.restored_ms == case.network.state.time_ms
    assert case.network.do("claim.adjudicate", early, "insurer-two").code == "POOL_VERSION"
    case.network.adjudicate(case.claims["insurer-two"], "insurer-two")


def test_who_stands_behind_a_restored_rank_reopens_and_decides_in_rank_order() -> None:
    case = Case()
    case.decide_all()
    assert case.take_back("insurer") == "ok"
    assert case.reopen("insurer-two") == "ok"
    second = read_claim(case.network.state.read, case.claims["insurer-two"])
    assert second is not None
    assert (second.status, second.attempt) == ("EVIDENCE_COMPLETE", 2)
    assert case.reopen("insurer") == "ok", "the restored rank itself waits for nobody"
    case.network.accept(case.claims["insurer-two"], "insurer-two")
    again = case.network.make_adjudication(case.claims["insurer-two"], ("insurer-two", "tpa"))
    assert case.network.do("claim.adjudicate", again, "insurer-two").code == "RANK_NOT_REACHED"
    case.network.accept(case.claims["insurer"])
    case.network.adjudicate(case.claims["insurer"])
    case.network.adjudicate(case.claims["insurer-two"], "insurer-two")
    assert case.pool.version == 5


class View:
    """Four ranks of one case; the first one's outcome was taken out at 1,000, and acceptances take 100."""

    def __init__(self, time_ms: int, restored: PoolState, *claims: ClaimState) -> None:
        self.time_ms = time_ms
        self.block = type("Block", (), {"parameters": Parameters(accept_ms=100)})
        names = tuple("abcd")
        self.values: dict[str, Any] = dict(zip(names, claims, strict=True))
        self.values["case"] = CaseState("consent", "COMPLETE", names, 0, 500, (), None)
        self.values[derive_pool_id("case")] = restored

    def require(self, kind: type, identifier: str, code: str) -> Any:
        return self.values[identifier]

    def get(self, kind: type, identifier: str) -> Any:
        return self.values[identifier]


def claim(rank: int, status: str, decided_ms: int | None) -> ClaimState:
    return ClaimState("case", "consent", "i", rank, status, (), 1, 0, None, None, decided_ms, None, None, ())


def blocker(time_ms: int, second: ClaimState, third: ClaimState, **pool: int) -> str | None:
    """Which claim the fourth rank waits for before it may reopen."""
    view = View(time_ms, PoolState("case", 5, "c", **pool), claim(1, "CLOSED", 600), second, third, MINE)
    try:
        require_reopening_turn(view, MINE)  # type: ignore[arg-type]
    except Refusal as refusal:
        return refusal.subject
    return None


MINE = claim(4, "CLOSED", 900)
RESTORED = {"restored_rank": 1, "restored_ms": 1_000}


def test_each_rank_between_has_its_time_to_reopen_first() -> None:
    second, third = claim(2, "CLOSED", 700), claim(3, "DECIDED", 800)
    assert blocker(1_001, second, third) is None, "nothing was restored"
    assert blocker(1_100, second, third, **RESTORED) == "b"
    assert blocker(1_101, second, third, **RESTORED) == "c"
    assert blocker(1_201, second, third, **RESTORED) is None
    reopened = claim(2, "EVIDENCE_COMPLETE", None)
    assert blocker(1_050, reopened, third, **RESTORED) == "c", "the second reopened: the third is next"
    assert blocker(1_050, claim(2, "DECIDED", 1_040), claim(3, "WITHDRAWN", 800), **RESTORED) is None
    assert blocker(1_050, second, third, restored_rank=3, restored_ms=1_000) is None, "they stand before the restored"
