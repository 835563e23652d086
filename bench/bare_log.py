"""The floor under everything on the embedded log: its records carried from one topic to another, nothing decided."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from bench.bare_kafka import HEADERS, PARTITIONS, VALUE, Figures
from router.bus.embedded import EmbeddedBus
from router.clock import SystemClock
from router.events import TopicPartition
from router.ports import TopicSpec

SOURCE, TARGET = "bare-in", "bare-out"
POLL = 5_000


async def bare_log(events: int) -> Figures:
    """Load a log of its own, then carry; measures the carrying only."""
    with tempfile.TemporaryDirectory() as folder:
        bus = EmbeddedBus(Path(folder) / "bus.db", SystemClock())
        await bus.open()
        await bus.create([TopicSpec(name, PARTITIONS) for name in (SOURCE, TARGET)])
        publisher = await bus.publisher()
        made = 0
        while made < events:
            share = min(POLL, events - made) // PARTITIONS or 1
            message = (b"k" * 16, VALUE, HEADERS)
            await publisher.publish({TopicPartition(SOURCE, n): [message] * share for n in range(PARTITIONS)})
            made += share * PARTITIONS
        reader = await bus.reader("bare")
        await reader.set({TopicPartition(SOURCE, n): 0 for n in range(PARTITIONS)})
        carried, start, cpu = 0, time.perf_counter(), time.process_time()
        while carried < made:
            found = await reader.next(POLL, 1.0)
            await publisher.publish(
                {
                    TopicPartition(TARGET, partition.partition): [(r.key, r.value, r.headers) for r in records]
                    for partition, records in found.items()
                }
            )
            carried += sum(map(len, found.values()))
        figures = Figures(made, time.perf_counter() - start, time.process_time() - cpu)
        await bus.close()
        return figures
