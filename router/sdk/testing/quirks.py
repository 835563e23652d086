"""How simulated partners misbehave, as real ones do. Which request is hit is a list or a switch, never chance."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from enum import StrEnum


class Quirk(StrEnum):
    """One way to misbehave."""

    SLOW = "slow"  # answers after ``Quirks.delay`` seconds
    DUPLICATE_ACK = "duplicate_ack"  # says *exists already* though it was new
    OK_WITH_ERROR = "ok_with_error"  # HTTP 200 with an error in the body, nothing done
    FAIL_AFTER_WORK = "fail_after_work"  # HTTP 500 after the work was done
    BUSY = "busy"  # HTTP 503, nothing done
    BUSY_WITH_TIME = "busy_with_time"  # HTTP 503 with Retry-After
    WRONG_CHARSET = "wrong_charset"  # answers in windows-1258 and calls it UTF-8
    RESET = "reset"  # cuts the connection in the middle of the answer, after the work


@dataclass(slots=True)
class Quirks:
    """``planned`` quirks hit the next requests of an operation, in order; ``away`` is an outage of the partner."""

    planned: dict[str, deque[Quirk]] = field(default_factory=dict)
    delay: float = 1.0
    away: bool = False
    hits: dict[Quirk, int] = field(default_factory=dict)

    def plan(self, operation: str, *quirks: Quirk) -> None:
        """The next requests of this operation meet these."""
        self.planned.setdefault(operation, deque()).extend(quirks)

    def take(self, operation: str) -> Quirk | None:
        """What the request now at hand meets."""
        if self.away:
            return self._hit(Quirk.BUSY)
        waiting = self.planned.get(operation)
        return self._hit(waiting.popleft()) if waiting else None

    def _hit(self, quirk: Quirk) -> Quirk:
        self.hits[quirk] = self.hits.get(quirk, 0) + 1
        return quirk
