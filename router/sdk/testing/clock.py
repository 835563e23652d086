"""A clock that stands still until a test moves it, and ids that count."""

from __future__ import annotations

import asyncio
import heapq
from datetime import UTC, datetime
from uuid import UUID


class ManualClock:
    """Time passes only by ``advance``; with ``flows`` also by sleeping, which then takes no real time."""

    def __init__(self, start: datetime = datetime(2025, 6, 16, 1, 0, tzinfo=UTC), *, flows: bool = False) -> None:
        self._start, self._elapsed, self._flows = start, 0.0, flows
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._count = 0

    def monotonic(self) -> float:
        """Seconds since the start."""
        return self._elapsed

    def now(self) -> int:
        """UTC µs."""
        return int((self._start.timestamp() + self._elapsed) * 1_000_000)

    def business(self) -> datetime:
        """The same instant."""
        return datetime.fromtimestamp(self.now() / 1e6, UTC)

    async def sleep(self, seconds: float) -> None:
        """Until a test has advanced far enough."""
        if self._flows:
            self._elapsed += max(0.0, seconds)
            await asyncio.sleep(0)  # noqa: TID251 (lets others run; no time passes)
            return
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._count += 1
        heapq.heappush(self._sleepers, (self._elapsed + seconds, self._count, woken))
        await woken

    async def advance(self, seconds: float) -> None:
        """Move time, waking sleepers in the order of their times."""
        end = self._elapsed + seconds
        while self._sleepers and self._sleepers[0][0] <= end:
            self._elapsed, _, woken = heapq.heappop(self._sleepers)
            if not woken.done():
                woken.set_result(None)
            for _ in range(10):
                await asyncio.sleep(0)  # noqa: TID251 (lets the woken run before the next one)
        self._elapsed = end


class CountingIds:
    """Ids 1, 2, 3, …; jitter is always a half."""

    def __init__(self) -> None:
        self._count = 0

    def new(self) -> UUID:
        """The next id."""
        self._count += 1
        return UUID(int=self._count)

    def jitter(self) -> float:
        """A half."""
        return 0.5
