"""Publishing to Kafka in batches, such that what failed is never overtaken.

The client sends one batch of a partition at a time anyway, and would go on with the next after one has failed. So a
batch is handed to it only when the one before was acknowledged: then nothing newer can be in its hands. What comes
meanwhile is written into the next batch at once, so batches grow with the load and nothing waits when there is none.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from aiokafka.producer.message_accumulator import BatchBuilder

from router.bus.checks import before, cut, refuse_closed
from router.bus.kafka_errors import translated
from router.bus.kafka_settings import BATCH_BYTES, KafkaSettings
from router.errors import BusUnavailable, PublisherClosed, PublishFailed
from router.events import Message, TopicPartition

#: Seconds the old producer may take to let go of what other partitions have in flight.
_FAREWELL: Final = 5.0
_GRACE: Final = 0.1  # seconds a hand-over may take to notice that its producer is gone
_OVERTAKEN: Final = "an earlier message of the partition failed"
_CLOSED: Final = "the publisher was closed"


@dataclass(slots=True)
class _Epoch:
    """One producer, the partitions closed under it, and what each partition has on its way."""

    producer: AIOKafkaProducer
    patience: float  # seconds for one batch: the client keeps a batch for a broker that is gone without end
    closed: set[TopicPartition] = field(default_factory=set)
    streams: dict[TopicPartition, _Stream] = field(default_factory=dict)
    over: bool = False

    def put(self, call: _Call, batches: Mapping[TopicPartition, Sequence[Message]]) -> None:
        """Take the messages of a call. If one cannot be written, its partitions are closed and the error comes out."""
        try:
            for partition, messages in batches.items():
                if messages:
                    stream = self.streams.get(partition)
                    if stream is None:
                        stream = self.streams[partition] = _Stream(self, TopicPartition(*partition))
                    stream.put(call, messages)
        except BaseException as error:
            self.shut(batches, type(error).__name__)
            raise

    def shut(self, partitions: Iterable[TopicPartition], cause: str) -> None:
        """Close partitions: what waits there fails, and nothing more is taken."""
        for partition in partitions:
            self.closed.add(partition)
            if partition in self.streams:
                self.streams[partition].drop(cause)


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
        call = _Call()
        epoch.put(call, before(batches, cuts) if cuts else batches)
        epoch.closed |= cuts.keys()  # what stands before a cut still goes out
        partitions = tuple(batches)
        del batches  # written by now: thousands of objects are free for what is read while this waits
        try:
            await call.done()
        except BaseException:  # cancelled: nobody will know what became of its messages
            epoch.shut(partitions, _OVERTAKEN)
            raise
        failed = {part.partition: part.durable for part in call.parts if part.cause} if call.failed else {}
        if cuts:
            failed = {**cuts, **failed}
        if failed:
            causes = (part.cause for part in call.parts if part.cause)
            raise PublishFailed(failed, next(causes, "a value above 256 KiB"))
        return {part.partition: part.first for part in call.parts}

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
            epoch.shut(list(epoch.streams), _CLOSED)
            await _stop(epoch.producer)
            await asyncio.gather(*(stream.ended() for stream in epoch.streams.values()))


class _Call:
    """One ``publish`` on its way: its messages by partition, and a future for when the fate of all is known."""

    __slots__ = ("_done", "failed", "left", "parts")

    def __init__(self) -> None:
        self.parts: list[_Part] = []
        self.left, self.failed = 0, False
        self._done: asyncio.Future[None] | None = None

    async def done(self) -> None:
        """Wait until no message is on its way any more."""
        if self.left:
            self._done = asyncio.get_running_loop().create_future()
            await self._done

    def settle(self) -> None:
        """The fate of one partition's messages is known."""
        self.left -= 1
        if not self.left and self._done is not None and not self._done.done():
            self._done.set_result(None)


