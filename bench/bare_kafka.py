"""The floor under the hop on Kafka: the client's batch path alone, from six partitions to six, nothing decided.

``python -m bench.bare_kafka [events]`` starts a broker (or uses ``LGSP_TEST_KAFKA``) and prints events/s and
CPU-seconds per million events of this process. A hop's figure means something only beside this one of the same run.
"""

from __future__ import annotations

import asyncio
import gc
import sys
import time
from collections import deque
from dataclasses import dataclass
from uuid import uuid4

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

PARTITIONS = 6
BATCH_BYTES = 524_288
IN_FLIGHT = 3
VALUE = bytes(range(70)) * 10
HEADERS = [
    ("ce_specversion", b"1.0"),
    ("ce_id", b"0b9c1e2f-0d5a-5e0a-9a53-0d0a4c1f7b11"),
    ("ce_source", b"one-stop-h39"),
    ("ce_type", b"dossier.accepted"),
    ("ce_subject", b"H39.12-251123-0001"),
    ("ce_time", b"2025-11-23T08:00:00Z"),
    ("ce_procedure", b"1.012756"),
    ("ce_addressedto", b"H39.12"),
]


@dataclass(frozen=True)
class Figures:
    """What a loop did: events, wall seconds, CPU-seconds of this process."""

    events: int
    seconds: float
    cpu: float

    @property
    def rate(self) -> float:
        """Events per second."""
        return self.events / self.seconds

    @property
    def cpu_per_million(self) -> float:
        """CPU-seconds per million events."""
        return self.cpu * 1e6 / self.events

    def __str__(self) -> str:
        return f"{self.rate:,.0f} events/s, {self.cpu_per_million:.2f} CPU-seconds per million"


def producer(bootstrap: str) -> AIOKafkaProducer:
    """The producer of loop and loading."""
    return AIOKafkaProducer(
        bootstrap_servers=bootstrap,
        enable_idempotence=True,
        acks="all",
        max_batch_size=BATCH_BYTES,
        max_request_size=8 * BATCH_BYTES,
    )


async def load(bootstrap: str, topic: str, events: int) -> None:
    """Fill a topic evenly with ``events`` records of 700 bytes and 8 headers."""
    async with producer(bootstrap) as sender:
        left = {n: events // PARTITIONS + (n < events % PARTITIONS) for n in range(PARTITIONS)}
        while any(left.values()):
            futures = []
            for number in [n for n, count in left.items() if count]:
                batch = sender.create_batch()
                while left[number] and batch.append(timestamp=None, key=b"k" * 16, value=VALUE, headers=HEADERS):
                    left[number] -= 1
                futures.append(await sender.send_batch(batch, topic, partition=number))
            await asyncio.gather(*futures)


async def bare_loop(bootstrap: str, events: int) -> Figures:
    """Load a fresh topic, then carry it to another one; measures the carrying only."""
    source, target = f"bare-in-{uuid4().hex[:8]}", f"bare-out-{uuid4().hex[:8]}"
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(name, PARTITIONS, 1) for name in (source, target)])
        await load(bootstrap, source, events)
        return await carry(bootstrap, source, target, events)
    finally:
        await admin.delete_topics([source, target])
        await admin.close()


async def carry(bootstrap: str, source: str, target: str, events: int) -> Figures:
    """Read, send with ``IN_FLIGHT`` polls on their way, commit once a second behind the acknowledgements."""
    consumer = AIOKafkaConsumer(
        source,
        bootstrap_servers=bootstrap,
        group_id=source,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
    )
    gc.collect()
    gc.freeze()
    thresholds = gc.get_threshold()
    gc.set_threshold(100_000, 50, 50)  # as the hop does: the collector takes 15 % of such a loop otherwise
    async with producer(bootstrap) as sender, consumer:
        flying: deque[tuple[list[asyncio.Future[object]], dict[TopicPartition, int]]] = deque()
        done: dict[TopicPartition, int] = {}
        carried, start, cpu = 0, time.perf_counter(), time.process_time()
        due = start + 1
        while carried < events or flying:
            if carried < events:
                found = await consumer.getmany(timeout_ms=1000, max_records=5000)
                flying.append(await send(sender, target, found))
                carried += sum(map(len, found.values()))
            while flying and (len(flying) >= IN_FLIGHT or carried >= events):
                futures, upto = flying.popleft()
                await asyncio.gather(*futures)
                done.update(upto)
            if done and (time.perf_counter() >= due or not flying):
                await consumer.commit(done)
                due = time.perf_counter() + 1
        figures = Figures(events, time.perf_counter() - start, time.process_time() - cpu)
    gc.unfreeze()
    gc.set_threshold(*thresholds)
    return figures


async def send(
    sender: AIOKafkaProducer, target: str, found: dict[TopicPartition, list]
) -> tuple[list[asyncio.Future[object]], dict[TopicPartition, int]]:
    """Hand the records over, partition kept; the futures, and where the input then stands."""
    futures: list[asyncio.Future[object]] = []
    for (_, number), records in found.items():
        batch = sender.create_batch()
        for record in records:
            headers = list(record.headers)  # read as a tuple, written only as a list
            while not batch.append(timestamp=None, key=record.key, value=record.value, headers=headers):
                futures.append(await sender.send_batch(batch, target, partition=number))
                batch = sender.create_batch()
        futures.append(await sender.send_batch(batch, target, partition=number))
    return futures, {partition: records[-1].offset + 1 for partition, records in found.items()}


def main() -> None:
    """Print the figures of three runs."""
    from tests.parts.kafka import running_kafka

    events = int(sys.argv[1]) if len(sys.argv) > 1 else 300_000
    with running_kafka() as bootstrap:
        for _ in range(3):
            print(asyncio.run(bare_loop(bootstrap, events)))


if __name__ == "__main__":
    main()
