"""Working days and working time: worked cases, swapped days, overrides, and laws that hold for any of them."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.errors import ConfigError
from router.procedures.calendar import load_calendar
from router.procedures.office import DEFAULT_HOURS, OfficeHours, OfficeWeek
from router.sdk.dates import VIETNAM

CALENDAR = load_calendar()
DAYS = st.dates(date(2024, 1, 1), date(2027, 12, 31))
INSTANTS = st.datetimes(datetime(2024, 1, 1), datetime(2027, 6, 30), timezones=st.just(VIETNAM))
SPANS = st.fractions(min_value=0, max_value=60, max_denominator=4)


def at(text: str) -> datetime:
    return datetime.strptime(text, "%Y-%m-%d %H:%M").replace(tzinfo=VIETNAM)


@pytest.mark.parametrize(
    ("received", "days", "due"),
    [
        ("2025-04-25 16:30", 3, "2025-04-29 16:30"),  # Saturday 26 April was worked for Friday 2 May
        ("2025-04-29 09:00", 3, "2025-05-07 09:00"),  # 30 April, 1 and 2 May off
        ("2026-08-21 10:00", 2, "2026-08-24 10:00"),  # Saturday 22 August is worked for Monday 31 August
        ("2026-08-28 10:00", 1, "2026-09-03 10:00"),  # 31 August, 1 and 2 September off
        ("2025-01-24 16:00", 1, "2025-02-03 16:00"),  # Tet of 2025
        ("2025-03-03 12:15", 1, "2025-03-04 11:30"),  # it begins after lunch: 3.5 hours today, 4.5 tomorrow
        ("2025-03-03 06:00", 1, "2025-03-03 17:00"),
        ("2025-03-03 18:00", 1, "2025-03-04 17:00"),
        ("2025-03-01 10:00", 1, "2025-03-03 17:00"),  # a Saturday: it begins on Monday morning
        ("2025-03-03 07:00", Fraction(1, 4), "2025-03-03 09:00"),
        ("2025-03-03 11:00", Fraction(1, 4), "2025-03-03 15:00"),
    ],
)
def test_working_days_end_when_their_office_hours_have_passed(received: str, days: Fraction | int, due: str) -> None:
    assert CALENDAR.add_working_days(at(received), days) == at(due)


@pytest.mark.parametrize(
    ("received", "due"),
    [
        ("2025-08-14 14:59", "2025-08-14 17:00"),
        ("2025-08-14 15:00", "2025-08-15 17:00"),
        ("2025-08-15 15:00", "2025-08-18 17:00"),
        ("2025-08-16 09:00", "2025-08-18 17:00"),
    ],
)
def test_same_day_procedures_turn_at_three_in_the_afternoon(received: str, due: str) -> None:
    assert CALENDAR.same_day_due(at(received)) == at(due)


@pytest.mark.parametrize(
    ("day", "worked"),
    [
        ("2024-02-09", False), ("2024-02-14", False), ("2024-04-18", False), ("2024-04-29", False),
        ("2024-05-04", True), ("2024-09-03", False), ("2025-01-27", False), ("2025-04-07", False),
        ("2025-04-26", True), ("2025-05-02", False), ("2025-09-01", False), ("2025-09-02", False),
        ("2026-02-16", False), ("2026-04-27", False), ("2026-08-22", True), ("2026-08-31", False),
        ("2027-05-03", False), ("2027-09-03", False), ("2025-08-16", False), ("2025-08-18", True),
    ],
)  # fmt: skip
def test_public_holidays_with_their_substitutes_and_make_up_days(day: str, worked: bool) -> None:
    assert CALENDAR.is_working_day(date.fromisoformat(day)) is worked


def test_an_override_file_swaps_a_day(tmp_path: Path) -> None:
    file = tmp_path / "long-an.yaml"
    file.write_text(
        "jurisdiction: vn\ndays:\n"
        "  - {day: 2026-01-02, kind: off, why: hoán đổi ngày làm việc}\n"
        "  - {day: 2026-01-10, kind: makeup_work, why: làm bù ngày 02/01}\n",
        "utf-8",
    )
    swapped = load_calendar("long-an", file)
    assert not swapped.is_working_day(date(2026, 1, 2))
    assert swapped.is_working_day(date(2026, 1, 10))
    assert swapped.add_working_days(at("2025-12-31 10:00"), 1) == at("2026-01-05 10:00")
    assert swapped.version != CALENDAR.version


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("jurisdiction: vn\ndays: [{day: 2026-01-02, kind: holiday, why: x}]", "days.0.kind"),
        ("jurisdiction: vn\ndays: [{day: 2026-02-30, kind: off, why: x}]", "days.0.day"),
        ("jurisdiction: vn\ndays: [{day: 2026-01-02, kind: off}]", "days.0.why"),
        ("days: []", "jurisdiction"),
        ("jurisdiction: vn\nday: []", "day"),
        (
            "jurisdiction: vn\ndays: [{day: 2026-01-02, kind: off, why: x}, {day: 2026-01-02, kind: off, why: y}]",
            "days, 2026-01-02",
        ),
        ("jurisdiction: [", ""),
    ],
)
def test_a_bad_override_file_is_refused_with_its_key(tmp_path: Path, text: str, key: str) -> None:
    file = tmp_path / "bad.yaml"
    file.write_text(text, "utf-8")
    with pytest.raises(ConfigError) as raised:
        load_calendar("vn", file)
    assert raised.value.file == str(file)
    assert raised.value.key == key


@given(INSTANTS, SPANS)
def test_the_office_time_of_a_duration_is_its_length(start: datetime, days: Fraction) -> None:
    end = CALENDAR.add_working_days(start, days)
    assert CALENDAR.working_time_between(start, end) == timedelta(hours=float(days * 8))


@given(INSTANTS, SPANS, SPANS)
def test_durations_add_up(start: datetime, one: Fraction, other: Fraction) -> None:
    apart = CALENDAR.add_working_days(CALENDAR.add_working_days(start, one), other)
    together = CALENDAR.add_working_days(start, one + other)
    assert CALENDAR.working_time_between(start, apart) == CALENDAR.working_time_between(start, together)


@given(INSTANTS, st.fractions(min_value=Fraction(1, 4), max_value=30, max_denominator=4))
def test_a_due_date_lies_in_office_hours_of_a_working_day(start: datetime, days: Fraction) -> None:
    end = CALENDAR.add_working_days(start, days)
    assert CALENDAR.is_working_day(end.date())
    assert any(opening <= end.time() <= closing for opening, closing in DEFAULT_HOURS.ranges)


@given(DAYS, DAYS, DAYS)
def test_working_days_between_are_additive(a: date, b: date, c: date) -> None:
    between = CALENDAR.working_days_between
    assert between(a, b) + between(b, c) == between(a, c)


@given(DAYS)
def test_the_next_working_day_is_the_first_one_after(day: date) -> None:
    following = CALENDAR.next_working_day(day)
    assert following > day
    assert CALENDAR.is_working_day(following)
    assert CALENDAR.working_days_between(day + timedelta(days=1), following) == 0


def test_a_half_day_office_counts_its_own_hours() -> None:
    mornings = OfficeWeek((OfficeHours(((time(7, 30), time(11, 30)),)),) * 5 + (OfficeHours(()),) * 2)
    assert CALENDAR.add_working_days(at("2025-03-03 07:30"), 1, mornings) == at("2025-03-04 11:30")


def test_calendar_days_end_on_a_working_day() -> None:
    assert CALENDAR.add_calendar_days(at("2025-03-03 09:00"), 30) == at("2025-04-02 09:00")
    assert CALENDAR.add_calendar_days(at("2025-03-06 09:00"), 30) == at("2025-04-08 09:00")  # Saturday, then 7 April
