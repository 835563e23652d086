"""Publishing into a log of this process: what failed closes its partitions, as it would on a broker."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TypeAlias

from router.bus.checks import before, cut, refuse_closed
from router.errors import BusUnavailable, PublishFailed
from router.events import Message, TopicPartition

#: Makes batches durable and gives their first offsets; raises ``PublishFailed`` or ``BusUnavailable``.
Append: TypeAlias = Callable[[Mapping[TopicPartition, Sequence[Message]]], Awaitable[dict[TopicPartition, int]]]


class LocalPublisher:
    """A publisher over ``append``."""

    def __init__(self, append: Append) -> None:
        self._append = append
        self._closed: set[TopicPartition] = set()

    async def publish(self, batches: Mapping[TopicPartition, Sequence[Message]]) -> dict[TopicPartition, int]:
        """Append durably; after a failure the partitions stay closed until ``reopen``."""
        refuse_closed(self._closed, batches)
        cuts = cut(batches)
        self._closed |= cuts.keys()  # at once: a later call of this turn must not overtake the refused part
        try:
            firsts = await self._append(before(batches, cuts) if cuts else batches)
        except PublishFailed as error:
            self._closed |= error.durable.keys()
            if not cuts:
                raise
            raise PublishFailed({**cuts, **error.durable}, str(error)) from error
        except BusUnavailable as error:
            self._closed |= batches.keys()
            raise PublishFailed(dict.fromkeys(batches, 0), str(error)) from error
        if cuts:
            raise PublishFailed(cuts, "a value is longer than 256 KiB")
        return firsts

    async def reopen(self) -> None:
        """Take messages for all partitions again."""
        self._closed.clear()

    async def close(self) -> None:
        """Nothing is held."""
