"""What one source may ask of the service at once: requests per second, and requests in flight over all."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from router.ports import Clock


class Limits:
    """A token bucket per source and a bound on requests in flight. ``rate`` 0 means no limit."""

    def __init__(self, clock: Clock, *, rate: float, in_flight: int) -> None:
        self._clock, self._rate, self._most = clock, rate, in_flight
        self._buckets: dict[str, tuple[float, float]] = {}
        self._in_flight = 0

    def retry_after(self, source: str) -> float:
        """Take a token; 0 if there was one, else seconds until the next. A bucket holds one second's worth."""
        if self._rate <= 0:
            return 0.0
        now = self._clock.monotonic()
        size = max(1.0, self._rate)
        tokens, since = self._buckets.get(source, (size, now))
        tokens = min(size, tokens + (now - since) * self._rate)
        if tokens < 1.0:
            self._buckets[source] = (tokens, now)
            return (1.0 - tokens) / self._rate
        self._buckets[source] = (tokens - 1.0, now)
        return 0.0

    @contextmanager
    def slot(self) -> Iterator[bool]:
        """A place among the requests in flight; False when all are taken."""
        if self._in_flight >= self._most:
            yield False
            return
        self._in_flight += 1
        try:
            yield True
        finally:
            self._in_flight -= 1
