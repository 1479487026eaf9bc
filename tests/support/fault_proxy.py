"""A TCP path between node processes that delays, loses, resets, half-opens and cuts, by seed.

One port for each pair of nodes; a node dials the port instead of the other node. Loss means what TCP makes of it: a
chunk and all behind it come a retransmission later. A half-open path swallows everything and closes nothing.
"""

import asyncio
import contextlib
import random
import threading
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

RETRANSMISSION_S = 0.2
"""The smallest wait of common TCP stacks before a lost segment is sent again."""
CHUNK = 2**14


@dataclass(frozen=True, slots=True)
class Weather:
    """How a path is right now. Chances are those of one chunk."""

    delay_s: float = 0.0
    jitter_s: float = 0.0
    loss: float = 0.0
    reset: float = 0.0
    half_open: bool = False
    cut: bool = False


@dataclass
class _Path:
    target: int
    port: int = 0
    weather: Weather = field(default_factory=Weather)
    open: set[asyncio.StreamWriter] = field(default_factory=set)
    accepted: int = 0


class FaultProxy:
    """All paths, served by an event loop in a thread of its own."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._paths: dict[tuple[str, str], _Path] = {}
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="fault-proxy", daemon=True)
        self._thread.start()

    def open_path(self, one: str, other: str, target: int) -> int:
        """A port that leads to `target`, where `other` listens and `one` dials."""
        path = self._paths[one, other] = _Path(target)
        return asyncio.run_coroutine_threadsafe(self._listen(path), self._loop).result(10)

    def set_weather(self, weather: Weather, nodes: Iterable[str] | None = None) -> None:
        """The weather of every path, or of those that touch one of `nodes`."""
        chosen = None if nodes is None else set(nodes)
        for pair, path in self._paths.items():
            if chosen is None or chosen & set(pair):
                self._loop.call_soon_threadsafe(self._apply, path, weather)

    @property
    def connections(self) -> int:
        """Accepted so far."""
        return sum(path.accepted for path in self._paths.values())

    def close(self) -> None:
        self.set_weather(Weather(cut=True))
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)

    @staticmethod
    def _apply(path: _Path, weather: Weather) -> None:
        healed = path.weather.half_open and not weather.half_open
        path.weather = weather
        if weather.cut or healed:  # what a half-open path swallowed is gone: its connections cannot go on
            for writer in list(path.open):
                writer.transport.abort()

    async def _listen(self, path: _Path) -> int:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await self._serve(path, reader, writer)

        server = await asyncio.start_server(serve, "127.0.0.1", 0, limit=CHUNK)
        path.port = int(server.sockets[0].getsockname()[1])
        return path.port

    async def _serve(self, path: _Path, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        path.accepted += 1
        path.open.add(writer)
        onward: asyncio.StreamWriter | None = None
        try:
            if path.weather.cut:
                return
            back, onward = await asyncio.open_connection("127.0.0.1", path.target, limit=CHUNK)
            path.open.add(onward)
            ways = [asyncio.ensure_future(self._carry(path, *way)) for way in ((reader, onward), (back, writer))]
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
        except OSError:
            return  # the other end is down: so is this connection
        finally:
            for one in (writer, onward):
                if one is not None:
                    path.open.discard(one)
                    one.transport.abort()

    async def _carry(self, path: _Path, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(CHUNK):
                weather = path.weather
                wait_s = weather.delay_s + self._random.random() * weather.jitter_s
                if self._random.random() < weather.loss:
                    wait_s += RETRANSMISSION_S
                if wait_s:
                    await asyncio.sleep(wait_s)
                if self._random.random() < weather.reset:
                    return
                if not path.weather.half_open:
                    writer.write(data)
                    await writer.drain()


CALM = Weather()
ROUGH = replace(CALM, delay_s=0.01, jitter_s=0.03, loss=0.02, reset=0.002)
"""A bad line between two cities: 10 to 40 ms, two chunks in a hundred late, now and then a connection lost."""
