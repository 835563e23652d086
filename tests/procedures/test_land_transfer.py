"""The transfer of a land-use right with tax: the straight way, its loops, and what it must refuse."""

from __future__ import annotations

from datetime import datetime, timedelta

from router.procedures.dues import due_at, local, micros
from router.procedures.obligation import balance
from router.procedures.verdict import Verdict
from router.sdk.dates import VIETNAM
from tests.procedures.story import START, Story


def accepted() -> Story:
    story = Story("land_transfer")
    assert story.status(1, source="portal") is Verdict.APPLIED
    assert story.status(2) is Verdict.APPLIED
    assert story.event("land.file_submitted", message="L1") is Verdict.APPLIED
    return story


def noticed() -> Story:
    story = accepted()
    story.request(1)
    story.notice("TB1", 1, 2_500_000)
    story.notice("TB2", 1, 500_000)
    return story


def paid() -> Story:
    story = noticed()
    story.pays(2_500_000, "TB1")
    story.pays(500_000, "TB2")
    return story


def test_the_straight_way_ends_with_the_result_returned() -> None:
    story = paid()
    assert story.nodes == {"certificate"}
    assert story.event("land.finished", end_state="0") is Verdict.APPLIED
    assert story.status(4) is Verdict.APPLIED
    assert story.status(9) is Verdict.APPLIED
    assert story.status(10) is Verdict.APPLIED
    assert story.instance.end_state == "returned"
    assert story.instance.closed_at
    assert not story.refused


def test_evidence_before_its_notice_is_early_and_applied_when_the_notice_comes() -> None:
    story = accepted()
    story.request(1)
    assert story.pays(2_500_000, "TB1") is Verdict.EARLY
    assert story.notice("TB1", 1, 2_500_000) is Verdict.APPLIED
    assert story.instance.finance.complete
    assert story.nodes == {"certificate"}
    assert [line.verdict for line in story.log[-2:]] == [Verdict.APPLIED, Verdict.APPLIED]


def test_the_end_of_the_land_file_waits_for_the_money() -> None:
    story = noticed()
    story.pays(2_500_000, "TB1")
    assert story.event("land.finished", end_state="0") is Verdict.EARLY
    story.pays(500_000, "TB2")
    assert story.nodes == {"result"}


def test_what_the_treasury_states_and_the_evidence_that_follows_are_one_payment() -> None:
    story = noticed()
    assert story.event("tax.obligation_completed", notice="TB2", amount=500_000) is Verdict.APPLIED
    assert story.pays(500_000, "TB2") is Verdict.APPLIED
    assert story.event("tax.obligation_completed", notice="TB2", amount=500_000) is Verdict.NOTED
    assert not story.emissions("payment.refund_requested")
    assert balance(story.instance.finance).received == 500_000


def test_a_second_request_voids_the_notices_and_asks_for_the_refund_of_what_was_paid() -> None:
    story = paid()
    assert story.request(2) is Verdict.APPLIED
    assert story.nodes == {"determination"}
    assert sorted(emit.record["amount"] for emit in story.emissions("payment.refund_requested")) == [500_000, 2_500_000]
    assert not story.instance.finance.complete
    story.notice("TB3", 2, 3_200_000)
    assert story.pays(3_000_000, "TB1") is Verdict.APPLIED  # a void notice: taken, and to be given back
    assert story.emissions("payment.refund_requested")[-1].record["amount"] == 3_000_000
    story.pays(3_200_000, "TB3")
    assert story.instance.finance.complete
    held = balance(story.instance.finance)
    assert held.received == held.allocated + held.refunded
    assert not held.odd


def test_a_returned_request_goes_back_to_the_appraisal() -> None:
    story = accepted()
    story.request(1)
    assert story.event("tax.obligation_returned", generation=1) is Verdict.APPLIED
    assert story.nodes == {"appraisal"}
    story.request(2)
    story.notice("TB1", 2, 100)
    assert story.nodes == {"payment"}


