"""Faults planted on purpose, so that the demo's check can show that it finds them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum

from router.events import CE_ID, CE_TYPE, Message, TopicPartition, header, topic_of
from router.ports import Bus, Publisher, Reader, Rebalance, Subscription, TopicSpec, TopicState

VICTIM = topic_of("portal")
HARMLESS = b"dossier.progressed"  # the story goes on without it


class Sabotage(StrEnum):
    """What is done to one event on its way to the portal."""

    LOSE = "lose"
    SWAP = "swap"
    DOUBLE = "double"


class SabotagedBus:
    """A bus whose publishers mistreat one event."""

    def __init__(self, bus: Bus, sabotage: Sabotage) -> None:
        self._bus, self._sabotage = bus, sabotage
        self.done = False

    async def open(self) -> None:
        """As it is."""
        await self._bus.open()

    async def close(self) -> None:
        """As it is."""
        await self._bus.close()

    async def grow(self, topics: Sequence[str], partitions: int) -> None:
        """As it is."""
        await self._bus.grow(topics, partitions)

    async def create(self, topics: Sequence[TopicSpec]) -> None:
        """As it is."""
        await self._bus.create(topics)

    async def describe(self) -> dict[str, TopicState]:
        """As it is."""
        return await self._bus.describe()

    async def subscribe(
        self, group: str, topics: Sequence[str], rebalance: Rebalance, *, member: str | None = None
    ) -> Subscription:
        """As it is."""
        return await self._bus.subscribe(group, topics, rebalance, member=member)

    async def reader(self, group: str) -> Reader:
        """As it is."""
        return await self._bus.reader(group)

    async def publisher(self) -> Publisher:
        """A publisher under sabotage."""
        return _SabotagedPublisher(await self._bus.publisher(), self, self._sabotage)


class _SabotagedPublisher:
    def __init__(self, publisher: Publisher, bus: SabotagedBus, sabotage: Sabotage) -> None:
        self._publisher, self._bus, self._sabotage = publisher, bus, sabotage
        self._kept: Message | None = None

    async def publish(self, batches: Mapping[TopicPartition, Sequence[Message]]) -> dict[TopicPartition, int]:
        changed = {p: self._mistreat(list(m)) if p.topic == VICTIM else m for p, m in batches.items()}
        return await self._publisher.publish({p: messages for p, messages in changed.items() if messages})

    async def reopen(self) -> None:
        await self._publisher.reopen()

    async def close(self) -> None:
        await self._publisher.close()

    def _mistreat(self, messages: list[Message]) -> list[Message]:
        if self._bus.done:
            return messages
        if self._sabotage is Sabotage.SWAP:
            return self._swapped(messages)
        for index, message in enumerate(messages):
            if header(message[2], CE_TYPE) == HARMLESS:
                self._bus.done = True
                if self._sabotage is Sabotage.LOSE:
                    return [*messages[:index], *messages[index + 1 :]]
                renamed = [(name, value + b"-2" if name == CE_ID else value) for name, value in message[2]]
                return [*messages[: index + 1], (message[0], message[1], renamed), *messages[index + 1 :]]
        return messages

    def _swapped(self, messages: list[Message]) -> list[Message]:
        """Keep one message back until the next of its dossier has gone ahead."""
        changed: list[Message] = []
        for message in messages:
            if self._kept is None and not self._bus.done and header(message[2], CE_TYPE) == HARMLESS:
                self._kept = message
                continue
            changed.append(message)
            if self._kept is not None and message[0] == self._kept[0]:
                changed.append(self._kept)
                self._kept, self._bus.done = None, True
        return changed
