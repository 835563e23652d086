"""One partner is down while events arrive for it: does memory stay flat, does anybody else notice?

``python -m bench.backlog embedded|kafka [events]``, the code path of ``lgsp run``. Phases: all partners up; one down
until ``events`` have arrived for it; up again until its backlog is gone; a hot dossier of 10,000 events at a partner
that has others as well. Arrivals and the watched partner's load are the same in the first two phases, so that their
latencies compare. Latency is from publish to receipt.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

from sqlalchemy import func, select

from bench.measure import resident_mb
from bench.serving import serving
from router.events import DOSSIER_TOPIC, Message, by_partition, key_of
from router.ledger.tables import delivery
from router.ports import Publisher
from router.runtime import run_loop
from router.sdk import Connector, ConnectorConfig, Context, Event, Limits, Manifest, Operation, Receipt, Transient
from router.service import Service
from router.settings import Settings
from tests.parts.kafka import running_kafka
from tests.parts.postgres import running_postgres

ARRIVALS = 2_000  # events a second for the partner that will be down
STEADY = 200  # events a second for the one whose latency is watched
STEP = 0.05  # seconds between two publishes
FIRST = 20.0  # seconds of the first phase
HOT = 10_000  # events of the hot dossier
HOT_CODE = "H39-hot"
CALL = 0.002  # seconds a call takes
VALUE = bytes(range(70)) * 10
TYPES = {"outage": "dossier.accepted", "steady": "dossier.progressed", "hot": "dossier.returned"}


@dataclass
class Seen:
    """What one partner took since it was last asked: latencies from publish to receipt, in seconds."""

    latencies: list[float] = field(default_factory=list)
    taken: int = 0

    def course(self, parts: int = 6) -> str:
        """p99 in ms of each part of them, oldest first."""
        size = max(1, len(self.latencies) // parts)
        cut = [sorted(self.latencies[at : at + size]) for at in range(0, size * parts, size)]
        return ", ".join(f"{part[len(part) * 99 // 100] * 1e3:,.0f}" for part in cut if part)

    def percentiles(self) -> str:
        """p50 and p99 in ms; forgets them."""
        latencies, self.latencies = sorted(self.latencies), []
        if not latencies:
            return "none"
        half, most = latencies[len(latencies) // 2], latencies[len(latencies) * 99 // 100]
        return f"p50 {half * 1e3:,.0f} ms, p99 {most * 1e3:,.0f} ms of {len(latencies):,}"


class Partner(Connector[ConnectorConfig]):
    """Takes everything in ``CALL`` seconds, or refuses the connection while it is down."""

    config_model = ConnectorConfig

    def __init__(self, context: Context) -> None:
        super().__init__(ConnectorConfig(), context)
        operation = Operation(name="take", events=(TYPES[context.recipient],), idempotency="natural_key")
        self.manifest = Manifest(
            name="bench", version="1", partner="bench", role="other", operations=(operation,),
            limits=Limits(concurrency=16, urgent_reserved=0),
        )  # fmt: skip
        self.seen, self.down = Seen(), False

    async def deliver(self, event: Event) -> Receipt:
        """Take it."""
        if self.down:
            raise Transient("refused", "connection refused")
        await asyncio.sleep(CALL)
        self.seen.taken += 1
        if event.subject != HOT_CODE:
            self.seen.latencies.append(time.time() - event.time.timestamp())
        return Receipt(code="00")

    async def probe(self) -> bool:
        """Whether it is up."""
        return not self.down


def message(recipient: str, code: str, number: int) -> Message:
    """An event of about 700 bytes and 8 headers; its time is now."""
    headers = [
        ("ce_specversion", b"1.0"),
        ("ce_id", f"{recipient}-{number}".encode()),
        ("ce_source", b"one-stop-h39"),
        ("ce_type", TYPES[recipient].encode()),
        ("ce_subject", code.encode()),
        ("ce_time", datetime.now(UTC).isoformat().encode()),
        ("ce_procedure", b"1.012756"),
        ("content-type", b"application/avro"),
    ]
    return key_of("dossier_code", code).bytes, number.to_bytes(8) + VALUE[8:], headers


@dataclass
class Source:
    """Publishes at a steady pace: ``rates`` in events a second by recipient."""

    publisher: Publisher
    partitions: int
    numbers: Iterator[int] = field(default_factory=count)
    published: dict[str, int] = field(default_factory=dict)

    async def run(self, rates: dict[str, int], stop: asyncio.Event) -> None:
        """Until told to stop."""
        owed = dict.fromkeys(rates, 0.0)
        last = time.perf_counter()
        while not stop.is_set():
            await asyncio.sleep(STEP)
            now = time.perf_counter()
            for recipient, rate in rates.items():
                owed[recipient] += rate * (now - last)
                whole = int(owed[recipient])
                owed[recipient] -= whole
                await self.publish(recipient, [f"H39-{recipient}-{next(self.numbers) % 5_000}" for _ in range(whole)])
            last = now

    async def publish(self, recipient: str, codes: list[str]) -> None:
        """One event of each of these dossiers, in order."""
        first = self.published.get(recipient, 0)
        batch = [message(recipient, code, first + at) for at, code in enumerate(codes)]
        self.published[recipient] = first + len(codes)
        if batch:
            await self.publisher.publish(by_partition(DOSSIER_TOPIC, batch, self.partitions))


@dataclass
class Bench:
    """The running service, its partners and the source."""

    service: Service
    partners: Mapping[str, Partner]
    source: Source

    async def phase(self, name: str, rates: dict[str, int], done: Any) -> list[float]:
        """Keep the pace until ``done()``; prints latencies, returns resident MB once a second."""
        stop, samples = asyncio.Event(), []
        for partner in self.partners.values():
            partner.seen.latencies.clear()
        running = asyncio.create_task(self.source.run(rates, stop))
        began = time.perf_counter()
        while not done(time.perf_counter() - began) and not running.done():
            await asyncio.sleep(1.0)
            samples.append(resident_mb())
        stop.set()
        await running
        seconds = time.perf_counter() - began
        course = self.partners["steady"].seen.course()
        told = {n: p.seen.percentiles() for n, p in self.partners.items()}
        print(f"{name}: {seconds:,.0f} s; steady {told['steady']}; outage {told['outage']}; hot {told['hot']}")
        print(f"  steady p99 ms in the course of it: {course}")
        print(f"  resident MB: {', '.join(f'{mb:.0f}' for mb in samples[:: max(1, len(samples) // 12)])}")
        return samples

    async def unfinished(self) -> int:
        """Deliveries in the ledger that are not finished."""

        def ask(conn: Any) -> int:
            return int(conn.execute(select(func.count()).where(delivery.c.state == "waiting")).scalar_one())

        return await self.service.ledger.read(ask)


async def measure(settings: Settings, events: int) -> None:
    """All phases, one after the other."""
    async with serving(settings, TYPES, Partner) as (service, partners, publisher):
        source = Source(publisher, settings.bus.partitions)
        await phases(Bench(service, partners, source), events)


async def phases(bench: Bench, events: int) -> None:
    """Up, down, up again, a hot dossier."""
    rates = {"outage": ARRIVALS, "steady": STEADY}
    outage, published = bench.partners["outage"], bench.source.published
    before = await bench.phase("all up", rates, lambda seconds: seconds >= FIRST)
    outage.down = True
    goal = published["outage"] + events
    during = await bench.phase("one down", rates, lambda _: published["outage"] >= goal)
    first, last = max(during[: len(during) // 2]), max(during[len(during) // 2 :])
    flat = "flat" if last <= 1.1 * first else "NOT flat"
    print(
        f"  backlog {await bench.unfinished():,}; before {max(before):.0f} MB; second half {last / first:.0%}: {flat}"
    )
    outage.down = False
    await bench.phase("up again", {"steady": STEADY}, lambda _: outage.seen.taken >= published["outage"])
    for _ in range(HOT // 500):
        await bench.source.publish("hot", [HOT_CODE] * 500)
        await asyncio.sleep(5 * STEP)
    await bench.phase("hot dossier", {"hot": STEADY, "steady": STEADY}, lambda seconds: seconds >= FIRST)
    print(f"  still waiting, of the hot dossier only: {await bench.unfinished():,}")


def main() -> None:
    """Parse the words and run."""
    kind = sys.argv[1] if len(sys.argv) > 1 else "embedded"
    events = int(sys.argv[2]) if len(sys.argv) > 2 else 200_000
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        values: dict[str, Any] = {"data": Path(folder), "http": {"port": 0}}
        if kind == "kafka":
            bootstrap = stack.enter_context(running_kafka())
            url = asyncio.run(stack.enter_context(running_postgres()).fresh())
            kafka = {"replication": 1, "min_insync_replicas": 1}
            values |= {"bus": {"url": f"kafka://{bootstrap}", "kafka": kafka}, "ledger": {"url": url}}
        run_loop(measure(Settings(**values), events))


if __name__ == "__main__":
    main()
