"""What can go wrong around the pure packages, by whose fault it is.

    NodeError                    code, detail
     +- ConfigError              node.toml or the node's folder is not what it must be; lists every fault
     +- Rejected                 a submitted transaction that this node does not take; nothing was recorded
     |   +- Overloaded           not now: the same submission may succeed after `retry_after_ms`
     +- Halted                   this node stopped taking part; it answers reads and reports not ready
     +- SnapshotRefused          a snapshot or backup that is not what it must be; nothing of it was used
     +- Unavailable              a peer, or this node's own disk, did not do its part in time

`detail` never contains personal or medical data.
"""

import traceback
from pathlib import Path
from typing import Final

from contracts.errors import MAX_PATH, shorten

MAX_PLACES: Final = 8
"""Innermost places of a fault that are logged."""


class NodeError(Exception):
    """Base of the package. `code` is stable and documented; `detail` is for people."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail


class ConfigError(NodeError):
    """The configuration cannot be used. `faults` holds (key path, what is wrong) of every fault."""

    def __init__(self, code: str, faults: list[tuple[str, str]]) -> None:
        super().__init__(code, "; ".join(f"{shorten(path, MAX_PATH)}: {text}" for path, text in faults))
        self.faults = tuple(faults)


class Rejected(NodeError):
    """The transaction was not admitted: it could never stand in a valid block."""


class Overloaded(Rejected):
    """The node is full. Maps to HTTP 503 with Retry-After."""

    def __init__(self, detail: str, retry_after_ms: int) -> None:
        super().__init__("overloaded", detail)
        self.retry_after_ms = retry_after_ms


class Halted(NodeError):
    """Taking part would be unsafe. A person must look; restarting alone does not help."""


class SnapshotRefused(NodeError):
    """A snapshot or backup that is damaged, malicious, or not for this node. Nothing of it is in use."""


class Unavailable(NodeError):
    """Something this node depends on did not answer in time."""


def describe_fault(error: BaseException) -> str:
    """What broke and where, without the error's text or any value: those may repeat a document."""
    places = traceback.extract_tb(error.__traceback__)
    where = " < ".join(f"{Path(place.filename).name}:{place.lineno}" for place in reversed(places[-MAX_PLACES:]))
    return f"{type(error).__name__} at {where}"
