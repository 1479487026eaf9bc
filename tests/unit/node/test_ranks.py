"""Two insurers and one stay, through the agents: what both pay together, who decides when, and what a late one gets."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from contracts.cases.pools import read_losses
from contracts.genesis import Parameters
from contracts.identifiers import derive_payout_id, derive_pool_id
from contracts.receipts import receipts_root
from contracts.states import read_pool
from node.agents.messages import PoolMessage
from node.wallet import ConsentWallet
from tests.support.agent_world import World, admission, charges, discharge, invoice, standard_policy, standard_product

DAY_MS = 86_400_000
INSURERS = ("insurer", "insurer-two")
LOSS = 205_000 - 205_000 // 3
FIRST = 105_334
"""What the standard policy pays of it: 80 % of what is within the catalogue."""


class HeldBack(World):
    """Keeps verdicts back until both insurers have sent one, then puts them into one block, the given one first."""

    leader: str | None = None

    def make_block(self) -> int:
        verdicts = {name: tx for name, tx in self.pending.items() if tx.content.kind == "claim.adjudicate"}
        if self.leader is None or not verdicts:
            return super().make_block()
        rest = {name: tx for name, tx in self.pending.items() if name not in verdicts}
        if len(verdicts) == 2:
            ahead = sorted(verdicts.items(), key=lambda item: item[1].content.author != self.leader)
            self.pending, self.leader = {**dict(ahead), **rest}, None
            return super().make_block()
        self.pending = rest
        made = super().make_block()
        self.pending |= verdicts
        return made


def covering(insurer: str, *, levels: list[str] | None = None, ratio_bp: int = 10_000) -> dict[str, Any]:
    """In-patient expenses without limits of the catalogue, at hospitals of these levels."""
    product = standard_product(benefit_order=["IP"])
    plan = product["plans"]["STD"]
    plan["benefits"] = {"IP": plan["benefits"]["IP"] | {"scope": "all", "ratios": [{"ratio_bp": ratio_bp}]}}
    if levels is not None:
        plan["covered_hospital_levels"] = levels
    return standard_policy(insurer) | {"product": product}


async def open_case(world: World, *policies: dict[str, Any]) -> ConsentWallet:
    """A consent for one policy of each insurer, in this order of ranks, and the patient's admission."""
    chosen = policies or tuple(standard_policy(name) for name in INSURERS)
    certificates = [await world.commit_policy(item["terms"]["insurer"], **item) for item in chosen]
    wallet = await world.grant(*certificates)
    await world.publish(wallet, admission())
    return wallet


def expense(world: World, wallet: ConsentWallet, insurer: str) -> int:
    return int(world.detail(wallet, insurer)["results"][0]["benefits"][0]["payable_fen"])


def pool_of(world: World, wallet: ConsentWallet) -> dict[str, Any]:
    """The opening of the pool's current version, as the hospital keeps it."""
    from contracts.commitments import commit
    from node.agents.mail import read_parcels

    state = read_pool(world.network.state.read, derive_pool_id(wallet.case_id))
    assert state is not None
    for _, message in read_parcels(world.houses["hospital"].ports, "pool", wallet.case_id, PoolMessage):
        if commit("pool-version", message.pool) == state.commit:
            assert message.pool["version"] == state.version
            return message.pool
    raise AssertionError("the hospital keeps no copy of the pool")


def paid_on(world: World, wallet: ConsentWallet) -> list[dict[str, int]]:
    """By invoice, what each insurer paid on it according to the pool."""
    owners: dict[str, str] = {}
    for name in INSURERS:
        claim_id, claim = world.claim_id(wallet, name), world.claim(wallet, name)
        owners |= {derive_payout_id(claim_id, item.policy_id, claim.attempt): name for item in claim.policies}
    losses = read_losses(pool_of(world, wallet))
    assert all(sum(item.paid_fen.values()) <= max(0, item.loss_fen) for item in losses)
    return [{owners[name]: fen for name, fen in sorted(item.paid_fen.items())} for item in losses]


@pytest.mark.parametrize("forgetful", [False, True], ids=["running", "restarted before every round"])
def test_two_insurers_never_pay_more_than_one_invoice_lost(tmp_path: Path, forgetful: bool) -> None:
    world = World(tmp_path)

    async def story() -> None:
        wallet = await open_case(world)
        world.forgetful = forgetful
        await world.publish(wallet, discharge(), invoice(), charges())
        await world.acknowledge(wallet)
        assert [expense(world, wallet, name) for name in INSURERS] == [FIRST, LOSS - FIRST]
        assert paid_on(world, wallet) == [{"insurer": FIRST, "insurer-two": LOSS - FIRST}]
        assert pool_of(world, wallet)["left_fen"] == 0
        assert {world.claim(wallet, name).status for name in INSURERS} == {"CLOSED"}

    asyncio.run(story())


