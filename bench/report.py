"""A province's year: generate, load and report 987,406 dossiers on SQLite; time, CPU, disk and memory.

``python -m bench.report [scale]``: 1 is the year of Long An, 0.01 a hundredth of it.
"""

from __future__ import annotations

import asyncio
import resource
import sys
import tempfile
import time
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from router.clock import SystemClock
from router.ledger import dossiers
from router.ledger.dossiers import By
from router.ledger.engine import open_ledger
from router.ledger.migrate import migrate_ledger
from router.procedures.calendar import load_calendar
from router.procedures.dues import Clockwork
from router.reports.generated import Wanted
from router.reports.generated import dossiers as generated
from router.reports.period import Period
from router.reports.service import Reports

PAGE = 5_000
AGENCIES = tuple(f"H39.{n:02d}" for n in range(1, 21)) + tuple(f"H39.25.{n:02d}" for n in range(1, 31))


class Moment(NamedTuple):
    """Seconds."""

    wall: float
    cpu: float


def _now() -> Moment:
    return Moment(time.monotonic(), time.process_time())


async def main(scale: float) -> None:
    """Load page by page, each in its own transaction, then ask for the year by agency."""
    wanted = Wanted(*(round(scale * n) for n in (533_946, 429_840, 3_741, 19_879)))
    with tempfile.TemporaryDirectory() as folder:
        url, clock = f"sqlite:///{Path(folder) / 'ledger.db'}", SystemClock()
        await migrate_ledger(url, None)
        ledger = open_ledger(url, clock)
        await ledger.open()
        began = _now()
        rows = generated(wanted, load_calendar(), 2022, 1, AGENCIES)
        while page := list(islice(rows, PAGE)):
            await ledger.write(lambda conn, page=page: dossiers.add(conn, page))
        loaded = _now()
        told = await Reports(ledger, clock, Clockwork(load_calendar())).statistics(Period.read("2022"), By.AGENCY)
        reported = _now()
        await ledger.close()
        disk = sum(file.stat().st_size for file in Path(folder).iterdir())
    whole = told[-1]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print({name: whole[name] for name in ("received", "early", "on_time", "overdue", "pending_overdue")})
    print({name: whole[name] for name in ("early_percent", "on_time_percent", "overdue_percent")})
    for name, start, end in (("generate and load", began, loaded), ("report", loaded, reported)):
        print(f"{name} {end.wall - start.wall:.1f} s, {end.cpu - start.cpu:.1f} s of CPU")
    print(f"disk {disk / 1e6:.0f} MB")
    print(f"peak memory {peak:.0f} MB")


if __name__ == "__main__":
    asyncio.run(main(float(sys.argv[1]) if len(sys.argv) > 1 else 1.0))
