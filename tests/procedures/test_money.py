"""Money that comes early, late, twice, in parts or for nothing: held, placed or given back, and never silent."""

from __future__ import annotations

import pytest

from router.procedures.definition import Timeout
from router.procedures.duration import Duration
from router.procedures.obligation import balance
from router.procedures.rows import facts_row
from router.procedures.verdict import Verdict
from tests.procedures.story import Story
from tests.procedures.test_land_transfer import accepted, noticed, paid


def refunds(story: Story) -> int:
    held = balance(story.instance.finance)
    asked = sum(emit.record["amount"] for emit in story.emissions("payment.refund_requested"))
    assert asked == held.refunded
    assert held.received == held.allocated + held.refunded + held.suspended + held.carried + held.fees
    return asked


def alerts(story: Story, name: str) -> list[bool]:
    return [alert.raised for alert in story.alerts if alert.name == name]


@pytest.mark.parametrize("end", [7, 3])
def test_after_an_end_without_a_result_notices_are_void_and_payments_go_back(end: int) -> None:
    story = Story("any_dossier")
    story.status(1)
    story.pays(100_000)
    story.request(1)
    assert story.status(end) is Verdict.APPLIED
    assert refunds(story) == 100_000
    assert story.notice("TB1", 1, 500) is Verdict.LATE_IGNORED
    assert story.pays(500, "TB1") is Verdict.APPLIED
    assert story.pays(70_000) is Verdict.APPLIED
    assert refunds(story) == 170_500
    assert balance(story.instance.finance).fees == 0
    assert not story.refused


def test_an_end_that_is_corrected_takes_money_again() -> None:
    story = Story("any_dossier")
    story.status(2)
    story.status(7)
    facts = {"code": "H39.16-250804-0001", "procedure": "x", "agency": "H39.16", "corrects": True, "authority": "1/QĐ"}
    story.event("dossier.corrected", status=4, **facts)
    assert story.pays(100) is Verdict.APPLIED
    assert balance(story.instance.finance).fees == 100


def test_a_wrong_procedure_gives_back_what_was_paid_for_it() -> None:
    story = paid()
    story.event("land.wrong_procedure", message="L15_WRONG_PROCEDURE")
    assert (story.instance.end_state, refunds(story)) == ("replaced", 3_000_000)
    assert story.pays(500_000, "TB2", reference="later") is Verdict.APPLIED
    assert refunds(story) == 3_500_000


def test_the_treasury_may_state_one_instalment_and_its_evidence_may_follow() -> None:
    story = accepted()
    story.request(1)
    story.notice("TB1", 1, 600, 400)
    assert story.event("tax.obligation_completed", notice="TB1", amount=600) is Verdict.APPLIED
    assert story.instance.finance.due == 400
    assert story.event("tax.obligation_completed", notice="TB1", amount=400) is Verdict.APPLIED
    assert story.nodes == {"certificate"}
    assert story.pays(600, "TB1") is Verdict.APPLIED
    assert story.pays(400, "TB1") is Verdict.APPLIED
    assert story.instance.finance.complete
    assert balance(story.instance.finance).received == 1_000
    assert refunds(story) == 0


def test_the_treasury_stating_another_amount_is_told_to_a_person_until_the_notice_is_settled() -> None:
    story = noticed()
    assert story.event("tax.obligation_completed", notice="TB1", amount=7) is Verdict.SUSPENDED
    assert alerts(story, "payment_suspended") == [True]
    story.pays(2_500_000, "TB1")
    assert alerts(story, "payment_suspended") == [True, False]


def test_money_before_its_notice_is_held_told_and_applied_days_later() -> None:
    story = accepted()
    story.request(1)
    assert story.pays(900, "TB1") is Verdict.EARLY
    assert balance(story.instance.finance).suspended == 900
    assert not story.alerts
    story.later(minutes=31)
    assert alerts(story, "money_waits") == [True]
    story.later(days=3)
    assert not story.refused
    story.notice("TB1", 1, 900)
    assert (story.nodes, alerts(story, "money_waits")) == ({"certificate"}, [True, False])
    assert refunds(story) == 0


def test_money_whose_notice_never_comes_waits_for_a_person_and_is_still_there() -> None:
    story = accepted()
    story.request(1)
    story.pays(900, "TB1")
    story.later(days=20)
    assert [each.event.type for each in story.refused] == ["payment.evidenced"]
    assert balance(story.instance.finance).suspended == 900
    assert alerts(story, "payment_suspended") == [True]
    story.notice("TB1", 1, 900)
    assert story.instance.finance.complete
    assert alerts(story, "payment_suspended") == [True, False]


