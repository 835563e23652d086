"""What delivery counts, for status, metrics and the benches. Plain numbers, bounded."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from dataclasses import dataclass, field
from typing import Final

#: Upper bounds of the latency buckets, seconds from acceptance to outcome.
BOUNDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 3600.0, 86_400.0)


@dataclass(slots=True)
class Histogram:
    """Counts per bucket (the last one is *above all bounds*), and the sum in seconds."""

    counts: list[int] = field(default_factory=lambda: [0] * (len(BOUNDS) + 1))
    total: float = 0.0

    def add(self, seconds: float) -> None:
        """One observation."""
        self.counts[bisect_left(BOUNDS, seconds)] += 1
        self.total += seconds

    def quantile(self, share: float) -> float:
        """The upper bound of the bucket that holds this share of the observations (0.0 when there are none)."""
        wanted, seen = share * sum(self.counts), 0
        for bound, count in zip((*BOUNDS, float("inf")), self.counts, strict=True):
            seen += count
            if seen >= wanted and seen:
                return bound
        return 0.0


@dataclass(slots=True)
class Tally:
    """Counters since the start. ``outcomes`` by (recipient, outcome), ``accepted`` by (recipient, verdict)."""

    outcomes: Counter[tuple[str, str]] = field(default_factory=Counter)
    accepted: Counter[tuple[str, str]] = field(default_factory=Counter)
    latency: dict[str, Histogram] = field(default_factory=dict)
    alerts: Counter[str] = field(default_factory=Counter)  # raised, by name
    commits: int = 0
    rows: int = 0

    def finished(self, recipient: str, outcome: str, micros: int) -> None:
        """An attempt ended; ``micros`` since acceptance."""
        self.outcomes[recipient, outcome] += 1
        self.latency.setdefault(recipient, Histogram()).add(micros / 1e6)
