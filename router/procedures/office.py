"""Office hours as time that counts: 8 hours are a working day, fractions of a day are hours of it. Pure."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from typing import Final, NamedTuple

HOURS_A_DAY: Final = 8
_ANY_DAY: Final = date(2000, 1, 3)


class OfficeHours(NamedTuple):
    """Local opening times of one day, ascending. The default is 8 hours, which is what a working day means."""

    ranges: tuple[tuple[time, time], ...] = ((time(7, 0), time(11, 30)), (time(13, 30), time(17, 0)))

    @property
    def length(self) -> timedelta:
        """Office time of a day."""
        return sum((_between(start, end) for start, end in self.ranges), timedelta())

    def elapsed(self, until: time) -> timedelta:
        """Office time of a day up to a time of day."""
        return sum((_between(start, min(max(until, start), end)) for start, end in self.ranges), timedelta())

    def at(self, elapsed: timedelta) -> time:
        """The time of day when so much office time has passed (0: the opening; at most the length of a day)."""
        for start, end in self.ranges:
            part = _between(start, end)
            if elapsed <= part:
                return (datetime.combine(_ANY_DAY, start) + elapsed).time()
            elapsed -= part
        return self.ranges[-1][1]


def _between(start: time, end: time) -> timedelta:
    return datetime.combine(_ANY_DAY, end) - datetime.combine(_ANY_DAY, start)
