"""Reading a node's snapshots over HTTP, with bounds; nothing that comes is believed here.

Knows one node's URL and token. Must not know what a snapshot holds. Must always hold: an answer is read up to the
caller's bound and no further, redirects are not followed, the token goes into a header of requests to this URL and
nowhere else, and whatever goes wrong is SnapshotRefused `source`, after which another source may be tried.
"""

import http.client
import ssl
import time
from typing import Final
from urllib.parse import urlsplit

from node.errors import SnapshotRefused

TIMEOUT_S: Final = 65.0
"""A node answers or gives up within 60 seconds; also the longest silence inside an answer."""
ANSWER_S: Final = 600.0
"""The longest time for one answer: 12 MB at 20 kB/s."""
PIECE: Final = 256 * 1024
MAX_PROBLEM: Final = 64 * 1024
"""Bytes of an answer that is none: read, so that the connection can be used again, and not repeated."""


class Download:
    """One node. Keeps one connection open between requests; not for several threads."""

    def __init__(self, url: str, token: str | None = None, *, timeout_s: float = TIMEOUT_S) -> None:
        """Raises SnapshotRefused `source`: no address."""
        try:
            parts = urlsplit(url)
            host, port = parts.hostname, parts.port
        except ValueError:
            raise SnapshotRefused("source", "no address of a node: a bad host or port") from None
        if parts.scheme not in ("http", "https") or not host or parts.username or parts.query or parts.fragment:
            raise SnapshotRefused("source", "no address of a node: http(s)://HOST:PORT, without user or query")
        self._prefix = parts.path.rstrip("/")
        self._name = f"{parts.scheme}://{parts.netloc}"
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        if parts.scheme == "https":
            context = ssl.create_default_context()
            self._connection: http.client.HTTPConnection = http.client.HTTPSConnection(
                host, port, timeout=timeout_s, context=context
            )
        else:
            self._connection = http.client.HTTPConnection(host, port, timeout=timeout_s)

    def close(self) -> None:
        """Close the connection; a later request opens another."""
        self._connection.close()

    def get(self, path: str, most: int) -> bytes:
        """The body of an answer 200, of at most so many bytes. Raises SnapshotRefused `source`."""
        try:
            self._connection.request("GET", self._prefix + path, headers=self._headers)
            response = self._connection.getresponse()
            if response.status != 200:
                response.read(MAX_PROBLEM)
                self.close()
                raise SnapshotRefused("source", f"{self._name}{path} answers with status {response.status}")
            data = self._read(response, most)
        except (OSError, http.client.HTTPException) as error:
            self.close()
            raise SnapshotRefused("source", f"{self._name} does not answer ({type(error).__name__})") from None
        if len(data) > most:
            self.close()
            raise SnapshotRefused("source", f"{self._name}{path} answers with more than {most} bytes")
        return data

    def _read(self, response: http.client.HTTPResponse, most: int) -> bytes:
        """Up to one byte more than `most`; a source that dribbles is given up."""
        deadline = time.monotonic() + ANSWER_S
        data = bytearray()
        while len(data) <= most:
            piece = response.read1(min(PIECE, most + 1 - len(data)))
            if not piece:
                break
            data += piece
            if time.monotonic() > deadline:
                raise TimeoutError
        if len(data) <= most:
            if response.length:
                raise http.client.IncompleteRead(b"", response.length)
            response.read()  # nothing is left; only so is the connection free for the next request
        return bytes(data)
