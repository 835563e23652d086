"""The Kafka client's errors in the router's words."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from aiokafka import AIOKafkaConsumer
from aiokafka.errors import IllegalStateError, KafkaError

from router.errors import BusUnavailable


@contextmanager
def translated(what: str) -> Iterator[None]:
    """Client errors come out as ``BusUnavailable``: the class and what was tried, never what the broker wrote."""
    try:
        yield
    except (KafkaError, IllegalStateError, OSError, TimeoutError) as error:
        raise BusUnavailable(f"{what}: {type(error).__name__}") from error


@asynccontextmanager
async def answered(what: str, seconds: float) -> AsyncIterator[None]:
    """As ``translated``, and ``BusUnavailable`` after ``seconds``: the client asks a broker that is gone for ever."""
    with translated(what):
        async with asyncio.timeout(seconds):
            yield


async def stop(consumer: AIOKafkaConsumer) -> None:
    """Stop a consumer. With its broker gone the client lets the cancellation of its own tasks out: not ours."""
    try:
        await consumer.stop()
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise
        await consumer._client.close()
