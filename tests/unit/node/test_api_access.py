"""Every route has one row in the table of access, and every row is held: no token, wrong token, each scope."""

import asyncio
import os
import stat
from pathlib import Path
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute

from ledger.errors import KeyFileError
from node.api.access import ACCESS, PUBLIC, authorise, required_scope
from node.api.app import AccessTableError, Api, check_access_table
from node.api.problems import ApiError
from node.api.tokens import ALL_SCOPES, TOKEN_NAME, Tokens, create_token, load_tokens, read_token_file, revoke_token
from node.errors import ConfigError
from tests.support.api_node import MemoryNode, MemoryRoles, make_token
from tests.support.network_builder import Network, make_hex

ANSWER_S = 5.0
"""An open stream would answer for ever."""
SAMPLES = {
    "tx_id": make_hex("tx"),
    "claim_id": make_hex("claim"),
    "payout_id": make_hex("payout"),
    "consent_id": make_hex("consent"),
    "record_id": make_hex("record"),
    "backtest_id": make_hex("backtest"),
    "height": "1",
    "key:path": "participant/tpa",
    "level": "0",
    "number:path": "000.p/1",
    "number": "0",
}


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> tuple[Api, dict[str, str]]:
    folder = tmp_path_factory.mktemp("node")
    tokens = {scope: make_token(folder, scope, name=scope) for scope in ALL_SCOPES}
    api = Api(MemoryNode(Network()), MemoryRoles(), Tokens(folder / TOKEN_NAME))
    return api, tokens


def call(api: Api, method: str, template: str, headers: dict[str, str]) -> httpx2.Response:
    path = template
    for name, value in SAMPLES.items():
        path = path.replace("{" + name + "}", value)

    async def send() -> httpx2.Response:
        transport = httpx2.ASGITransport(app=api.app)
        async with httpx2.AsyncClient(transport=transport, base_url="http://node") as client, asyncio.timeout(ANSWER_S):
            return await client.request(method, path, headers=headers, content=b"" if method == "GET" else b"{}")

    return asyncio.run(send())


PRIVATE = [(method, template, scope) for (method, template), scope in ACCESS.items() if scope != PUBLIC]


@pytest.mark.parametrize(("method", "template", "scope"), PRIVATE)
@pytest.mark.parametrize(
    "header",
    [None, "Bearer", "Bearer ", "Bearer cn_guess", "Basic Zm9vOmJhcg==", "bearer cn_" + "A" * 43, "Bearer \u00e9"],
)
def test_no_answer_without_a_token(
    api: tuple[Api, dict[str, str]], method: str, template: str, scope: str, header: str | None
) -> None:
    response = call(api[0], method, template, {} if header is None else {"Authorization": header.encode("latin-1")})
    assert response.status_code == 401
    assert response.json()["code"] == "unauthenticated"
    assert response.headers["www-authenticate"].startswith("Bearer")


@pytest.mark.parametrize(("method", "template", "scope"), PRIVATE)
def test_each_scope_opens_its_own_routes_and_no_other(
    api: tuple[Api, dict[str, str]], method: str, template: str, scope: str
) -> None:
    for held, token in api[1].items():
        if held == scope and template == "/v1/events":
            continue  # it would answer for ever; test_api reads the stream
        response = call(api[0], method, template, {"Authorization": f"Bearer {token}"})
        if held == scope:
            assert response.status_code not in (401, 403), (held, response.text)
        else:
            assert response.status_code == 403
            assert response.json()["code"] == "forbidden"


def test_only_health_and_hashes_are_public() -> None:
    assert {template for (_, template), scope in ACCESS.items() if scope == PUBLIC} == {
        "/healthz",
        "/readyz",
        "/checkpoint",
        "/tile/{level}/{number:path}",
    }


def test_a_route_without_a_row_is_not_built() -> None:
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
    for method, template in ACCESS:
        app.add_api_route(template, lambda: None, methods=[method])
    check_access_table(app)
    app.add_api_route("/v1/secrets", lambda: None, methods=["GET"])
    with pytest.raises(AccessTableError, match="GET /v1/secrets"):
        check_access_table(app)


