"""What every bench measures: wall and CPU seconds, memory, and whether memory stayed flat."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field
from pathlib import Path


def resident_mb() -> float:
    """Resident memory of this process in MB."""
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def busy_seconds() -> float:
    """CPU seconds that all processors of this machine have worked since it started, whoever let them."""
    first = Path("/proc/stat").read_text("ascii").split("\n", 1)[0].split()[1:]
    user, nice, system, _idle, _waiting, *rest = map(int, first)
    return (user + nice + system + sum(rest[:3])) / os.sysconf("SC_CLK_TCK")  # guests are in user already


@dataclass
class Meter:
    """Samples of (share of the work done, resident MB), and the clocks since the start."""

    started: float = field(default_factory=time.perf_counter)
    cpu_started: float = field(default_factory=time.process_time)
    busy_started: float = field(default_factory=busy_seconds)
    samples: list[tuple[float, float]] = field(default_factory=list)

    def sample(self, share: float) -> None:
        """Note memory at a share of the work."""
        self.samples.append((share, resident_mb()))

    @property
    def seconds(self) -> float:
        """Wall seconds."""
        return time.perf_counter() - self.started

    @property
    def cpu(self) -> float:
        """CPU seconds of this process."""
        return time.process_time() - self.cpu_started

    def others(self, events: int) -> str:
        """What all other processes took meanwhile (broker, database, kernel), and how full the processors were."""
        busy = busy_seconds() - self.busy_started
        full = busy / self.seconds / (os.cpu_count() or 1)
        return f"{(busy - self.cpu) * 1e6 / events:.1f} CPU-µs an event in all others, processors {full:.0%} busy"

    def memory(self) -> str:
        """Peak, and the last half's peak against the first half's."""
        first = max((mb for share, mb in self.samples if share <= 0.5), default=0.0)
        last = max((mb for share, mb in self.samples if share > 0.5), default=0.0)
        ratio = last / first if first else 0.0
        flat = "flat" if ratio <= 1.1 else "not flat"
        return f"peak {max(first, last):.0f} MB, last half {ratio:.0%} of the first: {flat}"
