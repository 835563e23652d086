"""Receiving: an emission is received when it is durable on the bus, or in the ledger while it waits for its dossier.

Requests are taken in the order of arrival, in slices: one transaction, then one publish, then the next slice. So what
arrives meanwhile shares the next flush, and nothing newer is ever handed over around a failed part. What could not be
published fails the requests it belongs to; their partners send again, under the same ids.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol

from router.errors import BadRequest, BusError, LedgerError, NotReceived, PublishFailed, RowRefused
from router.events import Message, TopicPartition, partition_of
from router.ingress.envelope import Draft, Encode, drafts_of, unreadable_drafts
from router.ingress.identity import Outgoing, Sender, Windows, identify
from router.ingress.loops import Loops
from router.ports import Bus, Clock, Ledger, Publisher
from router.sdk.inbound import Emission, Unreadable
from router.sdk.manifest import Manifest

SLICE: Final = 64  # emissions in one transaction: about 30 ms of the loop on SQLite


@dataclass(slots=True)
class Submission:
    """A request's emissions on their way. ``taken`` of the drafts are in a slice or through."""

    sender: Sender
    drafts: Sequence[Draft]
    done: asyncio.Future[None]
    taken: int = 0

    def fail(self, error: Exception) -> None:
        """Nothing more of it is taken; whoever waits learns why."""
        self.taken = len(self.drafts)
        if not self.done.done():
            self.done.set_exception(error)

    def settle(self) -> None:
        """A slice went through; the last one ends the wait."""
        if self.taken == len(self.drafts) and not self.done.done():
            self.done.set_result(None)


class Part(NamedTuple):
    """What a slice takes of one submission."""

    submission: Submission
    drafts: Sequence[Draft]


class Receive(Protocol):
    """Makes emissions durable (``Intake.receive``)."""

    def __call__(
        self,
        source: str,
        manifest: Manifest,
        emissions: Sequence[Emission],
        *,
        unreadable: Sequence[Unreadable] = (),
        traceparent: str = "",
    ) -> Awaitable[None]:
        """Returns when all are received; raises ``IngressError``."""


