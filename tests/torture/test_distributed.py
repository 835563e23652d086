"""Two processes on Kafka and PostgreSQL, mistreated: whatever is received is delivered once and in order."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.torture.conftest import Parts
from tests.torture.faults import crashed, frozen, killed, restarted
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
        codes = await asyncio.gather(*(process.terminate() for process in made.processes))
        assert codes == [0, 0], made.words()


async def test_a_kill_a_database_crash_and_a_rolling_restart(tmp_path: Path, parts: Parts) -> None:
    async with pair(tmp_path, parts) as made:
        one, other = made.processes
        faults = [killed(one), crashed(parts.cluster), restarted(one), restarted(other)]
        await storm(made, made.load(20, 20, name="K", pause=0.3), faults, seed=1)


async def test_a_process_frozen_beyond_its_lease(tmp_path: Path, parts: Parts) -> None:
    async with pair(tmp_path, parts) as made:
        freezes: list[Freeze] = []
        freeze = frozen(made.processes[0], 3 * LEASE_SECONDS, freezes)
        await storm(made, made.load(20, 15, name="F", pause=0.5), [freeze], seed=2, freezes=freezes)


async def test_a_broker_crash(tmp_path: Path, parts: Parts) -> None:
    async with pair(tmp_path, parts) as made:
        await storm(made, made.load(20, 15, name="B", pause=0.2), [crashed(parts.broker)], seed=3)
