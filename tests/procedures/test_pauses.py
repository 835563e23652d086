"""Pauses and the dates they move."""

from __future__ import annotations

from datetime import datetime, time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from router.procedures.dues import day_of, local, micros
from router.sdk.dates import VIETNAM
from tests.procedures.story import CLOCKWORK

MOMENT = st.datetimes(datetime(2025, 4, 1), datetime(2026, 3, 1)).map(lambda at: at.replace(tzinfo=VIETNAM))


def at(day: int, clock: time, month: int = 8) -> int:
    return micros(datetime.combine(datetime(2025, month, day), clock, VIETNAM))


def test_a_pause_without_working_time_moves_nothing() -> None:
    due = at(15, time(17))
    assert CLOCKWORK.moved(due, at(9, time(8)), at(10, time(20))) == due
    assert CLOCKWORK.moved(due, at(8, time(17)), at(11, time(7))) == due


@pytest.mark.parametrize("clock", [time(0), time(7), time(9), time(14), time(17), time(18)])
def test_three_working_days_move_a_due_date_by_them_at_whatever_hour_it_is_said(clock: time) -> None:
    moved = local(CLOCKWORK.moved(at(15, clock), at(4, time(9)), at(7, time(9))))
    assert moved.date() == datetime(2025, 8, 20).date()
    assert moved.time() == (clock if time(7) < clock < time(17) else time(17))


def test_a_due_date_on_a_day_off_is_moved_from_there() -> None:
    assert day_of(CLOCKWORK.moved(at(16, time(10)), at(4, time(9)), at(5, time(9)))) == datetime(2025, 8, 18).date()


@settings(max_examples=400, deadline=None)
@given(MOMENT, MOMENT, st.lists(st.integers(0, 86_400 * 20 * 1_000_000), min_size=2, max_size=4))
def test_pauses_one_after_the_other_move_a_date_as_one_of_their_whole_length_does(
    due: datetime, since: datetime, lengths: list[int]
) -> None:
    first = begun = micros(since)
    moved = micros(due)
    for length in lengths:
        moved = CLOCKWORK.moved(moved, begun, begun + length)
        begun += length
    assert day_of(moved) == day_of(CLOCKWORK.moved(micros(due), first, begun))
    assert moved >= micros(due)
