"""What a co-adjudicator endorses before a decision: an advance that it computes itself, from what the ledger holds."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from msgspec.structs import replace

from contracts.states import read_claim
from ledger.encoding import convert
from node.agents.holding import holding_fault
from node.agents.messages import HoldingMessage
from tests.support.agent_world import World, admission
from tests.unit.node.test_agents_advances import interim, policy_with

Bench = tuple[World, str, HoldingMessage]
Change = Callable[[HoldingMessage], HoldingMessage]


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """A true request for an advance, which the co-adjudicator has not seen yet."""
    world = World(tmp_path_factory.mktemp("holding"))

    async def story() -> Bench:
        certificate = await world.commit_policy(**policy_with(advance={"ratio_bp": 5000}, hospitals=["hospital"]))
        wallet = await world.grant(certificate)
        await world.publish(wallet, admission())
        world.down.add("tpa")
        await world.publish(wallet, interim(60_000))
        claim_id = world.claim_id(wallet)
        kept = world.houses["insurer"].ports.vault.need_secret(f"holding/{claim_id}")
        return world, claim_id, convert(kept, HoldingMessage)

    return asyncio.run(story())


def fault(bench: Bench, asked: HoldingMessage) -> str:
    world, claim_id, _ = bench
    judge = world.houses["tpa"].adjudicator
    claim = read_claim(world.network.state.read, claim_id)
    assert judge is not None
    assert claim is not None
    return asyncio.run(holding_fault(judge.ports, claim_id, claim, None, asked))


def opening(**changes: Any) -> Change:
    return lambda asked: replace(asked, opening=asked.opening | changes)


def part(**changes: Any) -> Change:
    return lambda asked: replace(asked, policies=(replace(asked.policies[0], **changes),))


def merged(name: str, **changes: Any) -> Change:
    return lambda asked: part(**{name: getattr(asked.policies[0], name) | changes})(asked)


CHANGES: list[tuple[str, Change]] = [
    ("ok", lambda asked: asked),
    ("HOLD_DIFFERS", opening(amount_fen=21_001)),
    ("HOLD_DIFFERS", opening(amount_fen=20_999)),
    ("HOLD_DIFFERS", opening(hold_id="ab" * 32)),
    ("HOLD_DIFFERS", opening(more=1)),
    ("CLAIM_MISMATCH", opening(claim_id="ab" * 32)),
    ("DOCUMENT_MISMATCH", opening(record_id="ab" * 32)),
    ("FORECAST", opening(forecast={})),
    ("HOLD_FORM", lambda asked: replace(asked, opening={})),
    ("HOLD_FORM", lambda asked: replace(asked, account_out=None)),
    ("HOLD_DIFFERS", lambda asked: replace(asked, account_out=(asked.account_out or {}) | {"reserved": []})),
    ("DOCUMENT_MISMATCH", lambda asked: replace(asked, document=asked.document | {"diagnoses": ["J20.900"]})),
    ("DOCUMENT_MISMATCH", lambda asked: replace(asked, secret="ab" * 32)),
    ("POLICY_SET", lambda asked: replace(asked, policies=())),
    ("HOSPITAL_NOT_DESIGNATED", lambda asked: replace(asked, policy_id="ab" * 16)),
    ("TERMS_MISMATCH", merged("terms", lanes={"advance": {"ratio_bp": 9000}})),
    ("PRODUCT_MISMATCH", merged("tables", review_threshold_fen=1)),
    ("PRODUCT_MISMATCH", part(contract_hash="ab" * 32)),
    ("ACCOUNT_VERSION", merged("account_in", version=7)),
    ("ACCOUNT_MISMATCH", merged("account_in", use={})),
    ("HOLD_SET", part(holds=({"hold_id": "ab" * 32},))),
    ("LANE_CLOSED", lambda asked: replace(asked, what="guarantee")),
    ("NOT_SIGNED_HERE", lambda asked: replace(asked, what="recovery")),
]


@pytest.mark.parametrize(("code", "change"), CHANGES)
def test_an_advance_is_computed_and_not_believed(bench: Bench, code: str, change: Change) -> None:
    assert fault(bench, change(bench[2])) == code
