"""The standard-library client against a server of the standard library: answers, problems, silence."""

import http.server
import json
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from cli.client import NodeClient
from cli.errors import CliError, NetworkFailure


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers what the test put down, and remembers what was asked."""

    answers: list[tuple[int, bytes]]
    asked: list[tuple[str, str, dict[str, str], bytes]]

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.asked.append((self.command, self.path, dict(self.headers), body))
        status, data = self.answers.pop(0)
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    do_GET = do_POST = _serve  # noqa: N815 - the names that the server calls

    def log_message(self, format: str, *args: Any) -> None:
        return


@pytest.fixture
def server() -> Iterator[tuple[type[Handler], str]]:
    class Fresh(Handler):
        pass

    Fresh.answers, Fresh.asked = [], []
    listener = http.server.HTTPServer(("127.0.0.1", 0), Fresh)
    thread = threading.Thread(target=listener.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield Fresh, f"http://127.0.0.1:{listener.server_address[1]}"
    listener.shutdown()
    listener.server_close()


def problem(code: str, status: int) -> tuple[int, bytes]:
    return status, json.dumps({"code": code, "detail": "why", "status": status}).encode()


def test_the_token_travels_in_the_header_alone(server: tuple[type[Handler], str]) -> None:
    handler, url = server
    handler.answers.append((200, b'{"height": 3}'))
    assert NodeClient(url + "/", "cn_token").status() == {"height": 3}
    ((method, path, headers, body),) = handler.asked
    assert (method, path, body) == ("GET", "/v1/status", b"")
    assert headers["Authorization"] == "Bearer cn_token"


def test_bytes_are_sent_as_they_are(server: tuple[type[Handler], str]) -> None:
    handler, url = server
    handler.answers.append((202, b'{"tx_id": "a"}'))
    NodeClient(url).submit(b'{"v":1}', wait_s=5)
    assert handler.asked[0][1] == "/v1/transactions?wait=5"
    assert handler.asked[0][3] == b'{"v":1}'


@pytest.mark.parametrize(
    ("status", "code", "exit_code"), [(404, "not_found", 2), (422, "x", 2), (503, "overloaded", 3)]
)
def test_a_problem_keeps_the_nodes_own_code(
    server: tuple[type[Handler], str], status: int, code: str, exit_code: int
) -> None:
    handler, url = server
    handler.answers.append(problem(code, status))
    with pytest.raises(CliError) as caught:
        NodeClient(url).status()
    assert caught.value.code == code
    assert caught.value.exit_code == exit_code
    assert caught.value.detail == f"{url}/v1/status: why"


def test_an_answer_that_is_none(server: tuple[type[Handler], str]) -> None:
    handler, url = server
    handler.answers += [(500, b"<html>"), (200, b"<html>")]
    with pytest.raises(NetworkFailure, match="HTTP status 500"):
        NodeClient(url).status()
    with pytest.raises(NetworkFailure, match="no JSON"):
        NodeClient(url).status()


def test_what_is_not_there_is_found_to_be_none(server: tuple[type[Handler], str]) -> None:
    handler, url = server
    handler.answers += [problem("not_found", 404), problem("forbidden", 403)]
    assert NodeClient(url).find("/v1/claims/x") is None
    with pytest.raises(CliError, match="forbidden"):
        NodeClient(url).find("/v1/claims/x")


def test_lists_are_read_to_their_end(server: tuple[type[Handler], str]) -> None:
    handler, url = server
    for items, after, more in (([{"n": 1}], 4, True), ([], 9, True), ([{"n": 2}], 10, False)):
        handler.answers.append((200, json.dumps({"items": items, "next": after, "more": more}).encode()))
    assert [item["n"] for item in NodeClient(url).pages("/v1/claims")] == [1, 2]
    assert [path for _, path, _, _ in handler.asked] == [
        "/v1/claims?limit=1000",
        "/v1/claims?after=4&limit=1000",
        "/v1/claims?after=9&limit=1000",
    ]


def test_nobody_there_is_a_failure_of_the_network() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"
        with pytest.raises(NetworkFailure, match="unreachable") as caught:
            NodeClient(url, "cn_secret").status()
    assert "cn_secret" not in str(caught.value)
    assert NodeClient(url).is_ready() is False


def test_silence_ends_with_the_timeout() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(NetworkFailure, match="unreachable"):
            NodeClient(url, timeout_s=0.05).status()


@pytest.mark.parametrize("url", ["ftp://node", "node:80", "http://", ""])
def test_addresses_that_are_none(url: str) -> None:
    with pytest.raises(CliError, match="no http or https address"):
        NodeClient(url)
