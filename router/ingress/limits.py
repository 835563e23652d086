"""What one source may ask of the service at once: requests per second, and a share of the requests in flight."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType

from router.errors import NotReceived, TooMany
from router.ports import Clock


class Limits:
    """A token bucket per source, and a bound on requests in flight of which one source may have three quarters.

    ``rate`` is in requests per second, ``rates`` those of sources that have one of their own; 0 means no limit. A
    bucket holds one second's worth. Memory is bounded by the number of sources.
    """

    def __init__(
        self, clock: Clock, *, rate: float, in_flight: int, rates: Mapping[str, float] = MappingProxyType({})
    ) -> None:
        self._clock, self._rate, self._rates, self._most = clock, rate, rates, in_flight
        self._share = max(1, in_flight * 3 // 4)
        self._buckets: dict[str, tuple[float, float]] = {}
        self._in_flight: Counter[str] = Counter()

    @contextmanager
    def admit(self, source: str) -> Iterator[None]:
        """A place for one request. Raises ``TooMany`` over the source's rate, ``NotReceived`` when all places, or the
        source's share of them, are taken.
        """
        if self._in_flight.total() >= self._most or self._in_flight[source] >= self._share:
            raise NotReceived(
                "Hệ thống đang bận, vui lòng gửi lại sau", "the router is busy; please send it again later"
            )
        if wait := self._wait(source):
            raise TooMany("Gửi quá nhanh, vui lòng chờ rồi gửi lại", "too many requests; please wait", wait)
        self._in_flight[source] += 1
        try:
            yield
        finally:
            self._in_flight[source] -= 1

    def _wait(self, source: str) -> float:
        """Take a token; 0 if there was one, else seconds until the next."""
        rate = self._rates.get(source, self._rate)
        if rate <= 0:
            return 0.0
        now = self._clock.monotonic()
        size = max(1.0, rate)
        tokens, since = self._buckets.get(source, (size, now))
        tokens = min(size, tokens + (now - since) * rate)
        taken = tokens >= 1.0
        self._buckets[source] = (tokens - 1.0 if taken else tokens, now)
        return 0.0 if taken else (1.0 - tokens) / rate
