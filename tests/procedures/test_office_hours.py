"""Office hours are data: whose they are, what they do to due dates, and what a bad file is told."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, time, timedelta
from fractions import Fraction
from pathlib import Path
from textwrap import dedent

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.errors import ConfigError
from router.procedures import dues, recount
from router.procedures.calendar import Calendar, load_calendar
from router.procedures.dues import Clockwork, local, micros
from router.procedures.duration import Duration
from router.procedures.office import OfficeHours, OfficeWeek, Place
from tests.procedures.story import Story
from tests.procedures.test_calendar import INSTANTS, SPANS, at

LONG_AN = """
jurisdiction: long-an
same_day_until: "14:30"
days:
  - {day: 2025-08-09, kind: makeup_work, why: làm bù}
hours:
  - {weekdays: "07:30-11:30, 13:30-17:30"}
  - {levels: [commune], saturday: "07:30-11:30", why: tiếp công dân sáng thứ Bảy}
  - {agencies: [H39.25], friday: "07:30-11:30", why: thí điểm}
  - {roles: [tax], weekdays: "08:00-12:00, 13:00-17:00"}
"""
PLACES = {
    "H39.16": Place(("H39.16", "H39"), "department"),
    "H39.16.01": Place(("H39.16.01", "H39.16", "H39"), "commune"),
    "H39.25.01": Place(("H39.25.01", "H39.25", "H39"), "commune"),
}


def calendar(folder: Path, text: str) -> Calendar:
    file = folder / "hours.yaml"
    file.write_text(text, "utf-8")
    return load_calendar("long-an", file)


@pytest.fixture
def clockwork(tmp_path: Path) -> Clockwork:
    return Clockwork(calendar(tmp_path, LONG_AN), place_of=lambda code: PLACES.get(code, Place((code,))))


def due(clockwork: Clockwork, start: str, days: str) -> datetime:
    return local(clockwork.days_after(micros(at(start)), Fraction(days)))


@pytest.mark.parametrize(
    ("agency", "role", "start", "days", "end"),
    [
        ("H39.16", "", "2025-08-14 16:30", "1", "2025-08-15 16:30"),  # Thursday, hours of the province
        ("H39.16", "", "2025-08-15 09:30", "1", "2025-08-18 09:30"),  # no Saturday there
        ("H39.16.01", "", "2025-08-15 09:30", "1", "2025-08-16 09:30"),  # Friday 6 hours, Saturday 2 of its 4
        ("H39.16.01", "", "2025-08-15 13:30", "1", "2025-08-16 11:30"),
        ("H39.16.01", "", "2025-08-16 09:30", "1/4", "2025-08-16 11:30"),
        ("H39.16.01", "", "2025-08-16 11:30", "1/4", "2025-08-18 09:30"),
        ("H39.25.01", "", "2025-08-15 09:30", "1/2", "2025-08-18 09:30"),  # its office above closes on Friday at noon
        ("H39.16", "tax", "2025-08-14 09:00", "1/2", "2025-08-14 14:00"),
        ("", "", "2025-08-08 09:30", "1", "2025-08-09 09:30"),  # a make-up Saturday is a whole day for everybody
        ("H39.25.01", "", "2025-08-09 07:30", "1", "2025-08-09 17:30"),
    ],
)
def test_a_due_date_is_counted_in_the_hours_of_the_office(
    clockwork: Clockwork, agency: str, role: str, start: str, days: str, end: str
) -> None:
    assert due(clockwork.at(agency, role), start, days) == at(end)


@pytest.mark.parametrize(
    ("agency", "received", "end"),
    [
        ("H39.16", "2025-08-14 14:29", "2025-08-14 17:30"),
        ("H39.16", "2025-08-14 14:30", "2025-08-15 17:30"),
        ("H39.16.01", "2025-08-16 08:00", "2025-08-18 17:30"),  # on a half day nothing ends the same day
        ("H39.25.01", "2025-08-15 08:00", "2025-08-18 17:30"),
    ],
)
def test_same_day_procedures_end_when_the_office_closes(
    clockwork: Clockwork, agency: str, received: str, end: str
) -> None:
    assert local(clockwork.at(agency).after(micros(at(received)), Duration.read("same day"))) == at(end)


def test_the_next_working_day_ends_when_the_office_closes(clockwork: Clockwork) -> None:
    span = Duration.read("next working day")
    assert local(clockwork.at("H39.16").after(micros(at("2025-08-15 09:00")), span)) == at("2025-08-18 17:30")


def test_a_pause_moves_a_due_date_by_the_hours_of_the_office(clockwork: Clockwork) -> None:
    since, until = micros(at("2025-08-15 13:30")), micros(at("2025-08-18 07:30"))  # Friday noon to Monday morning
    whole = micros(at("2025-08-20 08:30"))
    assert local(clockwork.at("H39.16").moved(whole, since, until)) == at("2025-08-20 14:30")
    assert local(clockwork.at("H39.16.01").moved(whole, since, until)) == at("2025-08-21 08:30")


def test_a_jurisdiction_says_how_many_hours_a_day_is(tmp_path: Path) -> None:
    short = calendar(tmp_path, "jurisdiction: x\nday_hours: 7\nhours: [{weekdays: '08:00-12:00, 13:00-16:00'}]")
    week = short.offices.usual
    assert short.add_working_days(at("2025-08-11 08:00"), 3, week) == at("2025-08-13 16:00")
    assert short.version != load_calendar("x").version


def test_both_due_dates_follow_the_hours_and_a_change_of_them(clockwork: Clockwork) -> None:
    story = Story("land_transfer", start=at("2025-08-15 09:29"), clockwork=clockwork)
    story.status(2, agency="H39.16.01")  # 09:30
    due = story.instance.due
    task, (began, *_) = story.definition.nodes[due.tasks[0]], due.agency
    assert str(task.days) == "1 working days"
    assert local(dues.due_at(due.agency)) == at("2025-08-16 09:30")
    own = clockwork.at("H39.16.01").days_after(story.now, Fraction(13))
    assert dues.due_at(due.whole) == own
    usual = Clockwork(load_calendar(), place_of=clockwork.place_of)
    again = recount.recalculated(story.instance, story.definition, usual, story.now)
    assert local(dues.due_at(again.agency)) == at("2025-08-18 09:30")
    assert dues.due_at(again.whole) == usual.days_after(story.now, Fraction(13)) > own
    assert [move.why for move in again.agency] == [began.why, f"calendar {usual.calendar.version}"]
    assert recount.recalculated(replace(story.instance, due=again), story.definition, usual, story.now) == again


@pytest.mark.parametrize(
    ("text", "key", "expected"),
    [
        ("jurisdiction: x\nhours: [{weekdays: '7:00-11:30'}]", "hours.0.weekdays", "07:00-11:30"),
        ("jurisdiction: x\nhours: [{weekdays: '07:00-11:30, 11:00-17:00'}]", "hours.0.weekdays", "07:00-11:30"),
        ("jurisdiction: x\nhours: [{weekdays: '11:30-07:00'}]", "hours.0.weekdays", "07:00-11:30"),
        ("jurisdiction: x\nhours: [{saturdays: '07:00-11:30'}]", "hours.0.saturdays", "07:00-11:30"),
        ("jurisdiction: x\nhours: [{weekdays: closed}]", "hours", "07:00-11:30"),
        ("jurisdiction: x\nhours: [{levels: [a], sunday: closed}, {levels: [a]}]", "hours, levels a", "07:00-11:30"),
        ("jurisdiction: x\nhours: [{saturday: closed}, {sunday: closed}]", "hours, usual hours", "07:00-11:30"),
        ("jurisdiction: x\nday_hours: 0", "day_hours", "at most 24"),
        ("jurisdiction: x\nday_hours: viii", "day_hours", "at most 24"),
        ("jurisdiction: x\nsame_day_until: 3pm", "same_day_until", "15:00"),
    ],
)
def test_bad_hours_are_refused_with_file_key_and_expected_form(
    tmp_path: Path, text: str, key: str, expected: str
) -> None:
    with pytest.raises(ConfigError) as raised:
        calendar(tmp_path, text)
    assert raised.value.file == str(tmp_path / "hours.yaml")
    assert raised.value.key.startswith(key)
    assert expected in raised.value.expected


@st.composite
def weeks(draw: st.DrawFn) -> OfficeWeek:
    """Any week with at least one open day; a working day of it is 6 to 9 hours."""

    def day(hours: tuple[int, int, int]) -> OfficeHours:
        morning, noon, evening = hours
        ranges = [(time(7), time(7 + morning))] if morning else []
        return OfficeHours((*ranges, *([(time(13, 30), time(13 + evening, 30))] if evening and noon else [])))

    shapes = st.tuples(st.integers(0, 4), st.integers(0, 1), st.integers(0, 4))
    days = [day(shape) for shape in draw(st.lists(shapes, min_size=7, max_size=7))]
    days[draw(st.integers(0, 4))] = day((4, 1, 4))
    return replace(OfficeWeek(), days=tuple(days), day=timedelta(hours=draw(st.integers(6, 9))))


COUNTRY = load_calendar()


@given(INSTANTS, SPANS, weeks())
def test_in_any_week_the_office_time_of_a_duration_is_its_length(
    start: datetime, days: Fraction, week: OfficeWeek
) -> None:
    end = COUNTRY.add_working_days(start, days, week)
    assert COUNTRY.working_time_between(start, end, week) == days.numerator * week.day / days.denominator
    assert COUNTRY.hours_on(end.date(), week).ranges


def test_the_file_that_the_docs_show_is_read(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "calendar.md").read_text("utf-8")
    shown = page[page.index("    jurisdiction:") : page.index("An entry of `hours`")]
    made = calendar(tmp_path, dedent(shown))
    assert made.offices.week_of(Place(("H39.16.01",), "commune")).days[5].length == timedelta(hours=4)
    assert made.offices.week_of(Place(("H39.25.01", "H39.25"), "commune")).days[4].length == timedelta(hours=4)
