"""A calendar that changes under open dossiers: every date that was counted moves, whenever its dossier is next seen."""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path

import pytest

from router.procedures.calendar import load_calendar
from router.procedures.dues import Clockwork, day_of, due_at
from router.procedures.recount import by_calendar
from router.sdk.dates import VIETNAM
from tests.procedures.story import Story


@pytest.fixture
def other(tmp_path: Path) -> Clockwork:
    """A calendar in which Friday 15 August 2025 is a day off."""
    file = tmp_path / "days.yaml"
    file.write_text("jurisdiction: vn\ndays: [{day: 2025-08-15, kind: off, why: hoán đổi}]", "utf-8")
    return Clockwork(load_calendar("vn", file))


def whole(story: Story) -> date:
    return day_of(due_at(story.instance.due.whole))


def test_an_event_between_the_restart_and_the_order_moves_the_date_itself(other: Clockwork) -> None:
    story = Story("land_transfer")
    story.status(2)
    assert whole(story) == date(2025, 8, 21)
    story.clockwork = other
    story.event("land.file_submitted", message="L1")
    assert whole(story) == date(2025, 8, 22)
    assert story.instance.due.calendar == other.calendar.version
    assert story.instance.due.whole[-1].why == f"calendar {other.calendar.version}"


def test_the_order_moves_the_task_at_hand_as_well(other: Clockwork) -> None:
    story = Story("land_transfer", start=datetime(2025, 8, 13, 8, tzinfo=VIETNAM))
    story.status(2)
    story.event("land.file_submitted", message="L1")
    assert day_of(due_at(story.instance.due.agency)) == date(2025, 8, 18)
    after = by_calendar(story.definition, story.instance, other, story.now)
    assert day_of(due_at(after.due.agency)) == date(2025, 8, 19)
    assert by_calendar(story.definition, after, other, story.now) is after


def test_a_date_of_the_one_stop_stays_and_a_pause_after_it_is_counted_again(other: Clockwork) -> None:
    story = Story("any_dossier", start=datetime(2025, 8, 4, 9, tzinfo=VIETNAM))
    story.status(2, due_at=int(datetime(2025, 8, 13, 17, tzinfo=VIETNAM).timestamp() * 1e6))
    story.status(4)
    kept = by_calendar(story.definition, story.instance, other, story.now)
    assert day_of(due_at(kept.due.whole)) == date(2025, 8, 13)
    story.event("dossier.supplement_requested", at=datetime(2025, 8, 5, 9, tzinfo=VIETNAM), status=5, round="1")
    story.event("dossier.supplement_answered", at=datetime(2025, 8, 7, 9, tzinfo=VIETNAM), status=4, round="1")
    assert whole(story) == date(2025, 8, 15)
    after = by_calendar(story.definition, story.instance, other, story.now)
    assert day_of(due_at(after.due.whole)) == date(2025, 8, 18)


def test_a_finished_dossier_is_judged_by_the_date_that_it_was_finished_by(other: Clockwork) -> None:
    story = Story("any_dossier")
    story.status(2, due_at=story.now)
    story.status(9)
    assert by_calendar(story.definition, story.instance, other, story.now) is story.instance