def test_the_second_insurer_counts_with_its_own_invoices_alone(tmp_path: Path) -> None:
    """Two bills of one stay, from hospitals of two levels: the first insurer covers both, the second one of them."""
    world = World(tmp_path)

    async def story() -> None:
        wallet = await open_case(
            world, covering("insurer", levels=["3"], ratio_bp=9_000), covering("insurer-two", levels=["1", "3"])
        )
        bills = [invoice(1), invoice(2, institution_level="1")]
        await world.publish(wallet, discharge(invoice_count=2), *bills, charges())
        await world.acknowledge(wallet)
        first = (LOSS * 9_000 + 5_000) // 10_000
        assert [expense(world, wallet, name) for name in INSURERS] == [first, 2 * LOSS - first]
        shares = sorted(paid_on(world, wallet), key=len)
        assert shares == [{"insurer-two": LOSS}, {"insurer": first, "insurer-two": LOSS - first}]

    asyncio.run(story())


def test_the_silent_first_insurer_loses_its_rank_and_the_second_pays_first(tmp_path: Path) -> None:
    world = World(tmp_path, Parameters(decide_ms=DAY_MS))

    async def story() -> None:
        wallet = await open_case(world)
        world.down.add("insurer")
        await world.publish(wallet, discharge(), invoice(), charges())
        assert world.detail(wallet, "insurer-two")["waiting_for"] == "RANK_NOT_REACHED"
        await world.wait(DAY_MS - 60_000)
        assert world.claim(wallet, "insurer-two").status == "EVIDENCE_COMPLETE"
        await world.wait(2 * 60_000)
        assert world.claim(wallet, "insurer-two").status == "DECIDED"
        assert expense(world, wallet, "insurer-two") == FIRST, "the whole loss was there"
        world.down.clear()
        await world.wait(60_000)
        assert world.claim(wallet).status == "DECIDED"
        assert expense(world, wallet, "insurer") == LOSS - FIRST, "who is late pays what is left"
        assert paid_on(world, wallet) == [{"insurer-two": FIRST, "insurer": LOSS - FIRST}]

    asyncio.run(story())


@pytest.mark.parametrize("leader", INSURERS)
def test_both_verdicts_in_one_block_take_the_pool_once(tmp_path: Path, leader: str) -> None:
    """After the first insurer's clock both may decide, each on the same version of the pool. The block's order says who
    was first; the other's refusal stands in the block's receipts, and its next verdict counts with what is left."""
    world = HeldBack(tmp_path, Parameters(decide_ms=DAY_MS))

    async def story() -> None:
        wallet = await open_case(world)
        world.down.update(INSURERS)
        await world.publish(wallet, discharge(), invoice(), charges())
        world.network.wait(DAY_MS + 60_000)
        world.clock_ms += DAY_MS + 60_000
        world.leader = leader
        world.down.clear()
        await world.settle()
        await world.wait(60_000)
        refused = [
            (block, receipt)
            for block in world.network.blocks
            for receipt, tx in zip(block.receipts, block.transactions, strict=True)
            if tx.content.kind == "claim.adjudicate" and receipt.code != "ok"
        ]
        assert world.leader is None, "both were sent before the first was final"
        (block, receipt) = refused[0]
        other = next(name for name in INSURERS if name != leader)
        assert (receipt.code, receipt.results[0].subject) == ("POOL_VERSION", derive_pool_id(wallet.case_id))
        assert receipts_root(block.receipts).hex() == block.block.header.receipts_root, "the refusal is certified"
        paid = {leader: FIRST, other: LOSS - FIRST}
        assert {name: expense(world, wallet, name) for name in INSURERS} == paid
        assert paid_on(world, wallet) == [paid]
        assert len(refused) == 1

    asyncio.run(story())


@pytest.mark.parametrize("forgetful", [False, True], ids=["running", "restarted before every round"])
def test_a_reversal_takes_both_outcomes_out_of_the_pool(tmp_path: Path, forgetful: bool) -> None:
    """The red invoice comes in a case of its own; each insurer takes its own outcome out, on the other's version."""
    world = World(tmp_path)

    async def story() -> None:
        wallet = await open_case(world)
        await world.publish(wallet, discharge(), invoice(), charges())
        await world.acknowledge(wallet)
        assert pool_of(world, wallet)["left_fen"] == 0
        terms = standard_policy("insurer")["terms"] | {"policy_no": "P-other"}
        later = await world.grant(await world.commit_policy(terms=terms))
        world.forgetful = forgetful
        await world.publish(later, admission())
        await world.publish(later, reversal())
        await world.wait(60_000)
        for name in INSURERS:
            assert world.detail(wallet, name)["payouts"][0]["account"] == "restored"
        pool = pool_of(world, wallet)
        assert (pool["version"], pool["left_fen"]) == (4, LOSS)
        assert paid_on(world, wallet) == [{}]

    asyncio.run(story())


def reversal() -> tuple[str, dict[str, Any]]:
    """The red invoice of the standard one."""
    _, bill = invoice()
    red = {name: -value if name.endswith("_fen") else value for name, value in bill.items()}
    red["items"] = [item | {"amount_fen": -item["amount_fen"]} for item in bill["items"]]
    reverses = {"code": bill["code"], "number": bill["number"]}
    return "invoice", red | {"kind": "red", "number": "0000000002", "reverses": reverses}
