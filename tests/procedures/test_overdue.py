"""Overdue dossiers and tasks, apologies, pauses that last: told each time, and cleared when they are good again."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import pytest

from router.procedures.dues import day_of, due_at, local, micros
from router.sdk.dates import VIETNAM
from tests.procedures.story import START, Story
from tests.procedures.test_land_transfer import accepted, noticed, paid


def overdue() -> Story:
    """Due on Tuesday 5 August; told on Wednesday."""
    story = Story("any_dossier")
    story.status(2, due_at=micros(START + timedelta(days=1)))
    story.later(days=2)
    assert len(story.emissions("dossier.overdue_detected")) == 1
    return story


def alerts(story: Story, name: str) -> list[bool]:
    return [alert.raised for alert in story.alerts if alert.name == name]


def test_a_new_date_that_passes_as_well_is_told_again() -> None:
    story = overdue()
    story.status(4, due_at=micros(START + timedelta(days=7)))
    assert not story.instance.due.detected_at
    story.later(days=7)
    assert len(story.emissions("dossier.overdue_detected")) == 2


def test_a_second_overdue_after_the_extension_owes_an_apology_of_its_own() -> None:
    story = overdue()
    story.event("dossier.apology_sent", sent_at=story.now, new_due_date="2025-08-12")
    story.later(days=10)
    assert len(story.emissions("dossier.overdue_detected")) == 2
    assert alerts(story, "apology_missing") == [True]
    story.event("dossier.apology_sent", sent_at=story.now, new_due_date="2025-08-29")
    assert story.log[-1].flags == ("second_extension",)
    assert day_of(due_at(story.instance.due.whole)) == date(2025, 8, 12)
    assert alerts(story, "apology_missing") == [True, False]


def test_an_apology_before_the_date_is_for_that_date_alone() -> None:
    story = Story("any_dossier")
    story.status(2, due_at=micros(START + timedelta(days=1)))
    story.event("dossier.apology_sent", sent_at=story.now, new_due_date="2025-08-08")
    assert not story.log[-1].flags
    story.later(days=9)
    assert len(story.emissions("dossier.overdue_detected")) == 1
    assert alerts(story, "apology_missing") == [True]


def test_an_apology_without_a_new_date_is_enough_for_the_date_that_passed() -> None:
    story = overdue()
    story.event("dossier.apology_sent", sent_at=story.now)
    story.later(days=5)
    assert alerts(story, "apology_missing") == []


def test_a_task_that_is_late_is_told_and_cleared_when_it_is_done() -> None:
    story = Story("land_transfer")
    story.status(2)
    story.later(days=3)
    assert alerts(story, "task_overdue") == [True]
    assert story.alerts[-1].subject.endswith(" reception")
    story.event("land.file_submitted", message="L1")
    assert alerts(story, "task_overdue") == [True, False]


def test_tasks_side_by_side_have_a_date_each() -> None:
    story = Story("first_certificate")
    story.status(2)
    story.event("land.file_submitted", message="L1")
    story.component("origin", "DONE")
    running = [token.id for token in story.instance.tokens if story.definition.nodes[token.node].days is not None]
    assert set(story.instance.due.tasks) == set(running)
    assert {move.task for move in story.instance.due.agency} >= set(running)


def test_each_pause_moves_the_date_under_its_own_name() -> None:
    story = accepted()
    story.request(1)
    story.later(days=2)
    story.notice("TB1", 1, 100)
    story.later(days=5)
    story.pays(100, "TB1")
    whys = [move.why for move in story.instance.due.whole]
    assert whys == ["accepted", "pause: determination", "pause: payment"]
    assert local(due_at(story.instance.due.whole)).date() == date(2025, 8, 28)


def test_a_supplement_that_is_not_answered_is_told_and_cleared_by_the_answer() -> None:
    story = accepted()
    story.event("dossier.supplement_requested", status=5, round="1")
    story.later(days=14)
    assert alerts(story, "supplement_late") == [True]
    story.event("dossier.supplement_answered", status=4, round="1")
    assert alerts(story, "supplement_late") == [True, False]


def test_a_stop_at_the_payment_is_told_after_its_time() -> None:
    story = noticed()
    story.status(8)
    story.later(days=40)
    assert alerts(story, "stopped_long") == [True]


def test_a_late_answer_of_the_tax_office_is_good_again_when_it_comes() -> None:
    story = accepted()
    story.request(1)
    story.later(days=10)
    assert alerts(story, "tax_answer_late") == [True]
    story.notice("TB1", 1, 100)
    assert alerts(story, "tax_answer_late") == [True, False]


def test_an_apology_that_names_an_earlier_date_moves_nothing_and_is_flagged() -> None:
    story = overdue()
    story.event("dossier.apology_sent", sent_at=story.now, new_due_date="2025-08-01")
    assert story.log[-1].flags == ("no_later_date",)
    assert local(due_at(story.instance.due.whole)) == datetime(2025, 8, 5, 8, tzinfo=VIETNAM)


def finished_late() -> Story:
    """Due on Tuesday 12 August at four; the result is ready on Wednesday morning."""
    story = paid()
    story.status(4, due_at=micros(datetime(2025, 8, 12, 16, tzinfo=VIETNAM)))
    story.event("land.finished", end_state="0", at=datetime(2025, 8, 13, 8, tzinfo=VIETNAM))
    story.status(9)
    return story


def test_a_late_result_stays_late_however_long_it_waits_to_be_taken() -> None:
    story = finished_late()
    before = story.instance.due.whole
    story.later(days=7)
    story.status(10)
    assert story.instance.end_state == "returned"
    assert story.instance.due.whole == before
    assert day_of(story.instance.dossier.finished_at) == date(2025, 8, 13)


def test_the_days_a_result_waited_are_given_back_when_it_has_to_be_made_again() -> None:
    story = finished_late()
    story.later(days=7)
    story.event("land.result_disputed", message="L14")
    assert day_of(due_at(story.instance.due.whole)) == date(2025, 8, 19)
    assert not story.instance.dossier.finished_at  # it is under way again, and may be found overdue


@pytest.mark.parametrize("ways", [("L14",), ("L14", 4), (4, "L14"), (4,)])
def test_a_result_that_was_made_again_is_finished_when_it_is_ready_the_second_time(ways: tuple[int | str, ...]) -> None:
    story = finished_late()
    story.later(days=7)
    for way in ways:
        if way == "L14":
            story.event("land.result_disputed", message="L14")
        else:
            story.status(4)
    assert day_of(due_at(story.instance.due.whole)) == date(2025, 8, 19)
    story.later(days=2)
    story.event("land.finished", end_state="0")
    story.status(9)
    assert day_of(story.instance.dossier.finished_at) == date(2025, 8, 22)
    story.status(10)
    assert (story.instance.end_state, day_of(due_at(story.instance.due.whole))) == ("returned", date(2025, 8, 19))


def test_a_result_that_is_corrected_after_it_was_taken_gives_these_days_back_as_well() -> None:
    story = finished_late()
    story.later(days=7)
    story.status(10)
    story.event("dossier.corrected", status=4, corrects=True, code="H39.16-250804-0001")
    assert day_of(due_at(story.instance.due.whole)) == date(2025, 8, 19)
    assert not story.instance.dossier.finished_at


def test_a_pause_ends_when_the_result_was_ready_however_late_that_is_said() -> None:
    story = Story("any_dossier")
    story.status(2)
    story.status(4, due_at=micros(datetime(2025, 8, 12, 16, tzinfo=VIETNAM)))
    story.status(6, at=datetime(2025, 8, 13, 8, tzinfo=VIETNAM))
    story.later(days=14)
    story.status(9, finished_at=micros(datetime(2025, 8, 14, 8, tzinfo=VIETNAM)))
    assert day_of(due_at(story.instance.due.whole)) == date(2025, 8, 13)
    story.status(10)
    assert day_of(story.instance.dossier.finished_at) == date(2025, 8, 14)
