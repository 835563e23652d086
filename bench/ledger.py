"""Accept and finish events in the ledger: fence, recognition, body table, receipts. Prints events per second.

    python -m bench.ledger [--events 100000] [--batch 500] [--postgres] [--marks] [--busy]

SQLite runs inline with ``synchronous=FULL``; ``--postgres`` starts a real server. ``--marks`` adds the durable mark
before each call, ``--busy`` shares the loop with a task that keeps it busy half a millisecond at a time.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from sqlalchemy import Connection

from bench.measure import Meter
from router.clock import SystemClock
from router.delivery.accept import identity_of
from router.ledger import leases, store
from router.ledger.engine import open_ledger
from router.ledger.migrate import migrate_ledger
from router.ledger.rows import Arrival, Body, Lease, Shard, State, Transition
from router.ports import Ledger
from router.runtime import quiet_collector, run_loop
from tests.parts.postgres import running_postgres

HEADERS = [(f"ce_{name}", b"one-stop-h39/dossier.accepted") for name in ("id", "source", "type", "subject", "time")]
VALUE = bytes(range(256)) * 2 + bytes(188)  # 700 bytes
LANES = 1_000


def arrivals(first: int, count: int) -> list[Arrival]:
    """A run of new events."""
    made = []
    for offset in range(first, first + count):
        identity = identity_of(b"one-stop-h39", str(offset).encode())
        key = (offset % LANES).to_bytes(16, "big")
        body = Body(VALUE, HEADERS)
        made.append(
            Arrival(
                offset, key, identity, identity, "one-stop-h39", str(offset), "dossier.accepted", "H39", False, body
            )
        )
    return made


class Run:
    """One shard through which all events go."""

    def __init__(self, ledger: Ledger, shard: Shard, lease: Lease, *, marks: bool) -> None:
        self.ledger, self.shard, self.lease, self.marks = ledger, shard, lease, marks
        self.position, self.version = 0, 1

    async def batch(self, count: int) -> None:
        """Accept a batch, (mark it,) finish it: a transaction each."""
        new = arrivals(self.position, count)
        place = Shard(self.shard.id, self.shard.recipient, 0, self.position, self.position + 1, b"")
        seqs = range(self.position + 1, self.position + 1 + count)
        self.position += count
        await self.ledger.write(lambda conn: self._accept(conn, place, new))
        if self.marks:
            await self.ledger.write(lambda conn: self._apply(conn, self.changes(seqs, 1, State.CALLING)))
        finished = self.changes(seqs, 2 if self.marks else 1, State.DELIVERED)
        await self.ledger.write(lambda conn: self._apply(conn, finished))

    def changes(self, seqs: Sequence[int], version: int, state: State) -> list[Transition]:
        """One change for each."""
        receipt = {"code": "00", "text": "Tiếp nhận thành công"} if state is State.DELIVERED else None
        return [
            Transition(self.shard.id, seq, version, state, attempts=1, first_at=1, last_at=2, receipt=receipt)
            for seq in seqs
        ]

    def _accept(self, conn: Connection, place: Shard, new: list[Arrival]) -> None:
        assert store.fence(conn, [self.lease])
        store.accept(conn, place, self.position, b"fingerprint", new, now=1_750_000_000_000_000)

    def _apply(self, conn: Connection, changes: list[Transition]) -> None:
        assert store.fence(conn, [self.lease])
        store.apply(conn, changes)


@asynccontextmanager
async def prepared(url: str) -> AsyncIterator[tuple[Ledger, Shard, Lease]]:
    """An open ledger with one owned shard."""
    ledger = open_ledger(url, SystemClock())
    await ledger.open()
    await ledger.write(lambda conn: store.register_shards(conn, "tax-h39", 1))
    shard = (await ledger.read(store.shards))[0]
    lease = await ledger.write(lambda conn: leases.take(conn, shard.lease, "bench", 0))
    assert lease is not None
    yield ledger, shard, lease
    await ledger.close()


async def keep_busy() -> None:
    """Half a millisecond of work at a time, for ever."""
    while True:
        until = time.perf_counter() + 0.0005
        while time.perf_counter() < until:
            pass
        await asyncio.sleep(0)


async def measure(url: str, options: argparse.Namespace) -> None:
    """Run and print."""
    async with prepared(url) as (ledger, shard, lease):
        run = Run(ledger, shard, lease, marks=options.marks)
        await run.batch(options.batch)
        busy = asyncio.create_task(keep_busy()) if options.busy else None
        meter = Meter()
        for done in range(0, options.events, options.batch):
            await run.batch(options.batch)
            meter.sample((done + options.batch) / options.events)
            await asyncio.sleep(0)
        seconds, cpu = meter.seconds, meter.cpu
        if busy is not None:
            busy.cancel()
    kind = url.partition(":")[0]
    print(f"{kind}: {options.events / seconds:,.0f} events/s, {cpu * 1e6 / options.events:.0f} µs CPU each here")
    print(meter.memory())


async def main(options: argparse.Namespace) -> None:
    """On the database asked for."""
    quiet_collector()
    if options.postgres:
        with running_postgres() as server:
            await measure(await server.fresh(), options)
        return
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{Path(folder)}/ledger.db"
        await migrate_ledger(url, None)
        await measure(url, options)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=100_000)
    parser.add_argument("--batch", type=int, default=500)
    for flag in ("--postgres", "--marks", "--busy"):
        parser.add_argument(flag, action="store_true")
    run_loop(main(parser.parse_args()))
