"""A customer's word about a claim over the node: kept encrypted, listed, answered, counted; and over HTTP."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from contracts.errors import Refusal, TokenError
from contracts.reports.feedback import COMPLAINT_MS, FEEDBACK_TYPE, Feedback, FeedbackToken
from contracts.tokens import encode_token
from node.errors import NodeError
from node.reports.office import Office
from tests.support.agent_world import World, admission
from tests.unit.node.test_api import Desk
from tests.unit.node.test_api import run as run


def say(world: World, wallet: Any, seed: str = "", **changes: Any) -> str:
    fields: dict[str, Any] = {
        "v": 1,
        "network": world.network.genesis.network,
        "consent_id": wallet.consent_id,
        "claim_id": world.claim_id(wallet),
        "kind": "complaint",
        "score": 2,
        "reasons": ("SLOW",),
        "nonce": "00" * 16,
    }
    return encode_token(FeedbackToken(**(fields | changes)), FEEDBACK_TYPE, bytes.fromhex(seed or wallet.seed))


def office_of(world: World, name: str = "insurer") -> Office:
    return Office(world.houses[name], 8_000, lambda: None)


def test_a_complaint_is_kept_listed_answered_and_counted(tmp_path: Path) -> None:
    world = World(tmp_path)

    async def story() -> None:
        wallet = await world.grant(await world.commit_policy())
        await world.publish(wallet, admission())
        claim_id = world.claim_id(wallet)
        word = office_of(world).receive_feedback(claim_id, say(world, wallet))
        assert office_of(world).receive_feedback(claim_id, say(world, wallet)) == word, "the same word once"
        office_of(world).receive_feedback(claim_id, say(world, wallet, kind="feedback", score=5, reasons=("QUICK",)))
        (row,) = office_of(world).feedback(0, 10, True)["items"]
        assert [(item["kind"], item["score"], item["is_late"]) for item in row["words"]] == [
            ("complaint", 2, False),
            ("feedback", 5, False),
        ]
        assert row["words"][0]["claim_status"] == "FILED"
        assert row["words"][0]["due_ms"] == word.received_ms + COMPLAINT_MS
        figures = office_of(world).satisfaction(4)
        assert (figures.words, figures.open_complaints, figures.complaint_claims.bp) == (2, 1, 2_500)
        office_of(world).answer_feedback(claim_id, word.feedback_id, "EXPLAINED", "ann-of-service")
        assert office_of(world).feedback(0, 10, True)["items"] == []
        assert len(office_of(world).feedback(0, 10, False)["items"]) == 1
        with pytest.raises(TokenError):
            office_of(world).receive_feedback(claim_id, say(world, wallet, seed="03" * 32))
        with pytest.raises(Refusal, match=r"^FEEDBACK_MISMATCH"):
            office_of(world).receive_feedback(claim_id, say(world, wallet, claim_id="00" * 32))
        with pytest.raises(NodeError, match=r"^not_found"):
            office_of(world).receive_feedback("00" * 32, say(world, wallet))
        for house in world.houses.values():
            house.ports.vault.close()

    asyncio.run(story())
    for path in tmp_path.rglob("*"):
        assert not path.is_file() or b"of-service" not in path.read_bytes()


class Words:
    """An office with one word, or a refusal."""

    def __init__(self, error: Exception | None = None) -> None:
        self.acts: list[tuple[Any, ...]] = []
        self._error = error

    def receive_feedback(self, *arguments: Any) -> Feedback:
        self.acts.append(arguments)
        if self._error is not None:
            raise self._error
        return Feedback("ef" * 32, "ab" * 32, "complaint", 1, (), 1_000)

    answer_feedback = receive_feedback

    def feedback(self, *arguments: Any) -> dict[str, Any]:
        self.acts.append(arguments)
        return {"items": [], "next": 0, "more": False}


def test_words_come_in_and_are_answered_over_http(run: Callable[..., None]) -> None:
    async def story(desk: Desk) -> None:
        claim_id = "ab" * 32
        desk.roles.office = office = Words()
        answer = await desk.post(f"/v1/claims/{claim_id}/feedback", {"token": "a.b.c"})
        assert (answer["kind"], answer["due_ms"]) == ("complaint", 1_000 + COMPLAINT_MS)
        body = {"feedback_id": "ef" * 32, "answer": "EXPLAINED"}
        assert (await desk.post(f"/v1/feedback/{claim_id}/answer", body, 200))["score"] == 1
        assert (await desk.get("/v1/feedback?open=true"))["answers"]["EXPLAINED"]["zh"]
        assert office.acts == [
            (claim_id, "a.b.c"),
            (claim_id, "ef" * 32, "EXPLAINED", "insurer"),
            (0, 100, True),
        ]
        for bad in ({"token": ""}, {"token": "a b"}, {"text": "hello"}):
            assert (await desk.post(f"/v1/claims/{claim_id}/feedback", bad, 400))["code"] == "schema"

    run(story)


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (Refusal("FEEDBACK_FULL", "full"), 409),
        (Refusal("FEEDBACK_UNKNOWN", "none"), 404),
        (Refusal("REASON_UNKNOWN", "one of"), 422),
        (TokenError("token", "none"), 422),
        (NodeError("not_found", "none"), 404),
    ],
)
def test_what_is_refused_has_its_code(run: Callable[..., None], error: Any, status: int) -> None:
    async def story(desk: Desk) -> None:
        desk.roles.office = Words(error)
        assert (await desk.post(f"/v1/claims/{'ab' * 32}/feedback", {"token": "a.b.c"}, status))["code"] == error.code
        body = {"feedback_id": "ef" * 32, "answer": "EXPLAINED"}
        assert (await desk.post(f"/v1/feedback/{'ab' * 32}/answer", body, status))["code"] == error.code

    run(story)
