"""A jurisdiction's calendar file: days that differ from the country's, and office hours. Read and checked here.

jurisdiction: long-an
day_hours: 8
days:
  - {day: 2026-01-02, kind: off, why: hoán đổi ngày làm việc}
hours:
  - {weekdays: "07:30-11:30, 13:30-17:30"}
  - {levels: [commune], saturday: "07:30-11:30"}
seats:
  - {role: land, of: [H39.25], agency: H39.13.02}
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import date, time, timedelta
from typing import Annotated, Final, NamedTuple, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from router.errors import ConfigError
from router.procedures.office import CLOSED, DEFAULT_WEEK, OfficeHours, Offices, OfficeWeek
from router.refusals import refused, unfit, words_of
from router.yaml_file import Document, parse

WEEKDAYS: Final = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
CLOSED_WORD: Final = "closed"
_RANGE: Final = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]):([0-5]\d)")
_EXPECTED: Final[Mapping[str, str]] = {
    "hours": 'hours: [{levels: [commune], weekdays: "07:00-11:30, 13:30-17:00", saturday: "07:30-11:30"}]',
    "seats": "seats: [{role: land, of: [H39.25], agency: H39.13.02}]",
    "day_hours": "hours that a working day means, more than 0 and at most 24",
    "same_day_until": 'a time of day: "15:00"',
}
_DAYS: Final = "days: [{day: 2026-01-02, kind: off | makeup_work, why: …}]"


def _hours(value: object) -> object:
    """``07:00-11:30, 13:30-17:00`` or ``closed``. Raises ``ValueError``."""
    if value is None or isinstance(value, OfficeHours):
        return value
    if value == CLOSED_WORD:
        return CLOSED
    found = [_RANGE.fullmatch(part.strip()) for part in str(value).split(",")]
    ranges: list[tuple[time, time]] = []
    for each in found:
        if each is None:
            raise ValueError("office hours are like `07:00-11:30, 13:30-17:00`, or `closed`")
        start, end = time(int(each[1]), int(each[2])), time(int(each[3]), int(each[4]))
        if end <= start or (ranges and start < ranges[-1][1]):
            raise ValueError("office hours ascend and do not overlap")
        ranges.append((start, end))
    return OfficeHours(tuple(ranges))


Hours = Annotated[OfficeHours | None, BeforeValidator(_hours)]


class Part(BaseModel):
    """Frozen; unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)


class Override(Part):
    """One day that differs from the library, and why (the decision's number)."""

    day: date
    kind: str = Field(pattern=r"^(off|makeup_work)$")
    why: str = Field(min_length=1)


class OfficeEntry(Part):
    """Whose hours: agencies (with those below them), levels of agencies, roles in procedures; of nobody by name: the
    jurisdiction's usual ones. Days that are not named are as usual.
    """

    agencies: tuple[str, ...] = ()
    levels: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()
    weekdays: Hours = None
    monday: Hours = None
    tuesday: Hours = None
    wednesday: Hours = None
    thursday: Hours = None
    friday: Hours = None
    saturday: Hours = None
    sunday: Hours = None
    why: str = ""

    @property
    def whose(self) -> tuple[tuple[str, str], ...]:
        """Pairs of kind and name."""
        named = (("agencies", self.agencies), ("levels", self.levels), ("roles", self.roles))
        return tuple((kind, name) for kind, names in named for name in names)

    def over(self, usual: OfficeWeek) -> OfficeWeek:
        """The week that comes of it."""
        days = list(usual.days)
        for number, name in enumerate(WEEKDAYS):
            own = getattr(self, name)
            if own is None and number < WEEKDAYS.index("saturday"):
                own = self.weekdays
            days[number] = days[number] if own is None else own
        return replace(usual, days=tuple(days))


class Seat(Part):
    """Which agency has a role of the definitions, for dossiers of these agencies and of those below them."""

    role: str = Field(min_length=1)
    of: tuple[str, ...] = Field(min_length=1)
    agency: str = Field(min_length=1)


class CalendarFile(Part):
    """The whole file."""

    jurisdiction: str
    day_hours: float = Field(default=8, gt=0, le=24)
    same_day_until: time = time(15, 0)
    days: tuple[Override, ...] = ()
    hours: tuple[OfficeEntry, ...] = ()
    seats: tuple[Seat, ...] = ()

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        _once("days", ((n, entry.day) for n, entry in enumerate(self.days)))
        usual = [("usual", "hours")]
        whose = ((n, pair) for n, entry in enumerate(self.hours) for pair in entry.whose or usual)
        _once("hours", ((n, f"{kind} {name}") for n, (kind, name) in whose))
        _once("seats", ((n, f"{seat.role} of {code}") for n, seat in enumerate(self.seats) for code in seat.of))
        for number, entry in enumerate(self.hours):
            if not entry.over(DEFAULT_WEEK).full.length:
                raise _Fault("never_open", ("hours", str(number)), "hours")
        return self

    def offices(self) -> Offices:
        """Whose week is which, and who has which role."""
        base = replace(DEFAULT_WEEK, day=timedelta(hours=self.day_hours), same_day_until=self.same_day_until)
        usual = next((entry.over(base) for entry in self.hours if not entry.whose), base)
        weeks: dict[str, dict[str, OfficeWeek]] = {"agencies": {}, "levels": {}, "roles": {}}
        for entry in self.hours:
            for kind, name in entry.whose:
                weeks[kind][name] = entry.over(usual)
        seats = {(code, seat.role): seat.agency for seat in self.seats for code in seat.of}
        return Offices(usual, **weeks, seats=seats)


class Read(NamedTuple):
    """What a file says: whether days are worked, and the office hours."""

    days: Mapping[date, bool]
    offices: Offices


class _Fault(ValueError):
    """A fault of the file as a whole: one of ``refusals.PROBLEMS``, at a place that is named ``key``."""

    def __init__(self, problem: str, place: tuple[str, ...], key: str, found: str = "") -> None:
        super().__init__(f"{key}: {problem}")
        self.problem, self.place, self.key, self.found = problem, place, key, found


def read(text: str, file: str) -> Read:
    """Read a file's text. Raises ``ConfigError`` naming file, line, key and expected form."""
    document = parse(text, file, texts=True)
    try:
        made = CalendarFile.model_validate(document.values)
    except ValidationError as error:
        raise _refusal(error, document) from None
    return Read({entry.day: entry.kind == "makeup_work" for entry in made.days}, made.offices())


def _refusal(error: ValidationError, document: Document) -> ConfigError:
    first = error.errors(include_url=False, include_input=False)[0]
    fault = (first.get("ctx") or {}).get("error")
    if isinstance(fault, _Fault):
        place, form = fault.place, _form_of(fault.place[0])
        line, key = document.line_of(place), fault.key
        return refused(fault.problem, file=document.file, line=line, key=key, form=form, found=fault.found)
    key, form = ".".join(map(str, first["loc"])), _form_of(str(first["loc"][0]) if first["loc"] else "")
    return unfit(words_of(first), file=document.file, line=document.line_of(first["loc"]), key=key, form=form)


def _form_of(part: str) -> str:
    """The form of a part of the file; of days, where no part is meant."""
    return next((form for name, form in _EXPECTED.items() if part.startswith(name)), _DAYS)


def _once(key: str, names: Iterable[tuple[int, object]]) -> None:
    """Refuse a name that stands in two entries; ``names`` are pairs of the entry's number and a name."""
    seen: set[object] = set()
    for number, name in names:
        if name in seen:
            raise _Fault("twice", (key, str(number)), f"{key}, {name}", str(name))
        seen.add(name)
