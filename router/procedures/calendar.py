"""Working days and working time in Vietnam: public holidays, swapped days, office hours, a jurisdiction's own dates.

Holidays come from the ``holidays`` library; what the Government decides later, and what a province adds, stands in a
dated override file: ``off`` and ``makeup_work`` days with their reason. Times are aware and local to Vietnam. A working
day is 8 hours of office time; a duration begins at the first office time at or after its start.
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
from typing import Any, Final

import holidays
import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from router.errors import ConfigError
from router.procedures.office import HOURS_A_DAY, OfficeHours
from router.sdk.dates import VIETNAM

DEFAULT_HOURS: Final = OfficeHours()
SAME_DAY_UNTIL: Final = time(15, 0)
CLOSING: Final = time(17, 0)
FIRST_OF_WEEKEND: Final = 5
LONGEST_BREAK: Final = 60  # days; a calendar with more days off in a row is a slip of the pen


class Override(BaseModel):
    """One day that differs from the library, and why (the decision's number)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    day: date
    kind: str = Field(pattern=r"^(off|makeup_work)$")
    why: str = Field(min_length=1)


class Overrides(BaseModel):
    """A jurisdiction's file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    jurisdiction: str
    days: tuple[Override, ...] = ()


@dataclass(frozen=True, slots=True)
class Calendar:
    """Immutable; one per jurisdiction. ``version`` is a digest of what it was made from, stored with each due date."""

    name: str
    version: str
    overrides: Mapping[date, bool] = field(repr=False)  # day → whether it is worked

    def is_working_day(self, day: date) -> bool:
        """Whether offices work on that day."""
        if (worked := self.overrides.get(day)) is not None:
            return worked
        off, made_up = _holidays(day.year)
        return day in made_up or (day.weekday() < FIRST_OF_WEEKEND and day not in off)

    def next_working_day(self, day: date) -> date:
        """The first working day after ``day``."""
        for ahead in range(1, LONGEST_BREAK):
            if self.is_working_day(following := day + timedelta(days=ahead)):
                return following
        raise ConfigError(f"{LONGEST_BREAK} days off in a row after {day}", key="calendar.overrides")

    def same_day_due(self, received: datetime) -> datetime:
        """Procedures of the same day: before 15:00 by 17:00 that day, else by 17:00 of the next working day."""
        at = received.astimezone(VIETNAM)
        today = self.is_working_day(at.date()) and at.time() < SAME_DAY_UNTIL
        return _at(at.date() if today else self.next_working_day(at.date()), CLOSING)

    def add_working_days(self, start: datetime, days: Fraction | int, hours: OfficeHours = DEFAULT_HOURS) -> datetime:
        """``days`` of 8 hours of office time after ``start``. Raises ``ValueError`` for a negative number."""
        if days < 0:
            raise ValueError("a duration is not negative")
        day, done = self._first_office_time(start, hours)
        seconds = Fraction(days) * HOURS_A_DAY * 3600
        left = done + timedelta(seconds=float(seconds))
        while left > hours.length:
            left -= hours.length
            day = self.next_working_day(day)
        return _at(day, hours.at(left))

    def add_calendar_days(self, start: datetime, days: int) -> datetime:
        """The same time of day so many days later, moved on to a working day: papers are handed over on one."""
        at = start.astimezone(VIETNAM)
        end = at.date() + timedelta(days=days)
        return _at(end if self.is_working_day(end) else self.next_working_day(end), at.time())

    def working_time_between(self, a: datetime, b: datetime, hours: OfficeHours = DEFAULT_HOURS) -> timedelta:
        """Office time from ``a`` to ``b``; nothing if ``b`` is not later."""
        first, last = a.astimezone(VIETNAM), b.astimezone(VIETNAM)
        if last <= first:
            return timedelta()
        whole = hours.length * self.working_days_between(first.date(), last.date())
        return whole + self._elapsed(last, hours) - self._elapsed(first, hours)

    def working_days_between(self, a: date, b: date) -> int:
        """Working days in ``[a, b)``; negative if ``b`` is before ``a``."""
        if b < a:
            return -self.working_days_between(b, a)
        return sum(self.is_working_day(a + timedelta(days=n)) for n in range((b - a).days))

    def _elapsed(self, at: datetime, hours: OfficeHours) -> timedelta:
        return hours.elapsed(at.time()) if self.is_working_day(at.date()) else timedelta()

    def _first_office_time(self, start: datetime, hours: OfficeHours) -> tuple[date, timedelta]:
        """The day on which a duration begins, and the office time of that day that has passed by then."""
        at = start.astimezone(VIETNAM)
        day, done = at.date(), hours.elapsed(at.time())
        if not self.is_working_day(day) or done >= hours.length:
            return self.next_working_day(day), timedelta()
        return day, done


def load_calendar(jurisdiction: str = "vn", overrides: Path | None = None) -> Calendar:
    """The country's calendar with a jurisdiction's own days. Raises ``ConfigError`` naming file and key."""
    text = (files("router.procedures") / "overrides" / "vn.yaml").read_text("utf-8")
    days = dict(_read(text, "vn.yaml"))
    if overrides is not None:
        try:
            text = overrides.read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError("cannot be read", file=str(overrides), expected="a YAML file in UTF-8") from error
        days |= _read(text, str(overrides))
    made_of = repr((jurisdiction, version("holidays"), sorted(days.items())))
    return Calendar(jurisdiction, sha256(made_of.encode()).hexdigest()[:12], days)


def _read(text: str, file: str) -> dict[date, bool]:
    try:
        values: Any = yaml.load(text, Loader=yaml.BaseLoader)  # all scalars are texts: a bare `off` is no false
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        raise ConfigError("is not YAML", file=file, key=f"line {mark.line + 1}" if mark else "") from error
    try:
        read = Overrides.model_validate(values)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        key = ".".join(map(str, first["loc"]))
        raise ConfigError(
            first["msg"], file=file, key=key, expected="days: [{day: 2026-01-02, kind: off | makeup_work, why: …}]"
        ) from None
    twice = [entry.day for n, entry in enumerate(read.days) if any(entry.day == other.day for other in read.days[:n])]
    if twice:
        raise ConfigError("stands there twice", file=file, key=f"days, {twice[0]}", expected="each day once")
    return {entry.day: entry.kind == "makeup_work" for entry in read.days}


@cache
def _holidays(year: int) -> tuple[frozenset[date], frozenset[date]]:
    """Days off and make-up working days of a year, as the library knows them."""
    known = holidays.country_holidays("VN", years=year)
    return frozenset(known), frozenset(day for day in known.weekend_workdays if day.year == year)


def _at(day: date, clock: time) -> datetime:
    return datetime.combine(day, clock.replace(tzinfo=None), VIETNAM)
