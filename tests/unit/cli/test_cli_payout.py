"""`claimnode payout` against the real interface over a real desk: export, settle, retry; no socket in between."""

import asyncio
import json
import stat
from pathlib import Path
from typing import Any

import httpx2
import msgspec
import pytest
from click.testing import CliRunner, Result

from cli.client import _problem
from cli.main import claimnode
from node.api.app import Api
from node.api.tokens import TOKEN_NAME, Tokens
from tests.support.api_node import MemoryNode, MemoryRoles, make_token
from tests.support.bank_messages import Said, notification, report
from tests.support.bank_story import AMOUNT, BankStory


class Client:
    """The command line's client with an application in place of an address."""

    def __init__(self, story: BankStory, folder: Path) -> None:
        for name in (TOKEN_NAME, "cashier.token"):
            (folder / name).unlink(missing_ok=True)
        self._token = make_token(folder, "pay", "read", name="cashier")
        roles = MemoryRoles()
        roles.desk = story.desk
        self._api = Api(MemoryNode(story.world.network), roles, Tokens(folder / TOKEN_NAME))

    def get(self, path: str, **query: Any) -> Any:
        return self._send("GET", path, b"", query)

    def post(self, path: str, body: Any, **query: Any) -> Any:
        return self._send("POST", path, body if isinstance(body, bytes) else msgspec.json.encode(body), query)

    def _send(self, method: str, path: str, body: bytes, query: dict[str, Any]) -> Any:
        async def send() -> httpx2.Response:
            transport = httpx2.ASGITransport(app=self._api.app)
            async with httpx2.AsyncClient(transport=transport, base_url="http://node") as client:
                asked = {name: value for name, value in query.items() if value}
                headers = {"Authorization": f"Bearer {self._token}"}
                return await client.request(method, path, params=asked, headers=headers, content=body)

        response = asyncio.run(send())
        if response.status_code >= 400:
            raise _problem(response.status_code, response.content, path)
        return response.json()


@pytest.fixture
def story(tmp_path: Path) -> BankStory:
    found = BankStory(tmp_path / "node")
    asyncio.run(found.begin())
    return found


def run(monkeypatch: pytest.MonkeyPatch, story: BankStory, *arguments: str) -> Result:
    client = Client(story, story.folder)
    monkeypatch.setattr("cli.node_options.open_client", lambda *_: client)
    return CliRunner().invoke(claimnode, ["payout", *arguments, "--node", "net/insurer"])


def test_a_file_for_the_bank_and_its_answers(story: BankStory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "monday.xml"
    made = run(monkeypatch, story, "export", "--out", str(out), "--json")
    assert made.exit_code == 0, made.output
    shown = json.loads(made.stdout)
    assert (shown["orders"], shown["total_fen"], shown["currency"]) == (1, 135_334, "CNY")
    assert "file" not in shown, "names and accounts go into the file and nowhere else"
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    assert run(monkeypatch, story, "export", "--out", str(out)).exit_code != 0, "nothing is written over"
    nothing = run(monkeypatch, story, "export")
    assert nothing.exit_code != 0
    assert "no order waits" in nothing.output
    again = run(monkeypatch, story, "export", "--again", shown["message_id"], "--out", str(tmp_path / "again.xml"))
    assert again.exit_code == 0, again.output
    assert (tmp_path / "again.xml").read_bytes() == out.read_bytes()

    text = out.read_text()
    end_to_end = text.split("<EndToEndId>")[1].split("<")[0]
    silent = run(monkeypatch, story, "settle", "--json")
    assert [item["standing"] for item in json.loads(silent.stdout)["open"]] == ["unknown"]
    answer = tmp_path / "report.xml"
    answer.write_bytes(report(shown["message_id"], Said(end_to_end, f"{end_to_end}-01", status="RJCT")))
    settled = run(monkeypatch, story, "settle", str(answer))
    assert settled.exit_code == 0, settled.output
    assert "rejected" in settled.output
    assert "AC04" in settled.output
    assert "Zhang" not in settled.output
    asyncio.run(story.world.settle())
    assert story.payout.status == "FAILED"

    asked = run(monkeypatch, story, "retry", story.payout_id)
    assert "attempt 2 asked for by cashier" in asked.output
    asyncio.run(story.world.settle())
    assert (story.payout.status, story.payout.attempt) == ("ORDERED", 2)
    assert run(monkeypatch, story, "export").exit_code == 0
    answer.write_bytes(notification(Said(end_to_end, f"{end_to_end}-02", amount=AMOUNT)))
    booked = json.loads(run(monkeypatch, story, "settle", str(answer), "--json").stdout)
    assert [item["standing"] for item in booked["files"][0]["payouts"]] == ["settled"]
    asyncio.run(story.world.settle())
    assert story.payout.status == "SETTLED_CLAIMED"


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"<a/>", "message_unknown"),
        (b"<!DOCTYPE a><a/>", "xml_doctype"),
        (b"no xml", "xml_form"),
    ],
)
def test_a_file_that_is_none_is_refused_with_its_code(
    story: BankStory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data: bytes, code: str
) -> None:
    path = tmp_path / "answer.xml"
    path.write_bytes(data)
    result = run(monkeypatch, story, "settle", str(path))
    assert result.exit_code != 0
    assert code in result.output
    assert "Traceback" not in result.output


def test_a_payout_that_did_not_fail_is_not_ordered_again(story: BankStory, monkeypatch: pytest.MonkeyPatch) -> None:
    result = run(monkeypatch, story, "retry", story.payout_id)
    assert result.exit_code != 0
    assert "not_failed" in result.output
