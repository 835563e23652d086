"""Office hours and maintenance windows."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta

import hypothesis.strategies as st
import pytest
from hypothesis import given

from router.delivery.opening import ALWAYS, Opening, Shut, Window
from router.sdk.dates import VIETNAM

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
    window = Window(local(3, 8), local(3, 9), "nâng cấp hệ thống")
    open_always = Opening(windows=[window])
    assert open_always.shut(local(3, 8, 59), urgent=True) == Shut(window.end, window.why)
    assert open_always.shut(local(3, 9)) is None


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
