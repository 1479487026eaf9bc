"""A small client of a node's HTTP interface, with nothing but the standard library under it.

Knows paths and problem answers. Must not know what the answers mean. Always true: every call ends within its
timeout, the token goes into a header and nowhere else, and what fails is a CliError with the node's own code or
`unreachable`.
"""

import http.client
import json
import ssl
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, urlencode, urlsplit

import msgspec

from cli.errors import CliError, NetworkFailure

DEFAULT_TIMEOUT_S: Final = 40.0
"""Above the 30 seconds that a node waits for a transaction on request."""
MAX_ANSWER: Final = 256 * 2**20
"""Bytes of one answer; a dossier with scanned documents is the largest."""


class NodeClient:
    """One node, seen with one token. A call opens its own connection, so threads may share a client."""

    def __init__(
        self,
        url: str,
        token: str | None = None,
        *,
        folder: Path | None = None,
        timeout_s: float = DEFAULT_TIMEOUT_S,
    ) -> None:
        """`folder`: where the node lives, if it is one of this machine."""
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise CliError("url", f"{url!r} is no http or https address of a node")
        self.url = url.rstrip("/")
        self.folder = folder
        self._host, self._port = parts.hostname, parts.port
        self._secure = parts.scheme == "https"
        self._prefix = parts.path.rstrip("/")
        self._token = token
        self._timeout_s = timeout_s

    # --- the ledger's ways in

    def submit(self, transaction: bytes, *, wait_s: int = 0) -> Any:
        """A signed transaction by its exact bytes."""
        return self.post("/v1/transactions", transaction, wait=wait_s)

    def grant(self, tokens: Sequence[str], *, attestations: Sequence[Any] = (), wait_s: int = 0) -> Any:
        """Relay consent tokens."""
        body = {"tokens": list(tokens), "attestations": list(attestations)}
        return self.post("/v1/consents", body, wait=wait_s)

    def revoke(self, consent_id: str, *, token: str | None = None, slip: str | None = None, wait_s: int = 0) -> Any:
        """Relay a revocation."""
        body = {"token": token} if token is not None else {"slip": slip}
        return self.post(f"/v1/consents/{consent_id}/revocation", body, wait=wait_s)

    def delegate(self, consent_id: str, passed: Mapping[str, Any], *, wait_s: int = 0) -> Any:
        """Pass on, in the node's own name, what `passed` says: to, purposes, data_classes, until_ms."""
        return self.post(f"/v1/consents/{consent_id}/delegation", dict(passed), wait=wait_s)

    def ratify(self, consent_id: str, token: str, attestations: Sequence[Any], *, wait_s: int = 0) -> Any:
        """Relay a ratification."""
        body = {"token": token, "attestations": list(attestations)}
        return self.post(f"/v1/consents/{consent_id}/ratification", body, wait=wait_s)

    def rekey(
        self, consent_id: str, step: str, token: str | None, attestations: Sequence[Any], *, wait_s: int = 0
    ) -> Any:
        """Relay a step towards another key: `ask`, `veto` or `apply`."""
        body = {"step": step, "token": token, "attestations": list(attestations)}
        return self.post(f"/v1/consents/{consent_id}/key", body, wait=wait_s)

    def relay_payee(self, token: str, envelope: bytes) -> Any:
        """Hand over a payee's account, sealed to the insurers that the token names."""
        return self.post("/v1/payees", {"token": token, "envelope": envelope.hex()})

    def acknowledge(self, token: str, *, wait_s: int = 0) -> Any:
        """Relay a payee's acknowledgement."""
        return self.post("/v1/acknowledgements", {"token": token}, wait=wait_s)

    def publish(
        self,
        consent_id: str,
        documents: Sequence[tuple[str, Mapping[str, Any]]],
        *,
        replaces: str | None = None,
        wait_s: int = 0,
    ) -> Any:
        """Publish documents at a hospital's node; `replaces`: the record that the only one corrects."""
        listed = [{"record_type": kind, "document": dict(document)} for kind, document in documents]
        corrected = {"replaces": replaces} if replaces else {}
        return self.post("/v1/records", {"consent_id": consent_id, "documents": listed, **corrected}, wait=wait_s)

    def commit_policies(self, policies: Sequence[Mapping[str, Any]], *, wait_s: int = 0) -> Any:
        """Commit to policies at an insurer's node."""
        return self.post("/v1/policies", {"policies": [dict(policy) for policy in policies]}, wait=wait_s)

    # --- what the node knows

    def status(self) -> Any:
        """How the node stands."""
        return self.get("/v1/status")

    def is_ready(self) -> bool:
        """Whether the node answers that it is ready."""
        try:
            return bool(self.get("/readyz"))
        except CliError:
            return False

    def find(self, path: str) -> Any | None:
        """`get`, or None for something that is not there (yet)."""
        try:
            return self.get(path)
        except CliError as error:
            if error.code in ("not_found", "missing"):
                return None
            raise

    def pages(self, path: str, **query: Any) -> Iterator[dict[str, Any]]:
        """Every item of a list, page by page."""
        after = 0
        while True:
            page = self.get(path, **query, after=after, limit=1000)
            yield from page["items"]
            after = page["next"]
            if not page["more"]:
                return

    def events(self, after: int, *, timeout_s: float) -> Iterator[dict[str, Any]]:
        """Events of final blocks above a height; ends when nothing came for `timeout_s`."""
        connection = self._connect(timeout_s)
        try:
            response = self._exchange(connection, "GET", f"/v1/events?after={after}", None)
            if response.status != 200:
                raise _problem(response.status, response.read(MAX_ANSWER), self.url)
            for line in response:
                if line.startswith(b"data: "):
                    yield msgspec.json.decode(line[6:])
        except TimeoutError:
            return
        finally:
            connection.close()

    # --- plain requests

    def get(self, path: str, **query: Any) -> Any:
        """The JSON answer of a GET."""
        return self._decode(self.get_bytes(path, **query))

    def get_bytes(self, path: str, **query: Any) -> bytes:
        """The body of a GET, as it came."""
        return self._request("GET", path, None, query)

    def post(self, path: str, body: Any, **query: Any) -> Any:
        """The JSON answer of a POST; bytes are sent as they are."""
        data = body if isinstance(body, bytes) else msgspec.json.encode(body)
        return self._decode(self._request("POST", path, data, query))

    def _request(self, method: str, path: str, body: bytes | None, query: Mapping[str, Any]) -> bytes:
        asked = {name: value for name, value in query.items() if value}
        target = quote(path) + (f"?{urlencode(asked, doseq=True)}" if asked else "")
        connection = self._connect(self._timeout_s)
        try:
            response = self._exchange(connection, method, target, body)
            data = response.read(MAX_ANSWER + 1)
        except (OSError, http.client.HTTPException) as error:
            raise self._unreachable(error) from None
        finally:
            connection.close()
        if len(data) > MAX_ANSWER:
            raise NetworkFailure("too_large", f"{self.url}{path} answers with more than {MAX_ANSWER} bytes")
        if response.status >= 400:
            raise _problem(response.status, data, f"{self.url}{path}")
        return data

    def _connect(self, timeout_s: float) -> http.client.HTTPConnection:
        if self._secure:
            context = ssl.create_default_context()
            return http.client.HTTPSConnection(self._host, self._port, timeout=timeout_s, context=context)
        return http.client.HTTPConnection(self._host, self._port, timeout=timeout_s)

    def _exchange(
        self, connection: http.client.HTTPConnection, method: str, target: str, body: bytes | None
    ) -> http.client.HTTPResponse:
        headers = {"Authorization": f"Bearer {self._token}"} if self._token else {}
        try:
            connection.request(method, self._prefix + target, body, headers)
            return connection.getresponse()
        except (OSError, http.client.HTTPException) as error:
            raise self._unreachable(error) from None

    def _unreachable(self, error: Exception) -> NetworkFailure:
        reason = (error.strerror if isinstance(error, OSError) else "") or type(error).__name__
        return NetworkFailure("unreachable", f"{self.url} does not answer ({reason}); is the node running?")

    def _decode(self, data: bytes) -> Any:
        try:
            return msgspec.json.decode(data)
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise NetworkFailure("answer", f"{self.url} answers something that is no JSON") from None


def _problem(status: int, data: bytes, place: str) -> CliError:
    """A problem answer as an error; one that comes from the node's side is a failure of the network."""
    try:
        body = json.loads(data)
        code, detail = str(body["code"]), str(body["detail"])
    except (ValueError, KeyError, TypeError):
        code, detail = "http", f"HTTP status {status}"
    kind = NetworkFailure if status >= 500 else CliError
    return kind(code, f"{place}: {detail}")


def read_folder_url(folder: Path) -> str:
    """The address of the node in a folder. Raises CliError `node`."""
    from node.config import load_config

    config = load_config(folder)
    if config.api.port == 0:
        raise CliError("node", f"{folder}/node.toml leaves the API port open; name the node by its URL")
    host = f"[{config.api.host}]" if ":" in config.api.host else config.api.host
    return f"http://{host}:{config.api.port}"
