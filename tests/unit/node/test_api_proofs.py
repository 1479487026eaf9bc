"""Small proofs over HTTP: who is told what, and in which form."""

import asyncio
import base64
from pathlib import Path
from typing import Any

import httpx2
import pytest

from node.api.app import Api
from node.api.tokens import TOKEN_NAME, Tokens
from node.audit.proofs import decode_proof, encode_proof, encode_readable
from tests.support.api_node import MemoryNode, MemoryRoles, make_token
from tests.support.invoice_story import UNUSED, USED, absence, inclusion, invoice_story, presence


def call(folder: Path, participant: str, method: str, path: str, json: Any = None) -> httpx2.Response:
    folder.mkdir(exist_ok=True)
    story, roles = invoice_story(), MemoryRoles()
    roles.invoices = {
        UNUSED: (None, encode_proof(absence(story))),
        USED: (story.record_id, encode_proof(presence(story))),
    }
    roles.inclusions = {story.record_id: encode_proof(inclusion(story))}
    api = Api(MemoryNode(story.network, participant), roles, Tokens(folder / TOKEN_NAME))
    headers = {"Authorization": f"Bearer {make_token(folder, name=participant)}"}

    async def send() -> httpx2.Response:
        transport = httpx2.ASGITransport(app=api.app)
        async with httpx2.AsyncClient(transport=transport, base_url="http://node", headers=headers) as client:
            return await client.request(method, path, json=json)

    return asyncio.run(send())


def ask(folder: Path, participant: str, identity: tuple[str, str, str]) -> Any:
    body = dict(zip(("type", "code", "number"), identity, strict=True))
    response = call(folder, participant, "POST", "/v1/proofs/invoices", body)
    assert response.status_code == 200, response.text
    return response.json()


def test_an_unused_invoice_comes_with_its_proof(tmp_path: Path) -> None:
    answer = ask(tmp_path, "insurer-two", UNUSED)
    assert answer["used"] is False
    assert decode_proof(base64.b64decode(answer["proof"])) == absence(invoice_story())


@pytest.mark.parametrize(
    ("participant", "sees"),
    [("hospital", True), ("commission", True), ("auditor", True), ("insurer", True), ("insurer-two", False)],
)
def test_where_an_invoice_was_used_is_for_the_parties(tmp_path: Path, participant: str, sees: bool) -> None:
    answer = ask(tmp_path, participant, USED)
    assert answer["used"] is True
    assert (answer["proof"] is not None) == sees
    assert invoice_story().record_id not in str(answer)


@pytest.mark.parametrize("body", [None, [], {}, {"type": "medical"}, {"type": 1, "code": "", "number": ""}])
def test_a_question_that_names_no_invoice(tmp_path: Path, body: Any) -> None:
    response = call(tmp_path, "insurer", "POST", "/v1/proofs/invoices", body)
    assert response.status_code == 400


def test_a_record_is_proved_in_both_forms(tmp_path: Path) -> None:
    proof, path = inclusion(invoice_story()), f"/v1/proofs/records/{invoice_story().record_id}"
    assert call(tmp_path / "a", "insurer", "GET", path).content == encode_readable(proof)
    binary = call(tmp_path / "b", "insurer", "GET", path + "?form=binary")
    assert binary.content == encode_proof(proof)
    assert binary.headers["content-type"] == "application/vnd.claimnode.proof"
    assert call(tmp_path / "c", "insurer", "GET", path + "?form=xml").status_code == 400
    assert call(tmp_path / "d", "insurer", "GET", "/v1/proofs/records/" + "ab" * 32).status_code == 404


def test_chosen_fields_reach_the_dossier(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, ...]] = []

    async def dossier(self: MemoryRoles, claim_id: str, disclose: tuple[str, ...] = ("all",)) -> bytes:
        asked.append(tuple(disclose))
        return b"{}"

    monkeypatch.setattr(MemoryRoles, "dossier", dossier)
    claim_id = "ab" * 32
    monkeypatch.setattr("node.api.claims._Views.visible", lambda self, name: name == claim_id or None)
    for number, query in enumerate(("", "?disclose=none", "?disclose=/invoice/total_fen&disclose=/discharge")):
        assert (
            call(tmp_path / str(number), "insurer", "GET", f"/v1/claims/{claim_id}/dossier{query}").status_code == 200
        )
    assert asked == [("all",), ("none",), ("/invoice/total_fen", "/discharge")]
