"""Dossiers that never were: events and dates by a seeded chance, due dates by the calendar, and never a class."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from random import Random  # noqa: TID251 - seeded: the same dossiers every time
from typing import Any, NamedTuple

from router.events import key_of
from router.procedures.calendar import Calendar
from router.procedures.dues import VIETNAM, micros


class Wanted(NamedTuple):
    """How many dossiers end how, against their due date."""

    early: int
    on_time: int
    overdue: int
    open: int


def dossiers(
    wanted: Wanted, calendar: Calendar, year: int, seed: int, agencies: tuple[str, ...]
) -> Iterator[dict[str, Any]]:
    """Rows of facts: received over the year, due 5 to 20 working days later, ended before, on or after that day."""
    chance = Random(seed)
    days = [date(year, 1, 1) + timedelta(days=n) for n in range(365)]
    worked = [day for day in days if calendar.is_working_day(day)]
    ends = [*([-1] * wanted.early), *([0] * wanted.on_time), *([1] * wanted.overdue), *([None] * wanted.open)]
    chance.shuffle(ends)
    for number, end in enumerate(ends):
        received = datetime.combine(chance.choice(worked), time(8, chance.randrange(60)), VIETNAM)
        due = calendar.add_working_days(received, chance.randint(5, 20))
        finished = None if end is None else due + timedelta(days=end * chance.randint(1, 4))
        yield _row(number, received, due, finished, chance, agencies)


def _row(
    number: int, received: datetime, due: datetime, finished: datetime | None, chance: Random, agencies: tuple[str, ...]
) -> dict[str, Any]:
    agency = chance.choice(agencies)
    code = f"{agency}-{received:%y%m%d}-{number:06d}"
    at = micros(received)
    ended = micros(finished) if finished is not None else None
    return {
        "key": key_of("dossier_code", code).bytes,
        "code": code,
        "procedure": chance.choice(("1.012783", "1.004889", "2.000720")),
        "agency": agency,
        "level": "commune" if agency.count(".") > 1 else "department",
        "channel": chance.choice(("online", "online", "counter")),
        "service_level": chance.choice(("full", "partial")),
        "status": 10 if ended else 4,
        "received_at": at,
        "received_date": received.date().isoformat(),
        "accepted_at": at,
        "due_agency": None,
        "due_whole": micros(due),
        "due_date": due.date().isoformat(),
        "finished_at": ended,
        "finished_date": finished.date().isoformat() if finished is not None else None,
        "returned_at": ended,
        "paused_since": None,
        "paused_status": None,
        "supplement_rounds": 0,
        "overdue_detected_at": None,
        "apology_at": None,
        "extended": False,
        "integrity_warning": False,
        "calendar": "generated",
        "sector": chance.choice(("G10-DD01", "G15-HT02", "G05-DK03")),
    }
