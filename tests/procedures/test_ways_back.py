"""Refusals after payment, disputed results, overlapping plots, instalments that never come, versions by the day."""

from __future__ import annotations

from datetime import date, datetime

from router.procedures.definitions_file import shipped_definitions
from router.procedures.dues import due_at, local
from router.procedures.duration import Duration
from router.procedures.library import Library
from router.procedures.verdict import Verdict
from router.sdk.dates import VIETNAM
from tests.procedures.story import Story
from tests.procedures.test_land_transfer import accepted, noticed, paid
from tests.procedures.test_other_definitions import decided, measured

LIBRARY = Library(shipped_definitions())


def undone(story: Story) -> list[str]:
    return [emit.record["name"] for emit in story.emissions("procedure.compensation_requested")]


def refunds(story: Story) -> list[int]:
    return [emit.record["amount"] for emit in story.emissions("payment.refund_requested")]


def test_a_refusal_while_money_is_awaited_undoes_what_was_asked_for() -> None:
    story = noticed()
    story.status(4)
    story.status(5)
    assert story.status(3) is Verdict.APPLIED
    assert story.instance.end_state == "refused"
    assert undone(story)[0] in ("payment", "determination", "appraisal")


def test_a_stop_after_payment_gives_the_money_back() -> None:
    story = paid()
    story.event("land.finished", end_state="2", message="L12")
    assert story.nodes == {"returned_unfinished"}
    story.status(4)
    story.status(8)
    assert story.instance.end_state == "stopped"
    assert sum(refunds(story)) > 0
    assert "certificate" in undone(story)


def test_an_end_without_its_state_is_neither_a_result_nor_a_return() -> None:
    story = paid()
    story.event("land.finished", message="L12")
    assert story.nodes == {"certificate"}


def test_a_supplement_while_the_tax_office_computes_cancels_its_request_alone() -> None:
    story = accepted()
    story.event("land.file_submitted", message="L1")
    story.request(1)
    assert story.nodes == {"determination"}
    story.status(5)
    assert undone(story) == ["determination"]
    assert story.instance.due.paused_why == "status 5"
    assert story.instance.end_state == ""
    story.status(4)
    story.request(2)
    story.notice("TB2", 2, 500)
    assert story.nodes == {"payment"}


def signed() -> Story:
    story = measured()
    story.component("measuring", "DONE")
    story.component("posting", "DONE")
    return story


def test_an_overlap_leads_back_to_measuring_without_a_second_posting() -> None:
    story = signed()
    story.component("measuring", "RETURNED")
    assert story.nodes == {"measuring_again"}
    story.component("measuring", "DONE")
    assert story.nodes == {"request"}


def test_a_wrong_result_of_a_first_certificate_is_made_again_even_after_its_end() -> None:
    story = signed()
    story.request(1)
    story.notice("TB1", 1, 900)
    story.pays(900, "TB1")
    for told in (lambda: story.event("land.finished", end_state="0"), lambda: story.status(4), lambda: story.status(9)):
        told()
    assert story.nodes == {"handover"}
    story.event("land.result_disputed", message="L14")
    assert story.nodes == {"signing"}
    story.event("land.finished", end_state="0")
    story.status(10)
    story.event("land.result_disputed", message="L14")
    assert "signing" in story.nodes


def test_a_wrong_procedure_is_replaced_in_every_land_procedure() -> None:
    for name in ("land_transfer", "first_certificate", "land_use_change"):
        story = Story(name)
        story.status(2)
        story.event("land.wrong_procedure", message="L15_WRONG_PROCEDURE")
        assert story.instance.end_state == "replaced", name


def owing() -> Story:
    story = decided()
    story.component("decision", "DONE", number="45/QĐ-UBND")
    story.request(1)
    story.notice("TB1", 1, 60, 40)
    return story


def test_a_fee_of_which_nothing_is_paid_lapses_ninety_days_after_its_notice() -> None:
    story = owing()
    story.later(days=89)
    assert story.nodes == {"first_instalment", "term"}
    story.later(days=2)
    assert story.nodes == {"lapsing"}


def test_the_ninety_days_run_from_the_notice_however_late_the_first_half_came() -> None:
    story = owing()
    story.later(days=60)
    story.pays(60, "TB1")
    assert story.nodes == {"last_instalment", "term"}
    story.later(days=31)
    assert story.nodes == {"lapsing"}
    story.pays(40, "TB1")
    assert story.nodes == {"registration"}


def test_a_recalculation_between_the_instalments_begins_a_new_term() -> None:
    story = owing()
    story.pays(60, "TB1")
    story.later(days=80)
    story.request(2)
    assert story.nodes == {"determination"}
    story.notice("TB2", 2, 70)
    story.later(days=20)
    assert story.nodes == {"first_instalment", "term"}
    story.pays(70, "TB2")
    assert story.nodes == {"registration"}


def test_a_decision_that_turns_out_not_in_plan_is_undone_with_its_money() -> None:
    story = owing()
    story.pays(100, "TB1")
    story.event("land.finished", end_state="3")
    story.status(4)
    story.status(8)
    assert story.instance.end_state == "stopped"
    assert "decision" in undone(story)
    assert refunds(story) == [100]


def test_the_time_of_far_communes_is_another_budget() -> None:
    shape = next(each for each in shipped_definitions() if each.procedure == "land_use_change")
    far = shape.model_copy(
        update={"budgets": {"H02*": Duration.read("25 working days"), "H02.01": Duration.read("20 working days")}}
    )
    dates = []
    for agency in ("H39.16", "H02.16", "H02.01"):
        story = Story(far)
        story.status(2, agency=agency)
        dates.append(local(due_at(story.instance.due.whole)).date())
    assert dates == [date(2025, 8, 25), date(2025, 9, 10), date(2025, 9, 3)]


def test_a_birth_runs_by_the_joint_form_of_its_day() -> None:
    assert LIBRARY.for_dossier("3.000722", date(2026, 8, 31)).version == 1
    assert LIBRARY.for_dossier("3.000722.000.00.00.H56", date(2026, 9, 1)).version == 2


def test_the_second_form_waits_for_the_identity_card_too() -> None:
    story = Story(LIBRARY.pinned("birth_residence_insurance", 2), start=datetime(2026, 9, 7, 8, tzinfo=VIETNAM))
    story.status(2)
    story.component("birth", "DONE")  # some systems tell the result alone
    assert story.nodes == {"residence", "insurance", "identity_card"}
    for part, state in (("residence", "DONE"), ("health_insurance", "DONE"), ("identity_card", "REFUSED")):
        story.component(part, state)
    story.status(9)
    story.status(10)
    assert story.instance.end_state == "partial"
    assert story.instance.variables["refused_parts"] == ["identity_card"]


def test_a_withdrawn_birth_asks_to_cancel_a_card_only_while_it_is_not_issued() -> None:
    for state, asked in (("DONE", []), ("REFUSED", ["insurance"]), ("", ["insurance"])):
        story = Story("birth_residence_insurance")
        story.status(2)
        story.component("birth", "DONE")
        if state:
            story.component("health_insurance", state)
        story.status(7)
        assert undone(story) == asked, state


def test_a_disputed_result_does_not_reopen_what_was_refused() -> None:
    story = Story("land_transfer")
    story.status(1)
    story.status(3)
    story.event("land.result_disputed", message="L14")
    assert story.instance.end_state == "refused"