def test_a_confirmation_with_a_wrong_amount_is_suspended_and_one_that_repeats_has_one_effect() -> None:
    story = noticed()
    assert story.pays(2_400_000, "TB1", phase="CONFIRM", reference="A") is Verdict.SUSPENDED
    assert story.log[-1].flags == ("amount_mismatch",)
    assert [(alert.name, alert.raised) for alert in story.alerts] == [("payment_suspended", True)]
    assert story.pays(2_500_000, "TB1", phase="CONFIRM", reference="B") is Verdict.APPLIED
    assert story.pays(2_500_000, "TB1", phase="CONFIRM", reference="B") is Verdict.NOTED
    assert story.log[-1].flags == ("already_confirmed",)
    assert story.instance.finance.paid("TB1") == 2_500_000


def test_a_result_before_the_land_file_ended_is_kept_and_applied_in_order() -> None:
    story = paid()
    story.status(4)
    assert story.status(9) is Verdict.EARLY
    assert story.event("land.finished", end_state="0") is Verdict.APPLIED
    assert story.instance.status == 9
    assert story.nodes == {"handover"}


def test_a_result_that_nothing_made_legal_becomes_a_dead_letter_when_its_window_is_over() -> None:
    story = accepted()
    assert story.status(10) is Verdict.EARLY
    story.later(minutes=31)
    assert [(each.event.facts["status"], each.why) for each in story.refused] == [(10, "status 10 after 2")]
    assert story.log[-2].verdict is Verdict.ILLEGAL
    assert not story.instance.early


def test_status_ten_while_only_two_is_known_waits_for_four_and_nine() -> None:
    story = Story("any_dossier")
    story.status(2)
    assert story.status(10, at=START + timedelta(minutes=9)) is Verdict.EARLY
    assert story.status(4, at=START + timedelta(minutes=7)) is Verdict.APPLIED
    assert story.instance.status == 4
    assert story.status(9, at=START + timedelta(minutes=8)) is Verdict.APPLIED
    assert story.instance.status == 10
    assert story.instance.end_state == "returned"


def test_a_late_status_of_the_same_source_is_ignored() -> None:
    story = Story("any_dossier")
    story.status(2)
    story.status(9, at=START + timedelta(minutes=30))
    assert story.status(4, at=START + timedelta(minutes=20)) is Verdict.LATE_IGNORED
    assert story.instance.status == 9


def test_an_end_leaves_only_by_a_correction_with_reason_and_authority() -> None:
    story = Story("any_dossier")
    story.status(2)
    story.status(9)
    story.status(10)
    assert story.status(4) is Verdict.ILLEGAL
    assert len(story.refused) == 1
    facts = {"code": "H39.16-250804-0001", "procedure": "x", "agency": "H39.16"}
    assert story.event("dossier.corrected", status=4, **facts) is Verdict.ILLEGAL
    assert story.event("dossier.corrected", status=4, corrects=True, authority="12/QĐ", **facts) is Verdict.APPLIED
    assert (story.instance.status, story.instance.end_state, story.nodes) == (4, "", {"open"})


def test_a_withdrawal_after_the_payment_gives_the_money_back_and_asks_for_the_work_to_be_undone() -> None:
    story = paid()
    assert story.status(7) is Verdict.APPLIED
    assert story.instance.end_state == "withdrawn"
    assert sum(emit.record["amount"] for emit in story.emissions("payment.refund_requested")) == 3_000_000
    asked = [(emit.record["name"], emit.record["kind"]) for emit in story.emissions("procedure.compensation_requested")]
    assert asked == [("certificate", "undo"), ("determination", "undo"), ("appraisal", "undo")]


def test_a_result_that_was_wrong_goes_back_to_the_certificate() -> None:
    story = paid()
    story.event("land.finished", end_state="0")
    story.status(4)
    story.status(9)
    story.status(10)
    assert story.event("land.result_disputed", message="L14") is Verdict.APPLIED
    assert (story.nodes, story.instance.end_state, story.instance.variables["rework"]) == ({"certificate"}, "", 1)


