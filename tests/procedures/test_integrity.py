"""Claimed ends against what was seen: the straight way gives no warning, a back-dated end always does."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from router.procedures.dues import local, micros
from router.procedures.verdict import Verdict
from router.sdk.dates import VIETNAM
from tests.procedures.story import Story
from tests.procedures.test_land_transfer import paid


def flagged(story: Story) -> bool:
    assert story.instance.dossier.integrity_warning == any("integrity_warning" in line.flags for line in story.log)
    return story.instance.dossier.integrity_warning


def ready(finished_at: datetime, *, ended_at: datetime) -> Story:
    story = paid()
    story.status(4)
    story.event("land.supplement_answered", message="L4")
    story.event("land.finished", end_state="0", ended_at=micros(ended_at))
    assert story.status(9, finished_at=micros(finished_at)) is Verdict.APPLIED
    return story


def test_a_result_may_claim_the_end_that_the_land_registry_claimed() -> None:
    end = local(paid().now) + timedelta(seconds=90)
    assert not flagged(ready(end, ended_at=end))


def test_an_end_said_as_a_day_is_compared_as_a_day() -> None:
    today = local(paid().now).replace(hour=0, minute=0, second=0)
    story = ready(today, ended_at=today)
    story.event("land.result_returned", message="L13")
    story.status(10, finished_at=micros(today))
    assert not flagged(story)
    assert story.instance.end_state == "returned"


def test_a_day_before_the_last_processing_is_flagged() -> None:
    yesterday = local(paid().now).replace(hour=0, minute=0) - timedelta(days=1)
    assert flagged(ready(yesterday, ended_at=yesterday))


@pytest.mark.parametrize(("later", "odd"), [(61, True), (1, False), (-300, False)])
def test_a_progress_line_after_the_end_is_flagged_and_one_from_before_is_not(later: int, odd: bool) -> None:
    story = Story("any_dossier", start=datetime(2025, 8, 4, 8, tzinfo=VIETNAM))
    story.status(2)
    story.later(days=1)
    story.status(9)
    at = story.now + later * 1_000_000
    story.event("dossier.progressed", line_status=4, processed_at=at)
    assert flagged(story) == odd


def test_an_end_that_goes_back_to_an_earlier_day_is_flagged() -> None:
    story = Story("any_dossier", start=datetime(2025, 8, 20, 8, tzinfo=VIETNAM))
    story.status(2)
    story.status(9)
    story.status(10, finished_at=micros(datetime(2025, 8, 15, 17, tzinfo=VIETNAM)))
    assert flagged(story)
    assert story.instance.dossier.finished_at == micros(datetime(2025, 8, 20, 8, 2, tzinfo=VIETNAM))


def test_rework_is_no_contradiction() -> None:
    story = Story("any_dossier")
    story.status(2)
    story.status(9)
    story.status(4)
    story.status(9)
    assert not flagged(story)