class _Part:
    """The messages of one call for one partition: how many there are, and how many are durable from ``first`` on."""

    __slots__ = ("_call", "cause", "count", "durable", "first", "partition")

    def __init__(self, call: _Call, partition: TopicPartition, count: int) -> None:
        self._call, self.partition, self.count = call, partition, count
        self.durable, self.first, self.cause = 0, -1, ""
        call.parts.append(self)
        call.left += 1

    def acknowledge(self, first: int, count: int) -> None:
        """So many more are durable, from this offset on."""
        if not self.durable:
            self.first = first
        self.durable += count
        if self.durable == self.count and not self.cause:
            self._call.settle()

    def fail(self, cause: str) -> None:
        """What is not durable by now will not be told to be."""
        if not self.cause and self.durable < self.count:
            self.cause, self._call.failed = cause, True
            self._call.settle()


class _Batch(BatchBuilder):  # type: ignore[misc]  # the client is untyped
    """A batch that knows whose messages it holds."""

    def __init__(self) -> None:
        super().__init__(BATCH_BYTES, 0)
        self.shares: list[tuple[_Part, int]] = []

    def fill(self, part: _Part, messages: Sequence[Message], start: int) -> int:
        """Write messages from ``start`` on until the batch is full, which closes it; how many went in."""
        # The client's own ``append`` asks the time, looks for serializers and wraps each record: half of its cost.
        append, at = self._builder.append, start
        offset: int = self.record_count() - start
        now = int(time.time() * 1000)  # noqa: TID251 (as the client does, but once a batch)
        for at in range(start, len(messages)):
            key, value, headers = messages[at]
            if type(headers) is not list:  # the client reads headers as a tuple and writes them only from a list
                headers = list(headers)
            if append(offset + at, now, key, value, headers) is None:
                self.close()
                break
        else:
            at = len(messages)
        self._relative_offset = offset + at
        if at > start:
            self.shares.append((part, at - start))
        return at - start


class _Stream:
    """One partition of one producer: at most one batch in the client's hands, the next being filled behind it."""

    __slots__ = ("_epoch", "_partition", "_task", "_waiting")

    def __init__(self, epoch: _Epoch, partition: TopicPartition) -> None:
        self._epoch, self._partition = epoch, partition
        self._waiting: deque[_Batch] = deque()
        self._task: asyncio.Task[None] | None = None

    def put(self, call: _Call, messages: Sequence[Message]) -> None:
        """Write messages behind what waits."""
        part, at = _Part(call, self._partition, len(messages)), 0
        while at < len(messages):
            if not self._waiting or self._waiting[-1].closed():
                self._waiting.append(_Batch())
            at += self._waiting[-1].fill(part, messages, at)
        if self._task is None:
            self._task = asyncio.ensure_future(self._send(self._waiting.popleft()))

    def drop(self, cause: str) -> None:
        """What waits fails; what the client has is still awaited."""
        for batch in self._waiting:
            for part, _ in batch.shares:
                part.fail(cause)
        self._waiting.clear()

    async def ended(self) -> None:
        """Wait until the client has nothing any more. Its producer is stopped, so that needs little patience."""
        if self._task is not None:
            _, late = await asyncio.wait([self._task], timeout=_GRACE)
            for task in late:
                task.cancel()
                await asyncio.wait([task])

    async def _send(self, batch: _Batch | None) -> None:
        """Hand over batch after batch, each when the one before is acknowledged."""
        while batch is not None:
            cause = _CLOSED
            try:
                first = await self._hand_over(batch)
                cause = ""
            except (KafkaError, BusUnavailable, OSError, TimeoutError) as error:
                cause = type(error).__name__
            finally:
                if cause:
                    for part, _ in batch.shares:
                        part.fail(cause)
                    self._epoch.shut([self._partition], _OVERTAKEN)
            for part, count in batch.shares if not cause else ():
                part.acknowledge(first, count)
                first += count
            batch = self._waiting.popleft() if self._waiting else None
        self._task = None

    async def _hand_over(self, batch: _Batch) -> int:
        """Send a batch; the offset of its first record."""
        topic, number = self._partition
        batch.close()
        async with asyncio.timeout(self._epoch.patience):
            future = await self._epoch.producer.send_batch(batch, topic, partition=number)
            offset: int = (await future).offset
            return offset


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
