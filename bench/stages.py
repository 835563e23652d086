"""CPU time by stage: a profiler's timer that says of every tick which part of the house it fell into.

The kernel's timer counts CPU time of this process, not wall time. At each tick the stack is walked from the inside out
to the first frame of a known part, and the CPU time since the last tick is booked there: SQL run by acceptance counts
as acceptance, the client's work for a send as send. Long calls into C delay a tick, never lose its time.
"""

from __future__ import annotations

import signal
import time
from collections import Counter
from collections.abc import Sequence
from types import FrameType, TracebackType

TICK = 0.004  # seconds of CPU time
REST = "loop and the rest"

#: Parts of paths, innermost frame first, and the stage they belong to.
HOP: Sequence[tuple[str, str]] = (
    ("router/routing/decide", "decide"),
    ("aiokafka/consumer", "poll"),
    ("aiokafka/producer", "send"),
    ("router/bus/kafka_publisher", "send"),
    ("router/bus/embedded.py", "log"),
    ("router/bus", "poll"),
    ("router/routing/hop", "hop loop"),
)
THROUGH: Sequence[tuple[str, str]] = (
    ("router/routing", "hop"),
    ("router/ledger/acceptance", "accept"),
    ("router/delivery/accept", "accept"),
    ("router/ledger/transitions", "commit outcomes"),
    ("router/ledger/outbox", "outbox"),
    ("router/delivery/outbox", "outbox"),
    ("router/delivery/commit", "commit outcomes"),
    ("router/delivery/settle", "commit outcomes"),
    ("router/ledger/sqlite", "ledger transaction"),
    ("router/ledger/postgres", "ledger transaction"),
    ("router/delivery/lanes", "dispatch"),
    ("router/delivery/shards", "dispatch"),
    ("router/delivery/dispatch", "dispatch"),
    ("router/delivery/calls", "dispatch"),
    ("router/delivery/outcome", "dispatch"),
    ("router/delivery/health", "dispatch"),
    ("bench/through.py", "partner and bench"),
    ("router/bus", "bus"),
    ("aiokafka", "bus"),
    ("router/delivery", "delivery loop"),
)


class Stages:
    """A context in which CPU time is booked by stage. ``seconds`` by name afterwards."""

    def __init__(self, parts: Sequence[tuple[str, str]]) -> None:
        self._parts = parts
        self._known: dict[str, str | None] = {}
        self._last = 0.0
        self.seconds: Counter[str] = Counter()

    def __enter__(self) -> Stages:
        self._last = time.process_time()
        signal.signal(signal.SIGPROF, self._tick)
        signal.setitimer(signal.ITIMER_PROF, TICK, TICK)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, signal.SIG_DFL)

    def table(self, events: int) -> dict[str, float]:
        """CPU-seconds per million events by stage, the dearest first."""
        return {stage: round(seconds * 1e6 / events, 2) for stage, seconds in self.seconds.most_common()}

    def _tick(self, _number: int, frame: FrameType | None) -> None:
        now = time.process_time()
        spent, self._last = now - self._last, now
        self.seconds[self._stage(frame)] += spent

    def _stage(self, frame: FrameType | None) -> str:
        while frame is not None:
            name = frame.f_code.co_filename
            if name not in self._known:
                self._known[name] = next((stage for part, stage in self._parts if part in name), None)
            stage = self._known[name]
            if stage is not None:
                return stage
            frame = frame.f_back
        return REST
