"""Working days and working time in Vietnam: public holidays, swapped days, office hours, a jurisdiction's own dates.

Holidays come from the ``holidays`` library; what the Government decides later, and what a province adds, stands in a
dated override file: ``off`` and ``makeup_work`` days with their reason, and office hours. Times are aware and local to
Vietnam. A duration begins at the first office time at or after its start.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from fractions import Fraction
from functools import cache
from hashlib import sha256
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import Final

import holidays

from router.procedures.calendar_file import read
from router.procedures.office import CLOSED, DEFAULT_WEEK, OfficeHours, Offices, OfficeWeek
from router.refusals import refused
from router.sdk.dates import VIETNAM
from router.text_file import text_of

LONGEST_BREAK: Final = 60  # days; a calendar with more days off in a row is a slip of the pen


@dataclass(frozen=True, slots=True)
class Calendar:
    """Immutable; one per jurisdiction. ``version`` is a digest of what it was made from, stored with each due date.

    Durations are counted in the office hours of a ``week``, which is the default one where none is given.
    """

    name: str
    version: str
    overrides: Mapping[date, bool] = field(repr=False)  # day → whether it is worked
    offices: Offices = field(default_factory=Offices, repr=False)

    def is_working_day(self, day: date) -> bool:
        """Whether that day is a working day of the law: Monday to Friday without days off, and make-up days."""
        return bool(self.hours_on(day, DEFAULT_WEEK).ranges)

    def hours_on(self, day: date, week: OfficeWeek) -> OfficeHours:
        """When an office works on that day."""
        if (worked := self.overrides.get(day)) is not None:
            return week.full if worked else CLOSED
        off, made_up = _holidays(day.year)
        if day in made_up:
            return week.full
        return CLOSED if day in off else week.days[day.weekday()]

    def next_working_day(self, day: date, week: OfficeWeek = DEFAULT_WEEK) -> date:
        """The first day after ``day`` on which the office works."""
        for ahead in range(1, LONGEST_BREAK):
            if self.hours_on(following := day + timedelta(days=ahead), week).ranges:
                return following
        raise refused("no_working_day", key="procedures.overrides", days=LONGEST_BREAK, day=day)

    def same_day_due(self, received: datetime, week: OfficeWeek = DEFAULT_WEEK) -> datetime:
        """Procedures of the same day: received before 15:00 by the closing of that day, else of the next one. A day on
        which the office has closed by 15:00 is no such day.
        """
        at = received.astimezone(VIETNAM)
        day, until = at.date(), week.same_day_until
        if at.time() >= until or not self._whole(day, week):
            day = self.next_working_day(day, week)
            while not self._whole(day, week):
                day = self.next_working_day(day, week)
        return self.closing(day, week)

    def closing(self, day: date, week: OfficeWeek = DEFAULT_WEEK) -> datetime:
        """When the office closes on a day it works, or on the next such day."""
        hours = self.hours_on(day, week)
        if not hours.ranges:
            return self.closing(self.next_working_day(day, week), week)
        return _at(day, hours.closing)

    def add_working_days(self, start: datetime, days: Fraction | int, week: OfficeWeek = DEFAULT_WEEK) -> datetime:
        """``days`` of office time after ``start``. Raises ``ValueError`` for a negative number."""
        if days < 0:
            raise ValueError("a duration is not negative")
        return self.add_office_time(
            start, timedelta(seconds=float(Fraction(days) * int(week.day.total_seconds()))), week
        )

    def add_office_time(self, start: datetime, span: timedelta, week: OfficeWeek = DEFAULT_WEEK) -> datetime:
        """So much office time after ``start``."""
        day, done = self._first_office_time(start, week)
        left, hours = done + span, self.hours_on(day, week)
        while left > hours.length:
            left -= hours.length
            day = self.next_working_day(day, week)
            hours = self.hours_on(day, week)
        return _at(day, hours.at(left))

    def add_calendar_days(self, start: datetime, days: int) -> datetime:
        """The same time of day so many days later, moved on to a working day: papers are handed over on one."""
        at = start.astimezone(VIETNAM)
        end = at.date() + timedelta(days=days)
        return _at(end if self.is_working_day(end) else self.next_working_day(end), at.time())

    def working_time_between(self, a: datetime, b: datetime, week: OfficeWeek = DEFAULT_WEEK) -> timedelta:
        """Office time from ``a`` to ``b``; nothing if ``b`` is not later."""
        first, last = a.astimezone(VIETNAM), b.astimezone(VIETNAM)
        if last <= first:
            return timedelta()
        days = range((last.date() - first.date()).days)
        whole = sum((self.hours_on(first.date() + timedelta(days=n), week).length for n in days), timedelta())
        return whole + self._elapsed(last, week) - self._elapsed(first, week)

    def working_days_between(self, a: date, b: date) -> int:
        """Working days of the law in ``[a, b)``; negative if ``b`` is before ``a``."""
        if b < a:
            return -self.working_days_between(b, a)
        return sum(self.is_working_day(a + timedelta(days=n)) for n in range((b - a).days))

    def _whole(self, day: date, week: OfficeWeek) -> bool:
        hours = self.hours_on(day, week)
        return bool(hours.ranges) and hours.closing >= week.same_day_until

    def _elapsed(self, at: datetime, week: OfficeWeek) -> timedelta:
        return self.hours_on(at.date(), week).elapsed(at.time())

    def _first_office_time(self, start: datetime, week: OfficeWeek) -> tuple[date, timedelta]:
        """The day on which a duration begins, and the office time of that day that has passed by then."""
        at = start.astimezone(VIETNAM)
        hours = self.hours_on(at.date(), week)
        done = hours.elapsed(at.time())
        if not hours.ranges or done >= hours.length:
            return self.next_working_day(at.date(), week), timedelta()
        return at.date(), done


def load_calendar(jurisdiction: str = "vn", overrides: Path | None = None) -> Calendar:
    """The country's calendar with a jurisdiction's own days and office hours.

    Raises ``ConfigError`` naming file and key.
    """
    shipped = (files("router.procedures") / "overrides" / "vn.yaml").read_text("utf-8")
    days, offices = read(shipped, "vn.yaml")
    if overrides is not None:
        own = read(text_of(overrides), str(overrides))
        days, offices = {**days, **own.days}, own.offices
    made_of = repr((jurisdiction, version("holidays"), sorted(days.items()), offices))
    return Calendar(jurisdiction, sha256(made_of.encode()).hexdigest()[:12], days, offices)


@cache
def _holidays(year: int) -> tuple[frozenset[date], frozenset[date]]:
    """Days off and make-up working days of a year, as the library knows them."""
    known = holidays.country_holidays("VN", years=year)
    return frozenset(known), frozenset(day for day in known.weekend_workdays if day.year == year)


def _at(day: date, clock: time) -> datetime:
    return datetime.combine(day, clock.replace(tzinfo=None), VIETNAM)
