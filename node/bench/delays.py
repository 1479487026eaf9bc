"""A slow network in front of one node: a relay that hands on every byte a fixed time after it came.

A process of its own, so that it takes no turn from the client that measures. Knows sockets and monotonic times; must
not know what passes (it is TLS). Always true: bytes keep their order, a side that closes is closed to the other
after the same delay, and no more than `WINDOW_BYTES` of one direction are on their way.
"""

import argparse
import asyncio
import os
import signal
from collections import deque

WINDOW_BYTES = 4 * 2**20
"""Under way in one direction; with more the relay stops reading, as a long line does when its sender must wait."""
CHUNK_BYTES = 64 * 1024
HOST = "127.0.0.1"


class _Line:
    """One direction of one connection."""

    def __init__(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, delay_s: float) -> None:
        self._source = source
        self._sink = sink
        self._delay_s = delay_s
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[tuple[float, bytes]] = deque()
        self._held = 0
        self._changed = asyncio.Condition()

    async def carry(self) -> None:
        """Until the source has ended and everything was handed on, or either side failed."""
        reading = self._loop.create_task(self._read())
        try:
            await self._write()
        finally:
            reading.cancel()
            self._sink.close()

    async def _read(self) -> None:
        data = b"begin"
        while data:
            try:
                data = await self._source.read(CHUNK_BYTES)
            except OSError:
                data = b""
            async with self._changed:
                self._waiting.append((self._loop.time() + self._delay_s, data))
                self._held += len(data)
                self._changed.notify_all()
                await self._changed.wait_for(lambda: self._held < WINDOW_BYTES)

    async def _write(self) -> None:
        while True:
            async with self._changed:
                await self._changed.wait_for(lambda: bool(self._waiting))
                due, data = self._waiting.popleft()
                self._held -= len(data)
                self._changed.notify_all()
            await asyncio.sleep(max(0.0, due - self._loop.time()))
            if not data:
                return
            try:
                self._sink.write(data)
                await self._sink.drain()
            except OSError:
                return


async def start_relay(port: int, delay_s: float) -> asyncio.Server:
    """Listen on a free port of this machine and relay to `port`, each direction `delay_s` later."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            far_reader, far_writer = await asyncio.open_connection(HOST, port)
        except OSError:  # the node does not listen yet: its diallers come again
            writer.close()
            return
        await asyncio.gather(_Line(reader, far_writer, delay_s).carry(), _Line(far_reader, writer, delay_s).carry())

    return await asyncio.start_server(serve, HOST, 0)


async def _run(port: int, delay_ms: int) -> None:
    stopping = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopping.set)
    server = await start_relay(port, delay_ms / 1000)
    os.write(1, b"%d\n" % server.sockets[0].getsockname()[1])
    await stopping.wait()
    os._exit(0)  # connections are cut, as by a power cut


def main() -> None:
    """`python -m node.bench.delays --port P --delay-ms D`: prints its own port, runs until SIGTERM."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--delay-ms", type=int, required=True)
    asked = parser.parse_args()
    asyncio.run(_run(asked.port, asked.delay_ms))


if __name__ == "__main__":
    main()
