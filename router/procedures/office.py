"""Office hours as time that counts: whose, on which day of the week, and how many of them are a working day. Pure.

A working day is 8 hours unless the jurisdiction says otherwise; fractions of a day are hours of it. Offices differ: a
province may work other hours, its communes Saturday morning as well, one office may close earlier on a Friday.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from typing import Final, NamedTuple

_ANY_DAY: Final = date(2000, 1, 3)

Ranges = tuple[tuple[time, time], ...]
_USUAL: Final[Ranges] = ((time(7, 0), time(11, 30)), (time(13, 30), time(17, 0)))


@dataclass(frozen=True, slots=True)
class OfficeHours:
    """Local opening times of one day, ascending; none: closed. ``length`` is the office time of the day."""

    ranges: Ranges = _USUAL
    length: timedelta = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        whole = sum((_between(start, end) for start, end in self.ranges), timedelta())
        object.__setattr__(self, "length", whole)

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
        return self.closing

    @property
    def closing(self) -> time:
        """When the day ends."""
        return self.ranges[-1][1]


@dataclass(frozen=True, slots=True)
class OfficeWeek:
    """Hours from Monday to Sunday. A make-up day, whatever its weekday, is worked like the week's longest day.

    ``day`` is the office time that a working day of a budget means. Procedures of the same day that come in before
    ``same_day_until`` end that day.
    """

    days: tuple[OfficeHours, ...] = field(default_factory=lambda: (DEFAULT_HOURS,) * 5 + (CLOSED,) * 2)
    day: timedelta = timedelta(hours=8)
    same_day_until: time = time(15, 0)
    full: OfficeHours = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "full", max(self.days, key=lambda hours: hours.length))


class Place(NamedTuple):
    """Where an office stands: codes of the agency and of those above it, from below; its level."""

    codes: Sequence[str] = ()
    level: str = ""


@dataclass(frozen=True, slots=True)
class Offices:
    """Whose week is which in a jurisdiction: the nearest agency's, else that of the role (what the office does in a
    procedure), else of the level, else the usual one. ``seats`` tell who has a role, by agency and role.
    """

    usual: OfficeWeek = field(default_factory=lambda: DEFAULT_WEEK)
    agencies: Mapping[str, OfficeWeek] = field(default_factory=dict)
    roles: Mapping[str, OfficeWeek] = field(default_factory=dict)
    levels: Mapping[str, OfficeWeek] = field(default_factory=dict)
    seats: Mapping[tuple[str, str], str] = field(default_factory=dict, repr=False)  # no part of the calendar's version

    def week_of(self, place: Place, role: str = "") -> OfficeWeek:
        """The week of an office."""
        for code in place.codes:
            if (own := self.agencies.get(code)) is not None:
                return own
        return self.roles.get(role) or self.levels.get(place.level) or self.usual

    def seat_of(self, place: Place, role: str) -> str:
        """The code of the agency that has a role for an agency: by its own entry, else that of the nearest above it.
        Empty where nobody has said.
        """
        found = (self.seats.get((code, role)) for code in place.codes)
        return next((agency for agency in found if agency), "")


def _between(start: time, end: time) -> timedelta:
    return datetime.combine(_ANY_DAY, end) - datetime.combine(_ANY_DAY, start)


CLOSED: Final[OfficeHours] = OfficeHours(())
DEFAULT_HOURS: Final[OfficeHours] = OfficeHours()
DEFAULT_WEEK: Final[OfficeWeek] = OfficeWeek()
