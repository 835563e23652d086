"""The line between router and partners really is as bad as it is told to be."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.parts.fault_proxy import FaultProxy, Faults

ASKED = b"x" * 1_000


@asynccontextmanager
async def line() -> AsyncIterator[FaultProxy]:
    """A proxy before a server that says everything again."""

    async def again(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65_536):
            writer.write(data)
        writer.close()

    server = await asyncio.start_server(again, "127.0.0.1", 0)
    proxy = FaultProxy(server.sockets[0].getsockname()[1])
    await proxy.up()
    async with server:
        yield proxy
        await proxy.close()


async def ask(proxy: FaultProxy) -> bytes:
    """One question, and what came back of the answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    try:
        writer.write(ASKED)
        return await reader.readexactly(len(ASKED))
    finally:
        writer.close()


async def test_a_sound_line_passes_everything() -> None:
    async with line() as proxy:
        assert await ask(proxy) == ASKED
        assert proxy.passed == 2


@pytest.mark.parametrize(("faults", "least"), [(Faults(latency=0.05), 0.09), (Faults(bandwidth=20_000), 0.09)])
async def test_latency_and_bandwidth_take_their_time_both_ways(faults: Faults, least: float) -> None:
    async with line() as proxy:
        proxy.faults = faults
        before = time.monotonic()
        assert await ask(proxy) == ASKED
        assert time.monotonic() - before >= least


async def test_a_reset_meets_the_first_data() -> None:
    async with line() as proxy:
        proxy.faults = Faults(reset=True)
        with pytest.raises(ConnectionResetError):
            await ask(proxy)
        assert proxy.resets == 1


async def test_a_cut_lets_so_many_bytes_of_the_answer_through() -> None:
    async with line() as proxy:
        proxy.faults = Faults(cut_after=400)
        with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
            await ask(proxy)
        assert proxy.resets == 1


async def test_a_half_open_line_swallows_everything_and_tells_nobody() -> None:
    async with line() as proxy:
        proxy.faults = Faults(half_open=True)
        asking = asyncio.create_task(ask(proxy))
        while not proxy.swallowed:
            await asyncio.sleep(0)
        assert not asking.done()
        proxy.reset_all()
        with pytest.raises(ConnectionResetError):
            await asking


async def test_a_line_that_is_down_refuses_and_comes_back_at_the_same_place() -> None:
    async with line() as proxy:
        port = proxy.port
        await proxy.down()
        with pytest.raises(ConnectionRefusedError):
            await ask(proxy)
        await proxy.up()
        assert proxy.port == port
        assert await ask(proxy) == ASKED
