"""What delivery counts, for status, metrics and the benches. Plain numbers, bounded."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from router.histogram import Histogram


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
        histogram = self.latency.get(recipient)
        if histogram is None:
            histogram = self.latency[recipient] = Histogram()
        histogram.add(micros / 1e6)
