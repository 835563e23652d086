"""Publishing to Kafka in batches, such that what failed is never overtaken.

The client sends one batch of a partition at a time anyway, and would go on with the next after one has failed. So a
batch is handed to it only when the one before was acknowledged: then nothing newer can be in its hands.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from aiokafka.producer.message_accumulator import BatchBuilder

from router.bus.checks import before, cut, refuse_closed
from router.bus.kafka_errors import translated
from router.bus.kafka_settings import KafkaSettings
from router.errors import BusUnavailable, PublisherClosed, PublishFailed
from router.events import Message, TopicPartition

#: Seconds the old producer may take to let go of what other partitions have in flight.
_FAREWELL: Final = 5.0


@dataclass(slots=True)
class _Epoch:
    """One producer, the partitions closed under it, and each partition's turn-taking (first come, first served)."""

    producer: AIOKafkaProducer
    patience: float  # seconds for one batch: the client keeps a batch for a broker that is gone without end
    closed: set[TopicPartition] = field(default_factory=set)
    turns: defaultdict[TopicPartition, asyncio.Lock] = field(default_factory=lambda: defaultdict(asyncio.Lock))
    over: bool = False

    def refuses(self, partition: TopicPartition) -> bool:
        """Whether nothing more of a partition may be handed over."""
        return self.over or partition in self.closed


class KafkaPublisher:
    """An idempotent producer, replaced by a new one at every ``reopen``."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        self._epoch: _Epoch | None = None

    async def publish(self, batches: Mapping[TopicPartition, Sequence[Message]]) -> dict[TopicPartition, int]:
        """Send; the first offset of each partition. ``PublishFailed`` names each failed partition's durable prefix."""
        epoch = self._epoch
        if epoch is None or epoch.over:
            raise PublisherClosed("the publisher is closed until it is reopened")
        refuse_closed(epoch.closed, batches)
        cuts = cut(batches)
        kept = before(batches, cuts) if cuts else batches
        sends = [_Send(epoch, TopicPartition(*partition), messages) for partition, messages in kept.items() if messages]
        if cuts:
            epoch.closed |= cuts.keys()
            for send in sends:
                send.owes = send.partition in cuts
        await asyncio.gather(*(send.run() for send in sends))
        failed = {send.partition: send.durable for send in sends if send.cause}
        if cuts:
            failed = {**cuts, **failed}
        if failed:
            raise PublishFailed(failed, next((send.cause for send in sends if send.cause), "a value above 256 KiB"))
        return {send.partition: send.first for send in sends}

    async def reopen(self) -> None:
        """Replace the producer. What still was in flight fails or is durable before this returns."""
        await self.close()
        producer = AIOKafkaProducer(**self._settings.producer())
        try:
            with translated("connect"):
                await producer.start()
        except BaseException:
            await _stop(producer)
            raise
        self._epoch = _Epoch(producer, 2 * self._settings.request_timeout_ms / 1000)

    async def close(self) -> None:
        """Let go of the producer."""
        epoch, self._epoch = self._epoch, None
        if epoch is not None:
            epoch.over = True
            await _stop(epoch.producer)


class _Send:
    """The messages of one call for one partition on their way, batch by batch."""

    __slots__ = ("cause", "durable", "epoch", "first", "messages", "owes", "partition")

    def __init__(self, epoch: _Epoch, partition: TopicPartition, messages: Sequence[Message]) -> None:
        self.epoch, self.partition, self.messages = epoch, partition, messages
        self.durable, self.first, self.cause = 0, -1, ""
        self.owes = False  # closed by this very call: its prefix still goes out

    async def run(self) -> None:
        """Send all, or stop at the first failure and close the partition."""
        finished = False
        try:
            async with self.epoch.turns[self.partition]:
                while self.durable < len(self.messages):
                    if self.epoch.over or (not self.owes and self.epoch.refuses(self.partition)):
                        self.cause = "an earlier message of the partition failed"
                        return
                    await self._hand_over()
                finished = True
        except (KafkaError, BusUnavailable, OSError, TimeoutError) as error:
            self.cause = type(error).__name__
        finally:
            if not finished:  # cancelled counts: nobody knows what became of its batch
                self.epoch.closed.add(self.partition)

    async def _hand_over(self) -> None:
        producer = self.epoch.producer
        batch = producer.create_batch()
        count = _fill(batch, self.messages, self.durable)
        async with asyncio.timeout(self.epoch.patience):
            future = await producer.send_batch(batch, self.partition.topic, partition=self.partition.partition)
            metadata = await future
        if self.first < 0:
            self.first = metadata.offset
        self.durable += count


def _fill(batch: BatchBuilder, messages: Sequence[Message], start: int) -> int:
    """Append messages from ``start`` on until the batch is full; how many went in."""
    append = batch.append
    for at in range(start, len(messages)):
        key, value, headers = messages[at]
        if type(headers) is not list:  # the client reads headers as a tuple and writes them only from a list
            headers = list(headers)
        if append(timestamp=None, key=key, value=value, headers=headers) is None:
            return at - start
    return len(messages) - start


async def _stop(producer: AIOKafkaProducer) -> None:
    """Stop, which lets batches in flight end; after ``_FAREWELL`` seconds, cut them.

    The client knows no such cut: its connections are closed first, so that its sender has nothing to wait for, then
    what it still holds fails.
    """
    try:
        async with asyncio.timeout(_FAREWELL):
            await producer.stop()
    except (TimeoutError, KafkaError) as error:
        await producer.client.close()
        await producer._sender.close()
        producer._message_accumulator.fail_all(error)
