"""How much one peer may have of this node: sizes, rates, counts and times, each with its reason.

Knows no socket and reads no clock: times are arguments, in seconds of any monotonic clock.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PeerLimits:
    """Bounds of every link. Tests make them small; a node runs with the defaults."""

    message_bytes: int = 16 * 2**20
    """Largest frame: a block of 2 MiB eight times over, or the envelope of a scanned document."""
    frames_per_s: int = 4_000
    """Ten times what a validator sends at full load; verifying as many votes takes a third of a core."""
    frames_burst: int = 8_000
    bytes_per_s: int = 64 * 2**20
    """A full block every 50 ms with half left for documents."""
    bytes_burst: int = 64 * 2**20
    bulk_frames_per_s: int = 1_000
    """Gossip and requests, of `frames_per_s`: twenty times what a busy node sends. What is over it is given up: gossip
    is told again later, a request is answered `busy`."""
    bulk_frames_burst: int = 4_000
    bulk_bytes_per_s: int = 32 * 2**20
    """Half of `bytes_per_s`: the other half is for votes and blocks."""
    bulk_bytes_burst: int = 48 * 2**20
    answer_bytes_per_s: int = 32 * 2**20
    """Answers to one identity: two block ranges a second, or it waits. A question of 20 bytes can cost 15 MB."""
    answer_bytes_burst: int = 64 * 2**20
    narrow_frames_per_s: int = 100
    """Consensus messages of a validator that misbehaves but cannot be spared: ten views a second."""
    consensus_frames: int = 4_096
    """Waiting for one peer: minutes of votes. Older ones are of views long decided."""
    consensus_bytes: int = 32 * 2**20
    gossip_frames: int = 1_024
    gossip_bytes: int = 16 * 2**20
    call_bytes: int = 64 * 2**20
    """Requests and answers waiting for one peer; beyond it a new request is `busy`."""
    pending_requests: int = 256
    """Own requests under way at one peer."""
    served_requests: int = 16
    """Requests of one peer worked on, or answered and not yet read by it: small question, large answer."""
    tls_timeout_s: float = 5.0
    hello_timeout_s: float = 5.0
    """From an accepted TLS connection to a valid hello. A link takes a few round trips; 5 s is a far satellite."""
    stall_s: float = 10.0
    """A peer that takes no bytes for so long is dropped, not waited for."""
    pings_per_s: int = 10
    """Pings and pongs; a heartbeat is one in ten seconds. Beyond it the link ends."""
    pings_burst: int = 100
    ban_first_s: float = 10.0
    """The first time that an identity is refused for its score; each later one is twice as long."""
    ban_max_s: float = 600.0
    """No ban is longer; 0: nobody is refused."""
    ban_memory_s: float = 3_600.0
    """After so long without a ban the next one is a first one."""
    heartbeat_s: float = 10.0
    """Silence after which a ping is sent; no answer in half of it ends the link."""
    handshakes: int = 64
    """TLS handshakes at once. The oldest is dropped for the next: an honest one takes milliseconds."""
    connections: int = 512
    """Accepted sockets in all: the largest registry, and nothing left to exhaust descriptors with."""
    links_per_member: int = 4
    """Connections of one identity: the link, its replacement after a crash, and slack for half-dead ones."""
    redial_first_s: float = 0.1
    redial_max_s: float = 5.0
    """Back-off doubles between these, shortened by up to half by chance."""
    refusal_lines_per_s: int = 10
    """Log lines about refused strangers: a flood must not fill the disk."""


class TokenBucket:
    """`rate` units a second, at most `burst` saved up. A debt is allowed once and paid by waiting."""

    __slots__ = ("_burst", "_level", "_rate", "_then")

    def __init__(self, rate: float, burst: float, now: float) -> None:
        self._rate = rate
        self._burst = burst
        self._level = burst
        self._then = now

    def take(self, units: float, now: float) -> float:
        """Take `units`; return the seconds to wait before the next are read (0.0: none)."""
        self._level = min(self._burst, self._level + (now - self._then) * self._rate) - units
        self._then = now
        return 0.0 if self._level >= 0 else -self._level / self._rate

    def has(self, units: float, now: float) -> bool:
        """Take `units` if they are there; never go into debt."""
        level = min(self._burst, self._level + (now - self._then) * self._rate)
        self._then = now
        self._level = level - units if level >= units else level
        return level >= units
