"""Handing a checkpoint to a witness over HTTP.

Knows addresses and bounds; must not know what a body says. Must always hold: no answer longer than its bound is read,
no redirect is followed, and whatever goes wrong is one error.
"""

from typing import Final

import aiohttp

from node.errors import Unavailable
from node.witnessing.collector import MAX_ANSWER

TIMEOUT_S: Final = 10.0
"""A witness does one signature and one fsync; who takes longer is asked again in the next round."""


class WitnessPost:
    """`node.witnessing.collector.Post`. `proxy`: host:port of an HTTP proxy."""

    def __init__(self, proxy: str | None) -> None:
        self._proxy = f"http://{proxy}" if proxy else None

    async def __call__(self, url: str, body: bytes) -> tuple[int, bytes]:
        """Status and answer of `add-checkpoint`. Raises Unavailable `witness_unreachable`."""
        timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
        address = url.rstrip("/") + "/add-checkpoint"
        try:
            async with (
                aiohttp.ClientSession(timeout=timeout) as session,
                session.post(address, data=body, proxy=self._proxy, allow_redirects=False) as response,
            ):
                return response.status, await _read(response)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise Unavailable("witness_unreachable", f"no answer from a witness ({type(error).__name__})") from None


async def _read(response: aiohttp.ClientResponse) -> bytes:
    found = b""
    async for part in response.content.iter_chunked(MAX_ANSWER):
        found += part
        if len(found) > MAX_ANSWER:
            raise Unavailable("witness_unreachable", f"a witness answered with more than {MAX_ANSWER} bytes")
    return found
