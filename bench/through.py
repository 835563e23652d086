"""Publish → delivered through the whole service with an instant partner.

``python -m bench.through embedded|kafka [events]``.
The same code path as ``lgsp run``: hop, accept, lanes, calls, group commit; recognition, receipts and positions
included. Row counts and order per dossier are checked afterwards. A bare loop of the same client, which carries records
from one topic to another and decides and stores nothing, runs before it in the same run, and the ratio is printed.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from sqlalchemy import func, select

from bench.bare_kafka import Figures, bare_loop
from bench.bare_log import bare_log
from bench.measure import Meter
from bench.stages import THROUGH, Stages
from router.assembly import build_bus, topics_of
from router.clock import SystemClock, SystemIds
from router.delivery.calls import Recipient
from router.events import DOSSIER_TOPIC, Message, by_partition, key_of
from router.ledger.migrate import migrate_ledger
from router.ledger.tables import delivery
from router.objects import FolderObjectStore
from router.routing.agencies import Registry
from router.routing.table import Match, Routes, Rule
from router.runtime import quiet_collector, run_loop
from router.sdk import Connector, ConnectorConfig, Context, Event, Limits, Manifest, Operation, Receipt
from router.sdk.dates import local_date
from router.service import Service
from router.settings import Settings
from tests.parts.kafka import running_kafka
from tests.parts.postgres import running_postgres

VALUE = bytes(range(70)) * 10
A_DOSSIER = 10  # events of one dossier
PARTNER = "instant"
BARE = 300_000  # events of the bare loop, at most


class Instant(Connector[ConnectorConfig]):
    """A partner that takes everything at once and remembers the order."""

    manifest = Manifest(
        name="instant",
        version="1",
        partner="bench",
        role="other",
        operations=(Operation(name="take", events=("dossier.accepted",), idempotency="natural_key"),),
        limits=Limits(concurrency=16),
    )
    config_model = ConnectorConfig

    def __init__(self, config: ConnectorConfig, context: Context) -> None:
        super().__init__(config, context)
        self.taken = 0
        self.last: dict[str, int] = {}

    async def deliver(self, event: Event) -> Receipt:
        """Take it; it must be the next of its dossier."""
        number = int(event.id.rpartition("-")[2])
        assert number == self.last.get(event.subject, -1) + 1, f"{event.subject}: {number}"
        self.last[event.subject] = number
        self.taken += 1
        return Receipt(code="00")


def message(dossier: int, number: int) -> Message:
    """The ``number``-th event of a dossier: about 700 bytes and 8 headers."""
    code = f"H39-{dossier}"
    headers = [
        ("ce_specversion", b"1.0"),
        ("ce_id", f"{code}-{number}".encode()),
        ("ce_source", b"one-stop-h39"),
        ("ce_type", b"dossier.accepted"),
        ("ce_subject", code.encode()),
        ("ce_time", b"2025-06-16T08:00:00+00:00"),
        ("ce_procedure", b"1.012756"),
        ("content-type", b"application/avro"),
    ]
    return key_of("dossier_code", code).bytes, number.to_bytes(8) + VALUE[8:], headers


async def load(service: Service, events: int) -> None:
    """Dossiers interleaved as they are at a counter: first all first events of a thousand, then their second ones."""
    publisher = await service.bus.publisher()
    for first in range(0, events // A_DOSSIER, 1_000):
        for number in range(A_DOSSIER):
            batch = [message(dossier, number) for dossier in range(first, min(first + 1_000, events // A_DOSSIER))]
            await publisher.publish(by_partition(DOSSIER_TOPIC, batch, service.settings.bus.partitions))
    await publisher.close()


async def measure(settings: Settings, events: int, bootstrap: str) -> None:
    """Run the service over a loaded log until everything is delivered."""
    bare = await (bare_loop(bootstrap, min(events, BARE)) if bootstrap else bare_log(min(events, BARE)))
    print(f"bare: {bare}")
    clock, ids = SystemClock(), SystemIds()
    await migrate_ledger(settings.ledger_url, None)
    bus = build_bus(settings, clock)
    await bus.open()
    await bus.create(topics_of(settings.model_copy(update={"recipients": {PARTNER: None}})))
    partner = Instant(ConnectorConfig(), Context(PARTNER, clock, ids, FolderObjectStore(settings.data / "objects")))
    recipient = Recipient(PARTNER, partner, partner.manifest, partner.manifest.limits.concurrency)
    service = Service(settings, clock, ids, bus=bus, recipients=[recipient])
    assert service.delivery is not None
    rule = Rule(name="all", match=Match(), to=(PARTNER,))
    service.routes = Routes([rule], Registry("bench", [], [], []), local_date(clock.business()))
    await load(service, events)
    quiet_collector()
    with Stages(THROUGH) as stages:
        meter = Meter()
        running = asyncio.create_task(service.run())
        while partner.taken < events and not running.done():
            meter.sample(partner.taken / events)
            await asyncio.sleep(0.05)
        seconds, cpu, others = meter.seconds, meter.cpu, meter.others(events)
    print(f"CPU-seconds per million by stage: {stages.table(events)}")
    await check(service, events)
    service.stop()
    await running
    tally, made = service.delivery.tally, Figures(events, seconds, cpu)
    print(f"delivered: {made.rate:,.0f} events/s, {made.cpu_per_million:.1f} CPU-µs an event in this process; {others}")
    speed, dearer = made.rate / bare.rate, made.cpu_per_million / bare.cpu_per_million
    print(f"ratio to the bare loop: {speed:.2f} of its speed, {dearer:.1f} times its CPU")
    print(f"{tally.commits:,} commits, {tally.rows / tally.commits:.0f} rows each; {meter.memory()}")


async def check(service: Service, events: int) -> None:
    """All rows are finished, and as many as were published."""
    states: dict[str, int] = {}
    async with asyncio.timeout(60):
        while states.get("delivered") != events:
            states = await service.ledger.read(_states)
            await asyncio.sleep(0.05)
    print(f"checked: {states}, order per dossier checked at the partner")


def _states(conn: Any) -> dict[str, int]:
    return {
        row.state: row.n for row in conn.execute(select(delivery.c.state, func.count().label("n")).group_by("state"))
    }


def main() -> None:
    """Parse the words and run."""
    kind = sys.argv[1] if len(sys.argv) > 1 else "embedded"
    events = int(sys.argv[2]) if len(sys.argv) > 2 else 1_000_000
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        values: dict[str, Any] = {"data": Path(folder), "http": {"port": 0}}
        bootstrap = ""
        if kind == "kafka":
            bootstrap = stack.enter_context(running_kafka())
            url = asyncio.run(stack.enter_context(running_postgres()).fresh())
            kafka = {"replication": 1, "min_insync_replicas": 1}
            values |= {"bus": {"url": f"kafka://{bootstrap}", "kafka": kafka}, "ledger": {"url": url}}
            print("settings: acks=all, synchronous_commit=on, broker and database on the same machine")
        else:
            print("settings: SQLite, WAL, synchronous=FULL, for log and ledger")
        run_loop(measure(Settings(**values), events, bootstrap))


if __name__ == "__main__":
    main()