def test_after_the_end_nothing_of_the_land_registry_is_taken() -> None:
    story = Story("land_transfer")
    story.status(1)
    story.status(3)
    assert story.instance.end_state == "refused"
    assert story.event("land.finished", end_state="0") is Verdict.ILLEGAL
    assert story.refused[0].why == "ended"


def test_time_at_the_tax_office_and_of_the_payer_is_not_the_authoritys() -> None:
    story = Story("land_transfer")
    story.status(2)
    first = due_at(story.instance.due.whole)
    assert local(first) == datetime(2025, 8, 21, 8, 1, tzinfo=VIETNAM)
    story.event("land.file_submitted", message="L1")
    story.request(1)
    story.later(days=2)
    story.notice("TB1", 1, 100)
    story.later(days=5)
    story.pays(100, "TB1")
    moved = story.instance.due.whole[-1]
    assert moved.why == "pause: payment"
    assert local(moved.due).date() == datetime(2025, 8, 28).date()
    assert story.instance.due.agency[-1].why == "task certificate"


def test_a_supplement_of_three_working_days_moves_the_due_date_by_them() -> None:
    story = Story("any_dossier", start=datetime(2025, 7, 28, 9, tzinfo=VIETNAM))
    due = datetime(2025, 8, 15, 17, tzinfo=VIETNAM)
    story.status(2, due_at=int(due.timestamp() * 1e6))
    story.status(4)
    story.event("dossier.supplement_requested", at=datetime(2025, 8, 4, 9, tzinfo=VIETNAM), status=5, round="1")
    story.event("dossier.supplement_answered", at=datetime(2025, 8, 7, 9, tzinfo=VIETNAM), status=4, round="1")
    assert local(due_at(story.instance.due.whole)) == datetime(2025, 8, 20, 17, tzinfo=VIETNAM)
    assert [move.why for move in story.instance.due.whole] == ["one-stop", "pause: status 5"]


def test_an_overdue_dossier_is_told_once_and_a_missing_apology_raises_an_alert() -> None:
    story = Story("any_dossier")
    due = START + timedelta(days=1)
    story.status(2, due_at=int(due.timestamp() * 1e6))
    story.later(days=2)
    assert [emit.record["code"] for emit in story.emissions("dossier.overdue_detected")] == ["H39.16-250804-0001"]
    assert not story.alerts
    story.later(days=2)
    assert [(alert.name, alert.raised) for alert in story.alerts] == [("apology_missing", True)]
    story.event("dossier.apology_sent", sent_at=story.now, new_due_date="2025-08-20")
    assert [(alert.name, alert.raised) for alert in story.alerts[1:]] == [("apology_missing", False)]
    assert local(due_at(story.instance.due.whole)).date().isoformat() == "2025-08-20"
    assert story.instance.due.extended


def test_an_end_before_the_last_processing_is_flagged() -> None:
    story = Story("any_dossier")
    story.status(2)
    story.event("dossier.progressed", line_status=4, processed_at=story.now + 50_000_000)
    story.status(9, finished_at=story.now - 3_600_000_000)
    assert story.log[-1].flags == ("integrity_warning",)
    assert story.instance.dossier.integrity_warning


def test_the_apology_is_missing_after_one_working_day_however_long_the_weekend() -> None:
    """Due on Friday 15 August by the one-stop; found overdue at midnight, reported when Monday's office closes."""
    story = Story("any_dossier")
    due = datetime(2025, 8, 15, 16, 0, tzinfo=VIETNAM)
    story.status(2, due_at=micros(due))
    story.later(days=11, hours=15)  # Friday 23:01
    assert story.emissions("dossier.overdue_detected") == []
    story.later(hours=1)
    assert len(story.emissions("dossier.overdue_detected")) == 1
    story.later(days=2, hours=16, minutes=58)  # Monday 16:59
    assert [alert.name for alert in story.alerts] == []
    story.later(minutes=1)
    assert [alert.name for alert in story.alerts] == ["apology_missing"]
    story.later(days=30)
    assert [alert.name for alert in story.alerts] == ["apology_missing"]
