"""How often one address may ask for what needs no token.

Knows addresses and a clock. Must not know routes. Must always hold: the table of addresses is bounded, and an address
that was quiet is forgotten first.
"""

from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from starlette.requests import Request

from node.api.problems import ApiError

MAX_ADDRESSES: Final = 4_096
"""Addresses remembered; who asks from more of them than that has other means to be a burden."""


class RateLimit:
    """A bucket for each address that fills at `per_second` up to `burst`."""

    def __init__(self, per_second: float, burst: float, now_ms: Callable[[], int]) -> None:
        self._rate, self._burst, self._now_ms = per_second / 1000, burst, now_ms
        self._buckets: OrderedDict[str, tuple[float, int]] = OrderedDict()

    def check(self, request: Request) -> None:
        """Take one from the asker's bucket. Raises ApiError 429 `rate_limited`."""
        address = request.client.host if request.client else ""
        now = self._now_ms()
        level, since = self._buckets.pop(address, (self._burst, now))
        level = min(self._burst, level + (now - since) * self._rate)
        taken = level >= 1
        self._buckets[address] = (level - 1 if taken else level), now
        if len(self._buckets) > MAX_ADDRESSES:
            self._buckets.popitem(last=False)
        if not taken:
            wait = max(1, round((1 - level) / self._rate / 1000))
            raise ApiError(429, "rate_limited", "too many requests from this address", {"Retry-After": str(wait)})
