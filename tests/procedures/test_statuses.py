"""Statuses that come from several sources, before acceptance, by correction, and at nodes that do not speak of them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from router.procedures.status import TERMINAL
from router.procedures.verdict import Verdict
from tests.procedures.story import START, Story
from tests.procedures.test_land_transfer import accepted, noticed, paid

CODE: dict[str, Any] = {"code": "H39.16-250804-0001", "procedure": "1.012793", "agency": "H39.16"}


def correct(story: Story, status: int) -> Verdict:
    return story.event("dossier.corrected", status=status, corrects=True, authority="12/QĐ", **CODE)


def test_an_older_status_of_another_source_brings_nothing_back() -> None:
    story = Story("any_dossier")
    story.status(2)
    story.status(9, at=START + timedelta(minutes=30))
    assert story.status(4, source="portal", at=START + timedelta(minutes=20)) is Verdict.LATE_IGNORED
    assert (story.instance.status, story.instance.dossier.finished_at > 0) == (9, True)


def test_an_older_status_of_another_source_that_leads_on_is_applied() -> None:
    story = Story("any_dossier")
    story.status(2, source="portal", at=START + timedelta(minutes=30))
    assert story.status(4, at=START + timedelta(minutes=20)) is Verdict.APPLIED
    assert story.status(2, at=START + timedelta(minutes=25)) is Verdict.LATE_IGNORED


def test_a_supplement_before_reception_leads_back_to_the_submitted_dossier() -> None:
    story = Story("land_transfer")
    story.status(1)
    assert story.event("dossier.supplement_requested", status=5, round="1") is Verdict.APPLIED
    assert story.event("dossier.supplement_answered", status=4, round="1") is Verdict.APPLIED
    assert (story.instance.status, story.instance.dossier.accepted_at) == (1, 0)
    assert not story.instance.due.whole
    assert story.status(2) is Verdict.APPLIED
    assert not story.refused
    assert story.instance.due.whole


def test_a_supplement_after_reception_goes_on_with_the_work() -> None:
    story = accepted()
    story.event("dossier.supplement_requested", status=5, round="1")
    story.event("dossier.supplement_answered", status=4, round="1")
    assert story.instance.status == 4
    assert story.status(1) is Verdict.LATE_IGNORED


@pytest.mark.parametrize(("status", "end"), [(3, "refused"), (7, "withdrawn"), (10, "returned")])
def test_a_correction_to_a_terminal_status_ends_the_instance(status: int, end: str) -> None:
    story = accepted()
    assert correct(story, status) is Verdict.APPLIED
    assert (story.instance.status, story.instance.end_state, story.nodes) == (status, end, set())


def test_a_correction_back_to_acceptance_begins_again() -> None:
    story = accepted()
    story.status(7)
    assert correct(story, 2) is Verdict.APPLIED
    assert (story.instance.status, story.instance.end_state, story.nodes) == (2, "", {"reception"})


def test_a_correction_to_work_leaves_an_open_instance_where_it_is() -> None:
    story = noticed()
    story.status(6)
    assert correct(story, 8) is Verdict.APPLIED
    assert story.nodes == {"payment"}


@pytest.mark.parametrize("before", [accepted, noticed, paid])
def test_a_refusal_that_the_table_allows_ends_the_instance_wherever_it_stands(before: Any) -> None:
    story = before()
    story.event("dossier.supplement_requested", status=5, round="1")
    assert story.status(3) is Verdict.APPLIED
    assert (story.instance.end_state, story.refused) == ("refused", [])
    assert story.instance.status in TERMINAL


def test_a_fee_before_reception_begins_the_submission_anew() -> None:
    story = Story("any_dossier")
    story.status(1)
    story.later(days=2)
    story.pays(100_000)
    assert story.instance.dossier.received_at == story.now - 60_000_000  # as the payment says
    story.status(2)
    submitted = story.instance.dossier.received_at
    story.later(days=1)
    story.pays(50_000)
    assert story.instance.dossier.received_at == submitted
