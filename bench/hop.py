"""The hop, measured: ``python -m bench.hop kafka|embedded [events]``, ``python -m bench.hop trickle [events/s]``.

Values of 700 bytes with 8 headers, 200 addressees, 4 recipients, 6 partitions. Row counts and the order per key are
checked afterwards. On Kafka a bare loop of the same client runs beside it in the same run, and the ratio is printed.
``trickle`` publishes to Kafka at a low, steady rate and prints the latency.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from datetime import date
from pathlib import Path

from bench.bare_kafka import bare_loop
from bench.measure import Meter
from bench.stages import HOP, Stages
from router.bus.embedded import EmbeddedBus
from router.bus.kafka import KafkaBus
from router.bus.kafka_settings import KafkaSettings
from router.clock import SystemClock
from router.events import DOSSIER_TOPIC, INPUT_TOPICS, ROUTER, Message, TopicPartition, topic_of
from router.histogram import Histogram
from router.ports import Bus, TopicSpec
from router.routing.agencies import Agency, Code, Registry
from router.routing.hop import STREAMING, Hop, HopSettings
from router.routing.table import Match, Routes, Rule
from router.runtime import quiet_collector, run_loop
from tests.parts.kafka import running_kafka

PARTITIONS, RECIPIENTS, ADDRESSEES = 6, 4, 200
VALUE = bytes(range(70)) * 10
TRICKLE_SECONDS = 10


def routes() -> Routes:
    """200 agencies, each served by one of four recipients."""
    agencies = [
        Agency(f"a{n}", f"Cơ quan {n}", "department", serves={"one_stop": f"recipient-{n % RECIPIENTS}"})
        for n in range(ADDRESSEES)
    ]
    codes = [Code(f"H39.{n:03d}", f"a{n}") for n in range(ADDRESSEES)]
    rule = Rule(name="all", match=Match(type=("dossier.*",)), to=("addressee:one_stop",))
    return Routes([rule], Registry("bench", agencies, codes, []), date(2025, 6, 16))


def message(partition: int, number: int) -> Message:
    """The ``number``-th event of a partition; its key is one of 1,000, its id tells its place."""
    return (
        f"{partition:02d}{number % 1000:014d}".encode(),
        VALUE,
        [
            ("ce_specversion", b"1.0"),
            ("ce_id", f"{partition}-{number}".encode()),
            ("ce_source", b"one-stop-h39"),
            ("ce_type", b"dossier.accepted"),
            ("ce_subject", b"H39.12-251123-0001"),
            ("ce_time", b"2025-11-23T08:00:00Z"),
            ("ce_procedure", b"1.012756"),
            ("ce_addressedto", f"H39.{number % ADDRESSEES:03d}".encode()),
        ],
    )


async def load(bus: Bus, events: int) -> None:
    """Fill the input topic evenly."""
    publisher = await bus.publisher()
    share = events // PARTITIONS
    for start in range(0, share, 2_000):
        numbers = range(start, min(start + 2_000, share))
        await publisher.publish(
            {TopicPartition(DOSSIER_TOPIC, p): [message(p, n) for n in numbers] for p in range(PARTITIONS)}
        )
    await publisher.close()


async def make_topics(bus: Bus) -> None:
    """The input topics and one per recipient."""
    names = [*INPUT_TOPICS, topic_of(ROUTER), *(topic_of(f"recipient-{n}") for n in range(RECIPIENTS))]
    await bus.create([TopicSpec(name, PARTITIONS) for name in names])


async def measure(bus: Bus, events: int, settings: HopSettings) -> Meter:
    """Route everything; the meter, stopped when the last event is routed."""
    await make_topics(bus)
    await load(bus, events)
    quiet_collector()
    table = routes()
    hop = Hop(bus, lambda: table, SystemClock(), settings)
    with Stages(HOP) as stages:
        meter = Meter()
        running = asyncio.create_task(hop.run())
        while hop.stats().routed < events:
            meter.sample(hop.stats().routed / events)
            await asyncio.sleep(0.05)
        hop.stop()
        await running
        seconds, cpu = meter.seconds, meter.cpu
    print(f"CPU-seconds per million by stage: {stages.table(events)}")
    print(f"hop: {events / seconds:,.0f} events/s, {cpu * 1e6 / events:.2f} CPU-seconds per million; {meter.memory()}")
    await check(bus, events)
    return Meter(meter.started, meter.cpu_started, [(events / seconds, cpu * 1e6 / events)])


async def check(bus: Bus, events: int) -> None:
    """Every event once, in order per key."""
    topics = [topic_of(f"recipient-{n}") for n in range(RECIPIENTS)]
    partitions = [TopicPartition(topic, n) for topic in topics for n in range(PARTITIONS)]
    reader = await bus.reader("bench-check")
    ends = await reader.latest(partitions)
    assert sum(ends.values()) == events, f"{sum(ends.values())} of {events} arrived"
    await reader.set(dict.fromkeys(partitions, 0))
    seen, last = 0, dict.fromkeys((partition for partition in partitions), -1)
    while seen < events:
        for partition, records in (await reader.next(5_000, 2.0)).items():
            for record in records:
                number = int(record.headers[1][1].split(b"-")[1])
                assert number > last[partition], "out of order"
                last[partition] = number
            seen += len(records)
    await reader.close()
    print(f"checked: {seen:,} events, each once, in order")


async def on_kafka(bootstrap: str, events: int) -> None:
    """The hop, and the bare loop beside it."""
    print("settings: acks=all, idempotence on, one broker, 6 partitions")
    bus = KafkaBus(KafkaSettings(bootstrap_servers=bootstrap))
    await bus.open()
    bare = await bare_loop(bootstrap, events)
    print(f"bare: {bare}")
    made = await measure(bus, events, STREAMING)
    rate, cpu = made.samples[0]
    print(f"ratio to the bare loop: {rate / bare.rate:.2f} of its speed, {cpu / bare.cpu_per_million:.2f} of its CPU")


async def trickle(bootstrap: str, rate: int) -> None:
    """Publish ``rate`` events/s for ten seconds; how long the hop takes, and what both cost together."""
    bus = KafkaBus(KafkaSettings(bootstrap_servers=bootstrap))
    await make_topics(bus)
    await load(bus, PARTITIONS)  # routed before the clock starts: topics and group are settled then
    table = routes()
    hop = Hop(bus, lambda: table, SystemClock(), STREAMING)
    running = asyncio.create_task(hop.run())
    while sum(hop.latency.counts) < PARTITIONS:
        await asyncio.sleep(0.1)
    hop.latency = Histogram()
    publisher, total = await bus.publisher(), rate * TRICKLE_SECONDS
    published, meter = [], Meter()
    for number in range(total):
        if (early := number / rate - meter.seconds) > 0:
            await asyncio.sleep(early)
        partition = number % PARTITIONS
        batch = {TopicPartition(DOSSIER_TOPIC, partition): [message(partition, number)]}
        published.append(asyncio.create_task(publisher.publish(batch)))
    await asyncio.gather(*published)
    while sum(hop.latency.counts) < total:
        await asyncio.sleep(0.01)
    share = meter.cpu / meter.seconds
    hop.stop()
    await running
    await publisher.close()
    p50, p99 = (1000 * hop.latency.quantile(part) for part in (0.5, 0.99))
    print(f"{rate} events/s: p50 up to {p50:g} ms, p99 up to {p99:g} ms from publication to the recipient's topic")
    print(f"{share:.0%} of a core, publishing included")


async def on_embedded(events: int) -> None:
    """The hop on the SQLite log."""
    print("settings: SQLite, WAL, synchronous=FULL, 6 partitions")
    with tempfile.TemporaryDirectory() as folder:
        bus = EmbeddedBus(Path(folder) / "bus.db", SystemClock())
        await bus.open()
        await measure(bus, events, HopSettings())
        await bus.close()


def main() -> None:
    """Parse the words and run."""
    kind = sys.argv[1] if len(sys.argv) > 1 else "kafka"
    events = int(sys.argv[2]) // PARTITIONS * PARTITIONS if len(sys.argv) > 2 else 1_000_002
    if kind == "embedded":
        run_loop(on_embedded(events))
        return
    with running_kafka() as bootstrap:
        if kind == "trickle":
            run_loop(trickle(bootstrap, int(sys.argv[2]) if len(sys.argv) > 2 else 200))
        else:
            run_loop(on_kafka(bootstrap, events))


if __name__ == "__main__":
    main()