def test_a_row_without_a_route_is_not_built(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(ACCESS, ("GET", "/v1/nothing"), "read")
    with pytest.raises(AccessTableError, match="GET /v1/nothing"):
        Api(MemoryNode(Network()), MemoryRoles(), Tokens(tmp_path / TOKEN_NAME))


def test_a_route_without_a_row_would_answer_nobody() -> None:
    with pytest.raises(ApiError) as caught:
        required_scope("GET", "/v1/secrets")
    assert caught.value.code == "no_access_rule"


def test_every_route_says_what_it_does(api: tuple[Api, dict[str, str]]) -> None:
    assert all(route.description for route in api[0].fastapi.routes if isinstance(route, APIRoute))


def test_the_description_of_the_interface_names_every_route(api: tuple[Api, dict[str, str]]) -> None:
    document = call(api[0], "GET", "/openapi.json", {"Authorization": f"Bearer {api[1]['read']}"}).json()
    named = {(method.upper(), path) for path, methods in document["paths"].items() for method in methods}
    assert {(method, path.replace(":path", "")) for method, path in ACCESS} == {
        (method, path.replace(":path", "")) for method, path in named
    }


def test_a_token_is_kept_as_a_hash_and_given_in_a_private_file(tmp_path: Path) -> None:
    out = tmp_path / "staff.token"
    record = create_token(tmp_path, name="staff", scopes=["read", "read"], out=out)
    token = read_token_file(out)
    assert record.scopes == ("read",)
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    stored = (tmp_path / TOKEN_NAME).read_text()
    assert token not in stored
    assert Tokens(tmp_path / TOKEN_NAME).find(token) == record
    assert Tokens(tmp_path / TOKEN_NAME).find(token + "x") is None
    assert Tokens(tmp_path / TOKEN_NAME).find("") is None


def test_a_revoked_token_is_refused_by_the_running_node(tmp_path: Path) -> None:
    token = make_token(tmp_path, "read", name="one")
    make_token(tmp_path, "read", name="two")
    tokens = Tokens(tmp_path / TOKEN_NAME)
    assert tokens.find(token) is not None
    revoke_token(tmp_path, "one")
    os.utime(tmp_path / TOKEN_NAME, ns=(1, 1))
    assert tokens.find(token) is None
    assert [record.name for record in load_tokens(tmp_path / TOKEN_NAME)] == ["two"]


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"name": "staff", "scopes": ["read"]}, "has a token of this name"),
        ({"name": "other", "scopes": ["everything"]}, "scopes are submit"),
        ({"name": "other", "scopes": []}, "length >= 1"),
        ({"name": "../x", "scopes": ["read"]}, "regex"),
    ],
)
def test_tokens_that_are_not_made(tmp_path: Path, options: dict[str, Any], text: str) -> None:
    create_token(tmp_path, name="staff", scopes=["read"], out=tmp_path / "first")
    with pytest.raises(ConfigError, match=text):
        create_token(tmp_path, out=tmp_path / "second", **options)
    assert not (tmp_path / "second").exists()


def test_a_token_file_that_others_can_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "staff.token"
    create_token(tmp_path, name="staff", scopes=["read"], out=path)
    path.chmod(0o644)
    with pytest.raises(KeyFileError) as caught:
        read_token_file(path)
    assert caught.value.code == "permissions"


def test_a_damaged_token_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / TOKEN_NAME
    path.parent.mkdir()
    path.write_text('{"v":1,"tokens":[{"name":"x"}]}')
    with pytest.raises(ConfigError, match="no token file"):
        Tokens(path).find("cn_x")


def test_authorise_reads_the_table_and_not_the_path(tmp_path: Path) -> None:
    from starlette.requests import Request

    token = make_token(tmp_path, "metrics")
    headers = [(b"authorization", f"Bearer {token}".encode())]
    request = Request({"type": "http", "method": "GET", "path": "/metrics", "headers": headers})
    with pytest.raises(ApiError) as caught:
        authorise(Tokens(tmp_path / TOKEN_NAME), request, "/v1/claims")
    assert caught.value.status == 403
