"""Releases, proposals and votes over the interface; a vote against this node's own check takes a reason."""

import asyncio
from pathlib import Path
from typing import Any

import msgspec
from msgspec import structs

from contracts.bodies import ContractRelease, SeatTaken
from tests.support.contract_releases import OFFSET_MS, day, hash_of, make_release, pass_contract, propose_contract
from tests.support.governance import propose
from tests.support.network_builder import DAY_MS, Network
from tests.unit.node.test_api import Desk


def as_change(release: ContractRelease) -> dict[str, Any]:
    return structs.asdict(release) | {"change": "contract.release"}


def test_a_release_is_listed_and_shown_with_its_texts(tmp_path: Path) -> None:
    async def story() -> None:
        network = Network()
        one = pass_contract(network, make_release(network))
        two = pass_contract(network, make_release(network, 70, ahead=20, supersedes=one))
        desk = Desk(tmp_path, "tpa", network)
        listed = await desk.get("/v1/contracts")
        assert [item["product_hash"] for item in listed["items"]] == [one, two]
        assert (listed["notice_days"], listed["day_ms"]) == (7, day(network, 0))
        assert listed["utc_offset_minutes"] * 60_000 == OFFSET_MS
        first = listed["items"][0]
        assert (first["owner"], first["line"], first["in_force"]) == ("insurer", one, False)
        assert first["active_until_ms"] == listed["items"][1]["active_from_ms"]
        shown = await desk.get(f"/v1/contracts/{two}")
        assert shown["tables"] == {"product_code": "OP", "ratio": 70}
        assert set(shown["program"]) == {"files", "language"}
        assert shown["examples"] == [{"title": "one"}]
        await desk.get(f"/v1/contracts/{'ab' * 32}", status=404)

    asyncio.run(story())


def test_proposals_are_made_shown_and_taken_back(tmp_path: Path) -> None:
    async def story() -> None:
        desk = Desk(tmp_path, "insurer")
        release = make_release(desk.net)
        body = {"changes": [as_change(release)], "expires_ms": desk.net.now_ms + DAY_MS}
        made = await desk.post("/v1/proposals", body, status=200, params={"wait": 1})
        proposal_id = made["receipt"]["results"][0]["subject"]
        desk.roles.reports[proposal_id] = {"ok": True, "code": "ok", "detail": "1 of 1 examples hold"}
        (item,) = (await desk.get("/v1/proposals"))["items"]
        assert (item["proposal_id"], item["status"], item["report"]["ok"]) == (proposal_id, "open", True)
        assert "program" not in item["changes"][0]
        shown = await desk.get(f"/v1/proposals/{proposal_id}")
        assert shown["tables"] == msgspec.json.decode(release.tables)
        await desk.get(f"/v1/proposals/{'ab' * 32}", status=404)
        taken = await desk.post(f"/v1/proposals/{proposal_id}/withdrawal", {}, status=200, params={"wait": 1})
        assert taken["receipt"]["code"] == "ok"
        assert (await desk.get("/v1/proposals"))["items"] == []
        assert (await desk.get(f"/v1/proposals/{proposal_id}"))["status"] == "over"
        assert hash_of(release)

    asyncio.run(story())


def test_a_vote_needs_a_check_that_speaks_for_it_or_a_reason(tmp_path: Path) -> None:
    async def story() -> None:
        network = Network()
        proposal = propose_contract(network, make_release(network)).results[0].subject or ""
        desk = Desk(tmp_path, "tpa", network)
        path = f"/v1/proposals/{proposal}/vote"
        assert (await desk.post(path, {}, status=409))["code"] == "check_pending"
        desk.roles.reports[proposal] = {"ok": False, "code": "unfit", "detail": "0 of 1 examples hold"}
        assert (await desk.post(path, {}, status=409))["code"] == "check_failed"
        await desk.post(path, {"despite_faults": ""}, status=400)
        reason = {"despite_faults": "agreed by telephone"}
        voted = await desk.post(path, reason, status=200, params={"wait": 1})
        assert voted["receipt"]["code"] == "ok"
        assert desk.roles.reasons == {proposal: "agreed by telephone"}
        assert (await desk.get(f"/v1/proposals/{proposal}"))["voters"] == ["tpa"]
        seats = propose(network, SeatTaken("hospital")).results[0].subject
        voted = await desk.post(f"/v1/proposals/{seats}/vote", {}, status=200, params={"wait": 1})
        assert voted["receipt"]["code"] == "ok", "a seat has no program to be checked"
        await desk.post(f"/v1/proposals/{'ab' * 32}/vote", {}, status=404)

    asyncio.run(story())
