"""Two processes on Kafka and PostgreSQL, mistreated: whatever is received is delivered once and in order."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.torture.conftest import Parts
from tests.torture.installation import LEASE_SECONDS, Installation, installation
from tests.torture.storm import storm
from tests.torture.verdict import Freeze

pytestmark = [pytest.mark.kafka, pytest.mark.postgres]


@asynccontextmanager
async def pair(folder: Path, parts: Parts) -> AsyncIterator[Installation]:
    """Two processes of the installation; in the end they stop as they are told to."""
    async with installation(folder, **await parts.address()) as made:
        await made.start(2)
        yield made
        codes = await asyncio.gather(*(process.terminate() for process in made.processes if process.running))
        assert codes == [0] * len(codes), made.words()


async def test_processes_killed_in_turn(tmp_path: Path, parts: Parts) -> None:
    async with pair(tmp_path, parts) as made:

        def killed(number: int) -> Callable[[], Awaitable[None]]:
            async def kill() -> None:
                await made.processes[number].kill()
                await made.processes[number].start()

            return kill

        await storm(made, made.load(20, 15, name="K", pause=0.1), [killed(0), killed(1), killed(0)], seed=1)


async def test_a_process_frozen_beyond_its_lease(tmp_path: Path, parts: Parts) -> None:
    async with pair(tmp_path, parts) as made:
        frozen, _ = made.processes

        freezes: list[Freeze] = []

        async def freeze() -> None:
            """For so long that the other one takes its shards over and delivers what was waiting there."""
            start = time.monotonic()
            frozen.send(signal.SIGSTOP)
            await asyncio.sleep(3 * LEASE_SECONDS)
            frozen.send(signal.SIGCONT)
            freezes.append(Freeze(start, time.monotonic()))

        await storm(made, made.load(20, 15, name="F", pause=0.5), [freeze], seed=2, freezes=freezes)


async def test_the_broker_killed_and_restarted(tmp_path: Path, parts: Parts) -> None:
    async with pair(tmp_path, parts) as made:

        async def restart() -> None:
            parts.broker.kill()
            await asyncio.to_thread(parts.broker.start)

        await storm(made, made.load(20, 15, name="B", pause=0.1), [restart], seed=3)


async def test_the_database_killed_and_restarted(tmp_path: Path, parts: Parts) -> None:
    async with pair(tmp_path, parts) as made:

        async def restart() -> None:
            parts.cluster.kill()
            await asyncio.to_thread(parts.cluster.start)

        await storm(made, made.load(20, 15, name="D", pause=0.1), [restart, restart], seed=4)


async def test_a_rolling_restart_under_load(tmp_path: Path, parts: Parts) -> None:
    async with pair(tmp_path, parts) as made:

        def restarted(number: int) -> Callable[[], Awaitable[None]]:
            async def restart() -> None:
                process = made.processes[number]
                assert await process.terminate() == 0, process.last_words()
                await process.start()

            return restart

        await storm(made, made.load(20, 15, name="R", pause=0.1), [restarted(0), restarted(1)], seed=5)
