"""What a start refuses, so that nothing is lost by it."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
from contextlib import closing

import pytest

from router.clock import SystemClock, SystemIds
from router.errors import ConfigError
from router.events import by_partition
from router.service import Service
from router.settings import Settings
from tests.delivery.installation import message
from tests.ledger.harness import new_file

RULES = """
rules:
  - name: nothing of these tests
    match: {type: tax.notice_issued}
    to: tax-h39
"""


def settings(folder, **changes):
    (folder / "rules.yaml").write_text(RULES)
    return Settings(data=folder, http={"port": 0}, routing={"rules": folder / "rules.yaml"}, **changes)


async def started(folder, publish=(), accepted=0, **changes):
    """Start, publish events nobody is routed to, wait until they (or ``accepted`` in all) are accepted at ``router``,
    stop.
    """
    wanted = settings(folder, **changes)
    new_file(folder)
    service = Service(wanted, SystemClock(), SystemIds())
    running = asyncio.create_task(service.run())
    try:
        ready = asyncio.create_task(service.ready.wait())
        await asyncio.wait({running, ready}, return_when=asyncio.FIRST_COMPLETED)
        ready.cancel()
        if running.done():
            return await running
        if publish:
            publisher = await service.bus.publisher()
            await publisher.publish(by_partition("lgsp.dossier", publish, wanted.bus.partitions))
            await publisher.close()
            async with asyncio.timeout(10):
                while sum(service.delivery.tally.accepted.values()) < max(accepted, len(publish)):
                    await SystemClock().sleep(0.01)
    finally:
        service.stop()
        await asyncio.gather(running, return_exceptions=True)
    return None


async def test_a_bus_older_than_its_ledger_is_refused(tmp_path):
    await started(tmp_path)
    shutil.copy(tmp_path / "bus.db", tmp_path / "older.db")
    await started(tmp_path, publish=[message(f"e{n}", "H39-1") for n in range(5)])
    for leftover in ("bus.db-wal", "bus.db-shm"):
        (tmp_path / leftover).unlink(missing_ok=True)
    shutil.copy(tmp_path / "older.db", tmp_path / "bus.db")
    with pytest.raises(ConfigError, match=r"has accepted more of lgsp\.to\.router/"):
        await started(tmp_path)


async def test_a_bus_newer_than_its_ledger_is_followed_from_where_the_ledger_stands(tmp_path):
    await started(tmp_path)
    shutil.copy(tmp_path / "ledger.db", tmp_path / "older.db")
    events = [message(f"e{n}", "H39-1") for n in range(5)]
    await started(tmp_path, publish=events)
    for leftover in ("ledger.db-wal", "ledger.db-shm"):
        (tmp_path / leftover).unlink(missing_ok=True)
    shutil.copy(tmp_path / "older.db", tmp_path / "ledger.db")
    await started(tmp_path, publish=[message("e5", "H39-1")], accepted=6)
    with closing(sqlite3.connect(tmp_path / "ledger.db")) as ledger:
        rows = ledger.execute("SELECT event_id FROM delivery ORDER BY seq").fetchall()
    assert rows == [(f"e{n}",) for n in range(6)]


async def test_another_partition_count_is_refused(tmp_path):
    await started(tmp_path)
    with pytest.raises(ConfigError, match="has 6 partitions"):
        await started(tmp_path, bus={"partitions": 8})
