"""What others are blamed for: a score for each identity, and how long an identity with a bad one is refused.

Knows codes, weights and half-lives; no sockets, and no clock: times are arguments, in seconds of any monotonic clock.
Must always hold: a code that a correct node can provoke (being slow, being loud after this node stood still, passing
on what others wrote) weighs so little that it never leads to a ban; every ban ends.
"""

from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from node.peers.limits import PeerLimits

WEIGHTS: Final = MappingProxyType(
    {
        "inbox_full": 0.0,  # this node is slow, and what it drops is repeated by correct peers
        "wrong_version": 0.0,  # an upgrade under way
        "wrong_network": 0.0,  # a configuration, not an attack
        "too_many_links": 1.0,  # a middle box that loses connections makes a correct node dial again
        "stalled": 5.0,  # each takes `stall_s`: a slow line alone stays below the threshold
        "hello_timeout": 5.0,
        "flood": 5.0,  # at most one a second: half a minute of it without a pause
        "gossip_bad_signature": 5.0,
        "gossip_json": 5.0,
        "gossip_not_canonical": 5.0,
        "gossip_schema": 1.0,  # a newer version may know a newer kind
        "proposal_payload": 5.0,  # it is invalid here; which of the two is wrong, a quorum says
        "not_a_peer": 10.0,
        "bad_frame": 50.0,
        "too_large": 50.0,
    }
)
DEFAULT_WEIGHT: Final = 20.0
"""What no correct node sends: a false certificate or signature, another's vote, bytes that are no message."""
SYNC_WEIGHT: Final = 50.0
"""`sync_*`: one lie costs 15 MB and a hash over each block of them."""
THRESHOLD: Final = 100.0
HALF_LIFE_S: Final = 60.0
FORGIVEN_BELOW: Final = 0.5
"""A score below it is no score."""


@dataclass(slots=True)
class _Record:
    score: float = 0.0
    at: float = 0.0
    bans: int = 0
    until: float = 0.0


@dataclass(frozen=True, slots=True)
class Standing:
    """How a peer stands. `banned_s`: seconds left; `narrow`: let in all the same, for votes alone."""

    score: int
    bans: int
    banned_s: int
    narrow: bool = False


def weight_of(code: str) -> float:
    """Points for one blame."""
    if code.startswith("sync_"):
        return SYNC_WEIGHT
    return WEIGHTS.get(code, DEFAULT_WEIGHT)


class Scores:
    """Scores by identity. The caller names members only, so there are never more entries than members."""

    def __init__(self, limits: PeerLimits) -> None:
        self._limits = limits
        self._records: dict[str, _Record] = {}

    def blame(self, peer: str, code: str, now: float) -> float:
        """Add the weight of `code`; the length in seconds of the ban that this began, 0 when none did."""
        weight = weight_of(code)
        if weight <= 0 or self.banned_s(peer, now) > 0:
            return 0.0
        record = self._records.setdefault(peer, _Record())
        self._decay(record, now)
        record.score += weight
        if record.score < THRESHOLD:
            return 0.0
        limits = self._limits
        if record.until and now - record.until > limits.ban_memory_s:
            record.bans = 0
        length: float = min(limits.ban_first_s * 2.0 ** min(record.bans, 30), limits.ban_max_s)
        record.bans += 1
        record.score, record.until = 0.0, now + length
        return length

    def banned_s(self, peer: str, now: float) -> float:
        """Seconds until `peer` is let in again; 0 when it is not banned."""
        record = self._records.get(peer)
        return max(0.0, record.until - now) if record is not None else 0.0

    def forget(self, peer: str) -> None:
        """It is no member any more."""
        self._records.pop(peer, None)

    def standings(self, now: float) -> dict[str, Standing]:
        """Everybody with a score or a ban that is not forgotten. What is forgotten is dropped here."""
        found: dict[str, Standing] = {}
        for peer, record in list(self._records.items()):
            self._decay(record, now)
            banned_s = max(0.0, record.until - now)
            remembered = record.bans > 0 and now - record.until <= self._limits.ban_memory_s
            if record.score < FORGIVEN_BELOW and not remembered:
                del self._records[peer]
            else:
                found[peer] = Standing(round(record.score), record.bans, -int(-banned_s // 1))
        return found

    def __len__(self) -> int:
        return len(self._records)

    @staticmethod
    def _decay(record: _Record, now: float) -> None:
        record.score *= 0.5 ** ((now - record.at) / HALF_LIFE_S)
        record.at = now
