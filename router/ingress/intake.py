"""Receiving: an emission is received when it is durable on the bus, or in the ledger while it waits for its dossier.

Concurrent requests share publishes. A failed publish fails every request that was in it, and the publisher is reopened
before anything newer is handed over; the partner sends again, under the same ids.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from router.errors import BusError, LedgerError, NotReceived, PublishFailed, TooLarge
from router.events import Message, TopicPartition, input_topic_of, partition_of
from router.ingress.identity import Encoded, Outgoing, Windows, identify
from router.ports import Bus, Clock, Ledger, Publisher
from router.sdk.inbound import Emission
from router.sdk.manifest import Manifest

LONGEST_PAYLOAD = 262_144 - 4_096

Encode = Callable[[str, Mapping[str, Any]], bytes]


class Intake:
    """What all inbound sides of a process hand their emissions to."""

    def __init__(
        self, bus: Bus, ledger: Ledger, clock: Clock, encode: Encode, *, partitions: int, owner_key: bytes
    ) -> None:
        self._bus, self._ledger, self._clock, self._encode = bus, ledger, clock, encode
        self._partitions, self._owner_key = partitions, owner_key
        self._publisher: Publisher | None = None
        self._queue: list[tuple[list[Outgoing], asyncio.Future[None]]] = []
        self._publishing: asyncio.Task[None] | None = None
        self._order = asyncio.Lock()
        self.received = 0

    async def receive(self, source: str, manifest: Manifest, emissions: Sequence[Emission]) -> None:
        """Make emissions durable, in order. Raises ``TooLarge`` for a payload that a claim check should carry, and
        ``NotReceived`` when bus or ledger cannot take it now.
        """
        if not emissions:
            return
        encoded = [self._encoded(emission) for emission in emissions]
        windows = Windows(manifest.inbound.repeat_window, manifest.inbound.wait_window)
        async with self._order:  # what is identified first is published first
            now = self._clock.now()
            try:
                outgoing = await self._ledger.write(
                    lambda conn: identify(conn, source, encoded, windows, self._owner_key, now=now)
                )
            except LedgerError as error:
                raise _not_now() from error
            done = self._publish(outgoing)
        await done
        self.received += len(emissions)

    async def close(self) -> None:
        """Finish what is being published."""
        if self._publishing is not None:
            await self._publishing
        if self._publisher is not None:
            await self._publisher.close()

    def _encoded(self, emission: Emission) -> Encoded:
        payload = self._encode(emission.type, emission.record.model_dump())
        if len(payload) > LONGEST_PAYLOAD:
            raise TooLarge("Bản ghi vượt quá 256 KiB; hãy gửi tệp đính kèm riêng", "the record is above 256 KiB")
        return Encoded(emission, payload)

    def _publish(self, outgoing: list[Outgoing]) -> asyncio.Future[None]:
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queue.append((outgoing, done))
        if self._publishing is None:
            self._publishing = asyncio.create_task(self._drain())
        return done

    async def _drain(self) -> None:
        while self._queue:
            waiting, self._queue = self._queue, []
            problem = await self._publish_once([each for outgoing, _ in waiting for each in outgoing])
            for _, done in waiting:
                if done.cancelled():
                    continue
                if problem is None:
                    done.set_result(None)
                else:
                    done.set_exception(_not_now())
        self._publishing = None

    async def _publish_once(self, outgoing: Sequence[Outgoing]) -> BusError | None:
        try:
            if self._publisher is None:
                self._publisher = await self._bus.publisher()
            await self._publisher.publish(self._batches(outgoing))
        except PublishFailed as error:
            await self._reopen()
            return error
        except BusError as error:
            return error
        return None

    async def _reopen(self) -> None:
        assert self._publisher is not None
        try:
            await self._publisher.reopen()
        except BusError:
            self._publisher = None

    def _batches(self, outgoing: Sequence[Outgoing]) -> dict[TopicPartition, list[Message]]:
        batches: dict[TopicPartition, list[Message]] = {}
        for topic, event_type, message in outgoing:
            place = TopicPartition(topic or input_topic_of(event_type), partition_of(message[0], self._partitions))
            batches.setdefault(place, []).append(message)
        return batches


def _not_now() -> NotReceived:
    return NotReceived(
        "Hệ thống tạm thời chưa nhận được, vui lòng gửi lại", "the router cannot take this now; please send it again"
    )
