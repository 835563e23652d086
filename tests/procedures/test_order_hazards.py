"""Events in the wrong order, in the first round and in later ones: kept while their turn will come, else ignored."""

from __future__ import annotations

import pytest

from router.procedures import engine
from router.procedures.dues import local
from router.procedures.engine import MOST_EARLY, TOO_MANY
from router.procedures.verdict import Verdict
from tests.procedures.story import Story
from tests.procedures.test_land_transfer import accepted, noticed, paid


def second_generation() -> Story:
    """Paid once, then determined anew: a land-registry worker's day."""
    story = paid()
    story.request(2)
    story.notice("TB3", 2, 900)
    assert story.nodes == {"payment"}
    return story


def test_in_a_second_generation_the_land_file_may_end_before_the_money_is_known() -> None:
    story = second_generation()
    assert story.event("land.finished", end_state="0") is Verdict.EARLY
    story.pays(900, "TB3")
    assert story.nodes == {"result"}
    assert not story.instance.early


def test_an_end_of_the_land_file_that_tells_of_the_first_round_is_late() -> None:
    story = paid()
    first = local(story.now)
    story.event("land.finished", end_state="0")
    story.event("land.result_disputed", message="L14")
    story.request(2)
    assert story.event("land.finished", end_state="0", at=first) is Verdict.LATE_IGNORED
    assert story.nodes == {"determination"}


def test_after_rework_a_return_before_the_new_result_waits_for_it() -> None:
    story = paid()
    story.event("land.finished", end_state="0")
    story.status(4)
    story.status(9)
    assert story.status(4) is Verdict.APPLIED
    assert story.nodes == {"certificate"}
    assert story.status(9) is Verdict.EARLY
    assert story.status(10) is Verdict.EARLY
    assert story.event("land.finished", end_state="0") is Verdict.APPLIED
    assert (story.instance.end_state, story.instance.status) == ("returned", 10)


def test_a_return_of_a_void_generation_leaves_the_token_where_it_is() -> None:
    story = second_generation()
    assert story.event("tax.obligation_returned", generation=1) is Verdict.LATE_IGNORED
    assert story.nodes == {"payment"}
    story.pays(900, "TB3")
    assert story.nodes == {"certificate"}


def test_a_request_that_is_repeated_leads_nowhere() -> None:
    story = paid()
    assert story.request(1) is Verdict.NOTED
    assert story.nodes == {"certificate"}
    assert story.instance.finance.complete


def test_a_request_of_an_older_generation_leads_nowhere() -> None:
    story = accepted()
    story.request(2)
    story.notice("TB1", 2, 100)
    assert story.request(1) is Verdict.LATE_IGNORED
    assert story.nodes == {"payment"}


def test_a_notice_that_is_repeated_is_noted() -> None:
    story = noticed()
    assert story.notice("TB1", 1, 2_500_000) is Verdict.NOTED
    assert story.nodes == {"payment"}


def test_what_waits_is_bounded_and_judging_it_is_linear(monkeypatch: pytest.MonkeyPatch) -> None:
    judged: list[str] = []
    judge = engine._judge
    monkeypatch.setattr(engine, "_judge", lambda work, event: judged.append(event.id) or judge(work, event))
    story = accepted()
    before = len(judged)
    verdicts = [story.event("land.finished", end_state="0") for _ in range(MOST_EARLY + 5)]
    assert verdicts.count(Verdict.EARLY) == len(story.instance.early) == MOST_EARLY
    assert [each.why for each in story.refused] == [TOO_MANY] * 5
    assert len(judged) - before == MOST_EARLY + 5
    story.request(1)
    assert len(judged) - before <= 3 * MOST_EARLY
