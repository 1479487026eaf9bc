"""The relay of a slow validator: bytes arrive whole, in order, and not before their time."""

import asyncio

from node.bench.delays import CHUNK_BYTES, start_relay

DELAY_S = 0.03


async def _echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(CHUNK_BYTES):
        writer.write(data)
        await writer.drain()
    writer.close()


def test_everything_comes_back_two_delays_later() -> None:
    async def run() -> None:
        loop = asyncio.get_running_loop()
        far = await asyncio.start_server(_echo, "127.0.0.1", 0)
        relay = await start_relay(far.sockets[0].getsockname()[1], DELAY_S)
        reader, writer = await asyncio.open_connection("127.0.0.1", relay.sockets[0].getsockname()[1])
        sent = bytes(range(256)) * 1_000
        started = loop.time()
        writer.write(sent)
        assert await reader.readexactly(len(sent)) == sent
        assert loop.time() - started >= 2 * DELAY_S
        writer.write_eof()
        assert await reader.read() == b""  # the end travels too
        writer.close()
        relay.close()
        far.close()

    asyncio.run(run())


def test_a_target_that_does_not_listen_ends_the_connection() -> None:
    async def run() -> None:
        gone = await asyncio.start_server(_echo, "127.0.0.1", 0)
        port = gone.sockets[0].getsockname()[1]
        gone.close()
        await gone.wait_closed()
        relay = await start_relay(port, DELAY_S)
        reader, writer = await asyncio.open_connection("127.0.0.1", relay.sockets[0].getsockname()[1])
        assert await reader.read() == b""
        writer.close()
        relay.close()

    asyncio.run(run())
