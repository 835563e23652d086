"""The real clock and the real source of ids: the one place that asks the machine for time and chance."""

from __future__ import annotations

import asyncio
import random
import time
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4


class SystemClock:
    """The machine's time. ``business_offset`` moves business time (demo), and nothing else."""

    def __init__(self, business_offset: timedelta = timedelta(0)) -> None:
        self.business_offset = business_offset

    def monotonic(self) -> float:
        """Seconds, inside this process only."""
        return time.monotonic()

    def now(self) -> int:
        """UTC wall time, microseconds since 1970."""
        return time.time_ns() // 1000

    def business(self) -> datetime:
        """The instant by which deadlines are judged."""
        return datetime.now(UTC) + self.business_offset

    async def sleep(self, seconds: float) -> None:
        """Wait, letting others run."""
        await asyncio.sleep(seconds)


class SystemIds:
    """Random ids and jitter; a ``seed`` makes both repeatable (demo, tests)."""

    def __init__(self, seed: int | None = None) -> None:
        self._random = None if seed is None else random.Random(seed)

    def new(self) -> UUID:
        """A random UUID, version 4."""
        if self._random is None:
            return uuid4()
        return UUID(int=self._random.getrandbits(128), version=4)

    def jitter(self) -> float:
        """Uniform in [0, 1)."""
        return (self._random or random).random()
