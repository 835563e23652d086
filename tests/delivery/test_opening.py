"""Office hours and maintenance windows."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta

import hypothesis.strategies as st
import pytest
from hypothesis import given
from pydantic import ValidationError

from router.delivery.opening import ALWAYS, Opening, Shut
from router.sdk.dates import VIETNAM
from router.sdk.manifest import DAYS, Maintenance

HOURS = ((time(7, 30), time(11, 30)), (time(13, 0), time(17, 0)))
WEEK = ("mon", "tue", "wed", "thu", "fri")
HOLIDAY, MAKE_UP = date(2025, 9, 2), date(2025, 9, 6)  # a Tuesday, and a Saturday worked instead


def working(day: date) -> bool:
    return day == MAKE_UP or (day.weekday() < 5 and day != HOLIDAY)


OFFICE = Opening(WEEK, HOURS, is_working_day=working)


def local(day: int, hour: int, minute: int = 0, *, month: int = 9) -> datetime:
    return datetime(2025, month, day, hour, minute, tzinfo=VIETNAM)


@pytest.mark.parametrize(
    ("at", "until"),
    [
        (local(3, 7, 30), None),
        (local(3, 11, 29), None),
        (local(3, 11, 30), local(3, 13)),
        (local(3, 17), local(4, 7, 30)),
        (local(3, 3), local(3, 7, 30)),
        (local(1, 18), local(3, 7, 30)),  # over the holiday
        (local(6, 9), None),  # a make-up Saturday
        (local(12, 20), local(15, 7, 30)),  # over the weekend
    ],
)
def test_closed_until_the_next_opening(at: datetime, until: datetime | None) -> None:
    assert OFFICE.shut(at) == (Shut(until, "office hours") if until else None)


def test_urgent_deliveries_skip_office_hours_where_the_partner_allows_it() -> None:
    assert OFFICE.shut(local(3, 3), urgent=True) is None
    assert Opening(WEEK, HOURS, urgent_always=False).shut(local(3, 3), urgent=True) is not None


def test_a_maintenance_window_closes_for_everybody() -> None:
    window = Maintenance(start=local(3, 8), end=local(3, 9), why="nâng cấp hệ thống")
    open_always = Opening(windows=[window])
    assert open_always.shut(local(3, 8, 59), urgent=True) == Shut(window.end, window.why)
    assert open_always.shut(local(3, 9)) is None


@pytest.mark.parametrize(
    ("at", "until"),
    [
        (local(6, 21, 59), None),  # 2025-09-06 is a Saturday
        (local(6, 22), local(7, 2)),
        (local(7, 1, 59), local(7, 2)),
        (local(7, 2), None),
        (local(5, 23), None),
        (local(13, 23), local(14, 2)),
    ],
)
def test_a_weekly_window_may_end_on_the_next_day(at: datetime, until: datetime | None) -> None:
    window = Maintenance(day="sat", start=time(22), end=time(2), why="sao lưu hằng tuần")
    assert Opening(windows=[window]).shut(at) == (Shut(until, window.why) if until else None)


@given(
    at=st.datetimes(datetime(2025, 1, 1), datetime(2026, 1, 1)),
    day=st.sampled_from(DAYS),
    hours=st.tuples(st.times(), st.times()),
)
def test_a_weekly_window_is_shut_for_its_length_and_its_end_is_ahead(at, day, hours) -> None:
    window = Maintenance(day=day, start=hours[0], end=hours[1], why="x")
    end = window.until(at.replace(tzinfo=VIETNAM))
    if end is not None:
        assert timedelta(0) < end - at.replace(tzinfo=VIETNAM) <= timedelta(days=1)
        assert window.until(end) is None
        assert window.until(end - timedelta(microseconds=1)) == end


@pytest.mark.parametrize(
    ("window", "said"),
    [
        ({"start": "22:00", "end": "23:00"}, "times need a day"),
        ({"day": "sun", "start": "2025-09-07T22:00:00+07:00", "end": "2025-09-07T23:00:00+07:00"}, "goes with times"),
        ({"start": "2025-09-07T22:00:00+07:00", "end": "23:00"}, "two instants or two times"),
        ({"start": "2025-09-07T22:00:00+07:00", "end": "2025-09-07T21:00:00+07:00"}, "end is not after start"),
    ],
)
def test_a_window_that_makes_no_sense_is_refused(window, said) -> None:
    with pytest.raises(ValidationError, match=said):
        Maintenance.model_validate({"why": "x", **window})


def test_no_hours_means_always() -> None:
    assert ALWAYS.shut(local(7, 3)) is None


@given(st.datetimes(datetime(2025, 1, 1), datetime(2026, 12, 31)))
def test_what_is_shut_opens_at_the_time_it_names_and_not_before(at: datetime) -> None:
    moment = at.replace(tzinfo=VIETNAM)
    shut = OFFICE.shut(moment)
    if shut is not None:
        assert shut.until > moment
        assert OFFICE.shut(shut.until) is None
        assert OFFICE.shut(shut.until - timedelta(microseconds=1)) is not None
