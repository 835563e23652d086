"""Two processes on Kafka and PostgreSQL, mistreated: whatever is received is delivered once and in order."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import aiohttp
import asyncpg
import pytest

from tests.parts.kafka import own_broker
from tests.parts.postgres import Cluster, own_cluster
from tests.torture.conftest import Parts
from tests.torture.disk import SmallDisk, mounted
from tests.torture.faults import LINES, bad_line, crashed, frozen, killed, restarted
from tests.torture.installation import LEASE_SECONDS, Installation, installation
from tests.torture.process import ServiceProcess
from tests.torture.storm import ROUNDS, Fault, storm
from tests.torture.verdict import Freeze

LONG = "the long run: make torture"

pytestmark = [pytest.mark.kafka, pytest.mark.postgres]


@asynccontextmanager
async def pair(folder: Path, parts: Parts, **changes: Any) -> AsyncIterator[Installation]:
    """Two processes of the installation; in the end they stop as they are told to."""
    async with installation(folder, **await parts.address(), **changes) as made:
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


async def test_bad_lines_to_all_partners(tmp_path: Path, parts: Parts) -> None:
    async with pair(tmp_path, parts) as made:
        faults = [bad_line(made, line) for line in LINES.values()]
        await storm(made, made.load(20, 15, name="L", pause=0.2), faults, seed=4)


@pytest.mark.parametrize("fault", [killed, pytest.param(restarted, marks=pytest.mark.skipif(not ROUNDS, reason=LONG))])
async def test_a_process_that_comes_back_under_its_name_moves_no_partition_of_the_other(
    tmp_path: Path, parts: Parts, fault: Callable[[ServiceProcess], Fault]
) -> None:
    """Its session outlasts any start of a busy machine, so that only a rebalance could be seen at the other one."""
    async with pair(tmp_path, parts, session=300.0) as made:
        one, other = made.processes
        await storm(made, made.load(6, 2, name=f"{fault.__name__}-before"), [], seed=5)
        before = await counted(other, "lgsp_hop_rebalances_total")
        assert before > 0
        await fault(one)()
        await storm(made, made.load(6, 2, name=f"{fault.__name__}-after"), [], seed=5)
        assert await counted(other, "lgsp_hop_rebalances_total") == before


async def counted(process: ServiceProcess, metric: str) -> float:
    """A counter of a process."""
    async with aiohttp.ClientSession() as session, session.get(f"{process.url}/metrics") as answer:
        [line] = [line for line in (await answer.text()).splitlines() if line.startswith(f"{metric} ")]
        return float(line.split()[1])


@pytest.mark.skipif(not ROUNDS, reason=LONG)
@pytest.mark.timeout(480)
@pytest.mark.parametrize("full", ["broker", "database", "its log"])
async def test_a_full_disk_under_database_or_broker_is_waited_out(tmp_path: Path, full: str) -> None:
    """A database that has no room for rows goes on when there is room again. One that has none for its write-ahead
    log ends by itself, as a broker does, and is started over the same data.
    """
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        folder.chmod(0o755)
        if not stack.enter_context(mounted(folder, "256m")):
            pytest.skip("mounting a small disk is not permitted here")
        broker = stack.enter_context(own_broker(disk=folder if full == "broker" else None))
        cluster = stack.enter_context(own_cluster(disk=None if full == "broker" else folder))
        disk = SmallDisk(folder)
        async with pair(tmp_path, Parts(broker, cluster)) as made:
            load = made.load(20, 40, name="D", pause=1.5)  # it is still sending when the disk is full

            async def filled() -> None:
                disk.fill(made.processes[0])
                if full == "database":
                    await rows_refused(cluster, 20)
                    return disk.free(made.processes[0])
                if full == "its log":
                    await panicked(cluster)
                await load.until_refused(20)
                disk.free(made.processes[0])
                await crashed(broker if full == "broker" else cluster)()

            await storm(made, load, [filled], seed=6, upto=0.1, limit=180.0)


async def rows_refused(cluster: Cluster, count: int) -> None:
    """Wait until the server had no room for so many rows; what needs none is received all the while. Fails after half
    a minute.
    """
    async with asyncio.timeout(30):
        while cluster.log.read_text("utf-8", errors="replace").count("could not extend file") < count:
            await asyncio.sleep(0.1)


async def panicked(cluster: Cluster) -> None:
    """Have the server begin files of its write-ahead log until there is no room for one, which ends it."""
    with suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
        while True:
            await cluster.server.run("SELECT pg_switch_wal()")
    assert "PANIC:" in cluster.log.read_text("utf-8", errors="replace")
