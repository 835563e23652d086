"""What a person may decide about money that has no place, and what comes of it."""

from __future__ import annotations

from typing import Any

import pytest

from router.procedures.decisions import REFUNDED, RELEASED
from router.procedures.obligation import balance
from router.procedures.verdict import Verdict
from tests.procedures.story import Story
from tests.procedures.test_land_transfer import accepted, noticed
from tests.procedures.test_money import alerts, refunds


def decided(story: Story, kind: str, reference: str, **facts: Any) -> Verdict:
    return story.event(kind, source="operator", order=7, reference=reference, **facts)


def mismatched() -> Story:
    """A transfer whose notice TB1 asks for 2,500,000 and of whose payment R 2,600,000 came."""
    story = noticed()
    assert story.pays(2_600_000, "TB1", phase="CONFIRM", reference="R") is Verdict.SUSPENDED
    return story


def test_released_money_pays_the_notice_and_the_rest_of_it_goes_back() -> None:
    story = mismatched()
    assert decided(story, RELEASED, "R", notice="TB1", expected=2_600_000) is Verdict.APPLIED
    assert story.instance.finance.open(story.instance.finance.notices[0]) == 0
    assert (refunds(story), alerts(story, "payment_suspended")) == (100_000, [True, False])
    assert story.emissions("payment.refund_requested")[0].record["content"] == "overpaid"
    assert story.pays(2_600_000, "TB1", phase="CONFIRM", reference="R") is Verdict.NOTED
    assert refunds(story) == 100_000


def test_what_completes_the_obligation_moves_the_dossier_on() -> None:
    story = mismatched()
    story.pays(500_000, "TB2")
    assert story.nodes == {"payment"}
    decided(story, RELEASED, "R", notice="TB1")
    assert story.nodes == {"certificate"}


def test_refunded_money_is_asked_for_once_and_the_notice_stays_open() -> None:
    story = mismatched()
    assert decided(story, REFUNDED, "R") is Verdict.APPLIED
    assert (refunds(story), alerts(story, "payment_suspended")) == (2_600_000, [True, False])
    assert story.instance.finance.due == 3_000_000
    assert decided(story, REFUNDED, "R") is Verdict.NOTED
    assert refunds(story) == 2_600_000


def test_a_payment_may_be_decided_about_in_parts() -> None:
    story = mismatched()
    decided(story, RELEASED, "R", notice="TB1", amount=2_500_000)
    assert balance(story.instance.finance).suspended == 100_000
    assert alerts(story, "payment_suspended") == [True, True]
    decided(story, RELEASED, "R", notice="TB2")
    assert balance(story.instance.finance).suspended == 0
    assert (story.instance.finance.due, refunds(story)) == (400_000, 0)


def test_held_money_may_be_released_and_its_event_has_no_second_effect() -> None:
    story = accepted()
    story.request(1)
    story.notice("TB1", 1, 900)
    assert story.pays(900, "TB-?", reference="R") is Verdict.EARLY
    decided(story, RELEASED, "R", notice="TB1")
    assert story.instance.early == ()
    assert story.nodes == {"certificate"}
    story.later(days=20)
    assert not story.refused
    assert balance(story.instance.finance).allocated == 900


@pytest.mark.parametrize(
    ("kind", "facts", "why"),
    [
        (RELEASED, {"notice": "TB9"}, "there is no notice TB9 (open are: TB1, TB2)"),
        (RELEASED, {"notice": "TB1", "amount": 2_600_001}, "2600000 đồng of this payment wait, not 2600001"),
        (REFUNDED, {"expected": 5}, "2600000 đồng of this payment wait by now, not 5: look again"),
        (REFUNDED, {"reference": "X"}, "there is no such payment"),
    ],
)
def test_a_decision_that_cannot_be_carried_out_changes_nothing_and_says_why(
    kind: str, facts: dict[str, Any], why: str
) -> None:
    story = mismatched()
    before = story.instance.finance
    assert decided(story, kind, str(facts.pop("reference", "R")), **facts) is Verdict.NOTED
    assert story.log[-1].flags == (why,)
    assert story.instance.finance == before


def test_no_more_is_owed_for_a_paid_notice() -> None:
    story = mismatched()
    story.pays(2_500_000, "TB1")
    decided(story, RELEASED, "R", notice="TB1")
    assert story.log[-1].flags == ("notice TB1 is paid: nothing is owed for it",)
