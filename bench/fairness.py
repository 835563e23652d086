"""Does one hot dossier, or one recipient with a long backlog, move another dossier's p99?

``python -m bench.fairness [backlog] [hot]`` (1,000,000 and 10,000 by default): the embedded runtime, the code path of
``lgsp run``, partners that answer at once. The same steady load of other dossiers is measured from publish to receipt
in each phase: alone; with a dossier of ``hot`` events at the same recipient, as long as its events last, once as fast
as one source may send them and once published at one blow; with a ``backlog`` for a recipient that is down, once while
it arrives and once while it stands. Order and numbers are checked.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from bench.measure import resident_mb
from bench.serving import serving
from router.events import DOSSIER_TOPIC, Message, by_partition, key_of
from router.ports import Publisher
from router.runtime import run_loop
from router.sdk import Connector, ConnectorConfig, Context, Event, Limits, Manifest, Operation, Receipt, Transient
from router.service import Service
from router.settings import Settings

STEADY = 100  # events a second of the others
DOSSIERS = 2_000  # how many others there are
STEP = 0.05  # seconds between two publishes
LEAST = 20.0  # seconds of a phase
CHUNK = 500  # events of the backlog in one publish
ARRIVALS = 2_000  # of the backlog a second, at most
VALUE = bytes(range(70)) * 10
TYPES = {"open": "dossier.progressed", "down": "dossier.accepted"}


class Partner(Connector[ConnectorConfig]):
    """Answers at once; ``down`` refuses everything."""

    config_model = ConnectorConfig

    def __init__(self, context: Context) -> None:
        super().__init__(ConnectorConfig(), context)
        self.down = context.recipient == "down"
        self.latencies: list[float] = []
        self.hot: list[int] = []
        operation = Operation(name="take", events=(TYPES[context.recipient],), idempotency="natural_key")
        self.manifest = Manifest(
            name="bench", version="1", partner="bench", role="other", operations=(operation,),
            limits=Limits(concurrency=16),
        )  # fmt: skip

    async def deliver(self, event: Event) -> Receipt:
        """Take it, and note how long it was under way."""
        if self.down:
            raise Transient("refused", "connection refused")
        if event.subject == "hot":
            self.hot.append(int(event.id.rpartition("-")[2]))
        else:
            self.latencies.append(time.time() - event.time.timestamp())
        return Receipt(code="00")

    async def probe(self) -> bool:
        """Whether it is up."""
        return not self.down


def message(recipient: str, code: str, event_id: str) -> Message:
    """An event of about 700 bytes and 8 headers; its time is now."""
    headers = [
        ("ce_specversion", b"1.0"), ("ce_id", event_id.encode()), ("ce_source", b"one-stop-h39"),
        ("ce_type", TYPES[recipient].encode()), ("ce_subject", code.encode()),
        ("ce_time", datetime.now(UTC).isoformat().encode()), ("ce_procedure", b"1.012756"),
        ("content-type", b"application/avro"),
    ]  # fmt: skip
    return key_of("dossier_code", code).bytes, VALUE, headers


@dataclass
class Bench:
    """The running service, its partners and the one publisher of the bus."""

    service: Service
    partners: Mapping[str, Partner]
    publisher: Publisher
    sent: int = 0
    told: list[tuple[str, float, float]] = field(default_factory=list)

    async def publish(self, messages: Iterable[Message]) -> None:
        """Publish, in order."""
        await self.publisher.publish(by_partition(DOSSIER_TOPIC, list(messages), self.service.settings.bus.partitions))

    async def phase(self, name: str, over: Callable[[float], bool]) -> None:
        """Keep the steady load up until ``over(seconds)`` and all of it arrived; print p50 and p99."""
        partner, first, begun = self.partners["open"], self.sent, time.perf_counter()
        partner.latencies.clear()
        while not over(seconds := time.perf_counter() - begun):
            due = first + int(seconds * STEADY)
            await self.publish(message("open", f"H39-{n % DOSSIERS}", f"open-{n}") for n in range(self.sent, due))
            self.sent = max(self.sent, due)
            await asyncio.sleep(STEP)
        await until(lambda: len(partner.latencies) == self.sent - first)
        latencies = sorted(partner.latencies)
        p50, p99 = (latencies[len(latencies) * share // 100] * 1e3 for share in (50, 99))
        self.told.append((name, p50, p99))
        ratio = p99 / self.told[0][2]
        print(
            f"{name}: p50 {p50:,.0f} ms, p99 {p99:,.0f} ms ({ratio:.2f} of alone), {len(latencies):,} events in"
            f" {time.perf_counter() - begun:,.0f} s; resident {resident_mb():.0f} MB",
            flush=True,
        )

    async def send_hot(self, start: int, count: int, rate: float) -> None:
        """So many events of the hot dossier from number ``start`` on, ``rate`` a second."""
        begun = time.perf_counter()
        done = 0
        while done < count:
            due = min(count, int((time.perf_counter() - begun) * rate))
            await self.publish(message("open", "hot", f"hot-{start + n}") for n in range(done, due))
            done = due
            await asyncio.sleep(STEP)

    async def beside_hot(self, name: str, count: int, rate: float) -> None:
        """A phase as long as a hot dossier's events last, which arrive in their order."""
        taken = self.partners["open"].hot
        start = len(taken)
        pouring = asyncio.create_task(self.send_hot(start, count, rate))
        await self.phase(name, lambda _: len(taken) == start + count)
        await pouring
        assert taken == list(range(start + count)), "the hot dossier's order is broken"

    async def pour(self, count: int) -> None:
        """The backlog: one event of each of ``count`` dossiers for the recipient that is down."""
        for start in range(0, count, CHUNK):
            numbers = range(start, min(start + CHUNK, count))
            await self.publish(message("down", f"H39-down-{n}", f"down-{n}") for n in numbers)
            await asyncio.sleep(CHUNK / ARRIVALS)


async def until(condition: Callable[[], bool]) -> None:
    """Wait for it."""
    while not condition():
        await asyncio.sleep(STEP)


async def phases(bench: Bench, backlog: int, hot: int) -> None:
    """Alone, beside the hot dossier, beside the backlog."""
    await bench.phase("alone", lambda seconds: seconds >= LEAST)
    rate = bench.service.settings.http.source_rate
    await bench.beside_hot(f"beside a dossier of {hot:,} events, {rate:,.0f} a second", hot, rate)
    await bench.beside_hot(f"beside a dossier of {hot:,} events, published at once", hot, hot / STEP)
    accepted = bench.service.delivery.tally.accepted if bench.service.delivery else {}
    pouring = asyncio.create_task(bench.pour(backlog))
    await bench.phase(
        f"while {backlog:,} events arrive for a recipient that is down",
        lambda seconds: seconds >= LEAST and accepted["down", "new"] == backlog,
    )
    await pouring
    await bench.phase(f"beside that backlog of {backlog:,}", lambda seconds: seconds >= LEAST)
    assert bench.partners["down"].latencies == []


async def measure(settings: Settings, backlog: int, hot: int) -> None:
    """Start the service and run all phases."""
    async with serving(settings, TYPES, Partner) as (service, partners, publisher):
        await phases(Bench(service, partners, publisher), backlog, hot)


def main() -> None:
    """Parse the words and run."""
    backlog = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    hot = int(sys.argv[2]) if len(sys.argv) > 2 else 10_000
    with tempfile.TemporaryDirectory() as folder:
        run_loop(measure(Settings(data=Path(folder), http={"port": 0}), backlog, hot))


if __name__ == "__main__":
    main()