def test_a_confirmation_of_another_payment_than_those_begun_is_held_for_a_day() -> None:
    story = noticed()
    assert story.pays(2_500_000, "TB1", phase="INIT", reference="A") is Verdict.NOTED
    assert story.pays(500_000, "TB2", phase="CONFIRM", reference="B") is Verdict.EARLY
    assert story.pays(2_500_000, "TB1", phase="CONFIRM", reference="A") is Verdict.APPLIED
    story.pays(500_000, "TB2", phase="INIT", reference="B")
    assert story.instance.finance.complete
    held = noticed()
    held.pays(2_500_000, "TB1", phase="INIT", reference="A")
    held.pays(500_000, "TB2", phase="CONFIRM", reference="B")
    held.later(hours=25)
    assert [each.why for each in held.refused] == ["its start is not known"]
    assert alerts(held, "payment_suspended") == [True]


def test_a_confirmation_of_the_platform_is_held_until_its_start_comes_though_there_was_none_at_all() -> None:
    story = noticed()
    assert story.pays(2_500_000, "TB1", phase="CONFIRM", reference="A", partner="DVCQG-H39") is Verdict.EARLY
    assert story.instance.early[0].reason == "its start is not known"
    story.later(minutes=31)
    assert alerts(story, "money_waits") == [True]
    story.pays(2_500_000, "TB1", phase="INIT", reference="A", partner="DVCQG-H39")
    assert story.instance.finance.paid("TB1") == 2_500_000
    assert alerts(story, "money_waits") == [True, False]


def test_a_platforms_start_that_never_comes_is_a_persons_after_a_day() -> None:
    story = noticed()
    story.pays(2_500_000, "TB1", phase="CONFIRM", reference="A", partner="DVCQG-H39")
    story.later(hours=25)
    assert [each.why for each in story.refused] == ["its start is not known"]
    assert alerts(story, "payment_suspended") == [True]
    assert balance(story.instance.finance).suspended == 2_500_000


@pytest.mark.parametrize(("phase", "partner"), [("CONFIRM", ""), ("EVIDENCE", ""), ("EVIDENCE", "DVCQG-H39")])
def test_a_gateways_own_call_cash_at_the_counter_and_evidence_wait_for_no_start(phase: str, partner: str) -> None:
    story = noticed()
    assert story.pays(2_500_000, "TB1", phase=phase, partner=partner) is Verdict.APPLIED


def test_suspended_money_of_a_void_notice_goes_back_and_each_suspension_is_told() -> None:
    story = noticed()
    assert story.pays(7, "TB1", phase="CONFIRM") is Verdict.SUSPENDED
    assert story.pays(8, "TB1", phase="CONFIRM") is Verdict.SUSPENDED
    assert alerts(story, "payment_suspended") == [True, True]
    story.request(2)
    assert refunds(story) == 15
    assert alerts(story, "payment_suspended") == [True, True, False]


def test_a_generation_that_is_asked_again_after_its_return_can_be_completed() -> None:
    story = accepted()
    story.request(1)
    story.event("tax.obligation_returned", generation=1)
    assert story.event("tax.obligation_requested", number="PC-1b", generation=1) is Verdict.APPLIED
    assert story.nodes == {"determination"}
    story.notice("TB9", 1, 100)
    story.pays(100, "TB9")
    assert story.nodes == {"certificate"}


def test_an_end_by_patience_may_give_back_as_an_edge_does() -> None:
    story = paid()
    shape = story.definition
    patient = Timeout(after=Duration.read("5 working days"), to="stopped", compensate=True)
    node = shape.nodes["certificate"].model_copy(update={"timeout": patient})
    story.definition = shape.model_copy(update={"nodes": {**shape.nodes, "certificate": node}})
    story.later(days=10)
    assert (story.instance.end_state, refunds(story)) == ("stopped", 3_000_000)
    assert len(story.emissions("procedure.compensation_requested")) == 3
    assert story.pays(5, "TB1", reference="later") is Verdict.APPLIED
    assert refunds(story) == 3_000_005


def test_a_dossier_that_another_one_replaces_counts_as_ended_and_a_stop_that_may_resume_does_not() -> None:
    story = paid()
    story.status(8)
    assert facts_row(story.instance, lambda _: "")["finished_date"] is None
    story.event("land.wrong_procedure", message="L15_WRONG_PROCEDURE")
    row = facts_row(story.instance, lambda _: "")
    assert (row["status"], row["finished_date"], row["finished_at"]) == (8, "2025-08-04", story.instance.closed_at)