class Intake:
    """What all inbound sides of a process hand their emissions to. ``received`` counts emissions made durable."""

    def __init__(
        self,
        bus: Bus,
        ledger: Ledger,
        clock: Clock,
        encode: Encode,
        *,
        partitions: int,
        owner_key: bytes,
        loops: Loops | None = None,
    ) -> None:
        self._bus, self._ledger, self._clock, self._encode = bus, ledger, clock, encode
        self._partitions, self._owner_key, self._loops = partitions, owner_key, loops
        self._publisher: Publisher | None = None
        self._queue: deque[Submission] = deque()
        self._draining: asyncio.Task[None] | None = None
        self._closed = False
        self.received = 0
        self.slices = 0

    async def receive(
        self,
        source: str,
        manifest: Manifest,
        emissions: Sequence[Emission],
        *,
        unreadable: Sequence[Unreadable] = (),
        traceparent: str = "",
    ) -> None:
        """Make emissions durable, in order, and then what cannot be read, as dead letters. Repetitions go on under the
        same id and are recognised at acceptance. A document that has passed here before is dropped with an alert.

        Raises ``BadRequest`` for what cannot be stored, ``TooLarge`` for a payload that a claim check should carry,
        ``NotReceived`` when bus or ledger cannot take it now: then some of it may be durable, and all is to be sent
        again.
        """
        emissions = await self._first_time_here(source, emissions)
        if not emissions and not unreadable:
            return
        drafts = [*drafts_of(emissions, self._encode), *unreadable_drafts(unreadable)]
        if self._closed:
            raise not_now()
        windows = Windows(manifest.inbound.repeat_window, manifest.inbound.wait_window)
        sender = Sender(source, windows, self._owner_key, traceparent)
        submission = Submission(sender, drafts, asyncio.get_running_loop().create_future())
        self._queue.append(submission)
        if self._draining is None:
            self._draining = asyncio.create_task(self._drain())
        await submission.done
        self.received += len(drafts)

    async def close(self) -> None:
        """Take nothing more, finish what was taken."""
        self._closed = True
        if self._draining is not None:
            await self._draining
        if self._publisher is not None:
            await self._publisher.close()
            self._publisher = None

    async def _first_time_here(self, source: str, emissions: Sequence[Emission]) -> Sequence[Emission]:
        if self._loops is None:
            return emissions
        try:
            return await self._loops.turn_back(source, emissions)
        except LedgerError:
            raise not_now() from None

    async def _drain(self) -> None:
        while parts := self._next_slice():
            self.slices += 1
            try:
                await self._publish(await self._identify(parts))
            except Exception as error:  # a defect: everyone concerned gets it raised, none is left waiting
                for part in parts:
                    part.submission.fail(error)
        self._draining = None

    def _next_slice(self) -> list[Part]:
        """The oldest emissions not taken yet, in the order of arrival."""
        parts: list[Part] = []
        room = SLICE
        while self._queue and room:
            submission = self._queue[0]
            taken = submission.drafts[submission.taken : submission.taken + room]
            submission.taken += len(taken)
            room -= len(taken)
            if submission.taken == len(submission.drafts):
                self._queue.popleft()
            if taken:
                parts.append(Part(submission, taken))
        return parts

    async def _identify(self, parts: Sequence[Part]) -> list[tuple[Submission, list[Outgoing]]]:
        """What to publish for each part that the ledger took. A row it refuses is looked for request by request."""
        now = self._clock.now()
        requests = [(part.submission.sender, part.drafts) for part in parts]
        try:
            made = await self._ledger.write(lambda conn: identify(conn, requests, now=now))
        except RowRefused:
            if len(parts) > 1:
                return [placed for part in parts for placed in await self._identify([part])]
            text = "a text that cannot be stored, for instance with a NUL"
            parts[0].submission.fail(BadRequest("Dữ liệu có ký tự không lưu được", text))
            return []
        except LedgerError:
            for part in parts:
                part.submission.fail(not_now())
            return []
        return [(part.submission, outgoing) for part, outgoing in zip(parts, made, strict=True)]

    async def _publish(self, placed: Sequence[tuple[Submission, list[Outgoing]]]) -> None:
        """One publish for the slice; each request succeeds or fails by what became of its own messages."""
        batches: dict[TopicPartition, list[Message]] = {}
        ends: list[dict[TopicPartition, int]] = []  # per request: the length of a batch up to its last message
        for _, outgoing in placed:
            mine: dict[TopicPartition, int] = {}
            for topic, message in outgoing:
                place = TopicPartition(topic, partition_of(message[0], self._partitions))
                batch = batches.setdefault(place, [])
                batch.append(message)
                mine[place] = len(batch)
            ends.append(mine)
        durable = await self._hand_over(batches)
        for (submission, _), mine in zip(placed, ends, strict=True):
            if all(durable.get(place, end) >= end for place, end in mine.items()):
                submission.settle()
            else:
                submission.fail(not_now())

    async def _hand_over(self, batches: Mapping[TopicPartition, Sequence[Message]]) -> Mapping[TopicPartition, int]:
        """Publish; for every partition that failed, how many messages are known to be durable."""
        if not batches:
            return {}
        try:
            if self._publisher is None:
                self._publisher = await self._bus.publisher()
            await self._publisher.publish(batches)
        except BusError as error:
            await self._reopen()
            return error.durable if isinstance(error, PublishFailed) else dict.fromkeys(batches, 0)
        return {}

    async def _reopen(self) -> None:
        """Before anything newer. A publisher that cannot be reopened is replaced."""
        if self._publisher is None:
            return
        try:
            await self._publisher.reopen()
        except BusError:
            publisher, self._publisher = self._publisher, None
            with suppress(BusError):
                await publisher.close()


def not_now() -> NotReceived:
    """What a partner is told when it should send the same again later."""
    return NotReceived(
        "Hệ thống tạm thời chưa nhận được, vui lòng gửi lại", "the router cannot take this now; please send it again"
    )
