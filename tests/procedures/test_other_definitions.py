"""First certificate, birth, change of land use, building permit, documents: their ways, invariants and refusals."""

from __future__ import annotations

from router.procedures.copies import CHILD_ENDED, CHILD_OPENED, CHILD_PROGRESSED
from router.procedures.verdict import Verdict
from tests.procedures.story import Story

TEN = ["H56.01", "H56.02", "H56.03"]


def measured() -> Story:
    story = Story("first_certificate")
    story.status(2)
    story.event("land.file_submitted", message="L1")
    story.component("origin", "DONE")
    assert story.nodes == {"posting", "measuring"}
    return story


def test_posting_and_measuring_meet_before_the_tax_office_is_asked() -> None:
    story = measured()
    assert story.request(1) is Verdict.EARLY
    story.component("measuring", "DONE")
    assert story.nodes == {"posting"}
    story.component("posting", "DONE")
    assert story.nodes == {"determination"}


def test_a_posting_ends_by_itself_after_thirty_days_and_stands_outside_the_time() -> None:
    story = measured()
    story.component("measuring", "DONE")
    story.later(days=31)
    assert story.nodes == {"request"}
    assert any(move.why == "pause: posting" for move in story.instance.due.whole)


def test_an_objection_holds_the_join_until_it_is_settled() -> None:
    story = measured()
    story.component("measuring", "DONE")
    story.component("posting", "REFUSED")
    assert story.nodes == {"objection"}
    story.component("posting", "DONE")
    assert story.nodes == {"request"}


def test_a_noted_debt_lets_the_certificate_go_out_and_the_money_come_later() -> None:
    story = measured()
    story.component("measuring", "DONE")
    story.component("posting", "DONE")
    story.request(1)
    story.notice("TB1", 1, 900)
    story.component("debt", "ACCEPTED")
    for told in (story.event("land.finished", end_state="0"), story.status(4), story.status(9), story.status(10)):
        assert told is Verdict.APPLIED
    assert story.instance.end_state == "returned"
    assert not story.instance.finance.complete
    assert story.pays(900, "TB1") is Verdict.APPLIED
    assert story.instance.finance.complete


def test_a_certificate_before_money_or_debt_is_refused_in_the_end() -> None:
    story = measured()
    story.component("measuring", "DONE")
    story.component("posting", "DONE")
    story.request(1)
    story.notice("TB1", 1, 900)
    assert story.event("land.finished", end_state="0") is Verdict.EARLY
    story.later(hours=1)
    assert [each.event.type for each in story.refused] == ["land.finished"]


def born() -> Story:
    story = Story("birth_residence_insurance")
    story.status(2)
    story.component("birth", "RECEIVED")
    story.component("birth", "DONE")
    assert story.nodes == {"residence", "insurance"}
    return story


def test_a_birth_with_all_its_parts_is_returned() -> None:
    story = born()
    story.component("residence", "DONE")
    story.component("health_insurance", "DONE")
    story.status(9)
    story.status(10)
    assert story.instance.end_state == "returned"


def test_partial_success_is_a_legal_end_and_undoes_nothing() -> None:
    story = born()
    story.component("residence", "REFUSED")
    story.component("health_insurance", "DONE")
    story.status(9)
    story.status(10)
    assert story.instance.end_state == "partial"
    assert story.instance.variables["refused_parts"] == ["residence"]
    assert not story.emissions("procedure.compensation_requested")


def test_no_part_is_answered_before_the_birth_is_registered() -> None:
    story = Story("birth_residence_insurance")
    story.status(2)
    story.component("birth", "RECEIVED")
    assert story.component("residence", "DONE") is Verdict.EARLY
    story.component("birth", "DONE")
    assert story.nodes == {"insurance"}


def test_a_refused_birth_leaves_no_way_to_its_parts() -> None:
    story = Story("birth_residence_insurance")
    story.status(2)
    story.component("birth", "RECEIVED")
    story.component("birth", "REFUSED")
    assert story.component("residence", "DONE") is Verdict.ILLEGAL
    assert story.status(9) is Verdict.ILLEGAL


def decided() -> Story:
    story = Story("land_use_change")
    story.status(2)
    story.component("extract", "RECEIVED")
    story.component("extract", "DONE")
    story.component("field_check", "DONE")
    return story


def test_a_change_of_land_use_is_paid_in_instalments() -> None:
    story = decided()
    story.component("decision", "DONE", number="45/QĐ-UBND")
    story.request(1)
    story.notice("TB1", 1, 50_000_000, 50_000_000)
    assert story.nodes == {"first_instalment", "term"}
    story.pays(50_000_000, "TB1", phase="CONFIRM")
    assert story.nodes == {"last_instalment", "term"}
    assert story.event("land.finished", end_state="0") is Verdict.EARLY
    story.pays(50_000_000, "TB1", phase="CONFIRM")
    assert story.nodes == {"result"}
    story.status(4)
    story.status(9)
    story.status(10)
    assert story.instance.end_state == "returned"


def test_a_decision_without_a_number_is_none() -> None:
    story = decided()
    story.component("decision", "DONE")
    assert story.nodes == {"decision"}
    assert story.request(1) is Verdict.EARLY


def test_a_decision_whose_money_never_comes_may_lapse_and_is_then_annulled() -> None:
    story = decided()
    story.component("decision", "DONE", number="45/QĐ-UBND")
    story.request(1)
    story.notice("TB1", 1, 60, 40)
    story.pays(60, "TB1")
    story.later(days=100)
    assert story.nodes == {"lapsing"}
    assert "payment_late" in {alert.name for alert in story.alerts}
    story.status(4)
    story.status(8)
    assert story.instance.end_state == "lapsed"
    assert ("decision", "undo") in {
        (e.record["name"], e.record["kind"]) for e in story.emissions("procedure.compensation_requested")
    }
    assert [e.record["amount"] for e in story.emissions("payment.refund_requested")] == [60]


def asked() -> Story:
    story = Story("building_permit")
    story.status(2)
    story.status(4)
    return story


def test_silence_is_agreement() -> None:
    story = asked()
    story.component("fire_police", "DONE")
    assert story.nodes == {"opinion[land_plot]", "opinion[planning]", "opinion[power_grid]"}
    story.later(days=12)
    assert story.nodes == {"decision"}
    assert story.instance.variables["silent"] == 3
    story.status(9)
    story.status(10)
    assert story.instance.end_state == "returned"


def test_an_opinion_against_stands_before_the_permit() -> None:
    story = asked()
    story.component("fire_police", "REFUSED")
    for one in ("land_plot", "planning", "power_grid"):
        story.component(one, "DONE")
    assert story.status(9) is Verdict.EARLY
    story.component("design", "DONE")
    assert story.instance.status == 9


def sent(receivers: list[str]) -> Story:
    story = Story("official_document")
    story.event("document.sent", business="NEW", sender="G22", receivers=receivers, document="D1")
    return story


def says(story: Story, organ: str, *states: str) -> list[Verdict]:
    return [story.event("document.status_changed", document="D1", organ=organ, state=state) for state in states]


def test_a_document_is_complete_when_every_receiver_is() -> None:
    story = sent(["H56.01", "H56.02"])
    says(story, "H56.01", "ARRIVED", "RECEIVED", "PROCESSING", "COMPLETED")
    assert story.instance.end_state == ""
    says(story, "H56.02", "PROCESSING", "COMPLETED")  # skipping forward is tolerated
    assert story.instance.end_state == "completed"


def test_going_back_is_ignored_and_an_unknown_receiver_is_no_part_of_it() -> None:
    story = sent(["H56.01", "H56.02"])
    says(story, "H56.01", "ARRIVED", "RECEIVED")
    assert says(story, "H56.01", "ARRIVED") == [Verdict.LATE_IGNORED]
    assert says(story, "H99.01", "ARRIVED")[0] in (Verdict.EARLY, Verdict.ILLEGAL)


def test_three_completed_one_refused_one_silent_is_not_complete_and_the_silence_is_an_alert() -> None:
    story = sent([f"H56.0{n}" for n in range(1, 6)])
    for organ in ("H56.01", "H56.02", "H56.03"):
        says(story, organ, "ARRIVED", "COMPLETED")
    says(story, "H56.04", "ARRIVED", "REFUSED")
    says(story, "H56.05", "ARRIVED")
    story.later(days=2)
    assert story.instance.end_state == ""
    assert story.instance.variables["refused"] == ["H56.04"]
    assert "document_not_registered" in {alert.name for alert in story.alerts}


def test_a_recall_that_one_of_three_declines_is_partial_and_names_it() -> None:
    story = sent(TEN)
    for organ in TEN:
        says(story, organ, "ARRIVED", "RECEIVED")
    says(story, "G22", "TAKE_BACK")
    assert story.nodes == {f"recalling[{organ}]" for organ in TEN}
    says(story, "H56.01", "AGREED")
    says(story, "H56.02", "AGREED")
    says(story, "H56.03", "DECLINED")
    assert story.instance.end_state == "partial_recall"
    assert story.instance.variables["refusing"] == ["H56.03"]


def test_a_recall_reaches_the_forwarded_copies_and_waits_for_them() -> None:
    story = sent(["H56.01"])
    says(story, "H56.01", "RECEIVED")
    child = "5f0c9f0e-0000-5000-8000-000000000001"
    story.event(CHILD_OPENED, related=child, name="opened", stated_at=story.now)
    says(story, "G22", "TAKE_BACK")
    assert [(emit.type, emit.key) for emit in story.emissions("procedure.recall_requested")] == [
        ("procedure.recall_requested", child)
    ]
    says(story, "H56.01", "AGREED")
    assert story.instance.end_state == ""
    story.event(CHILD_ENDED, related=child, name="partial_recall", stated_at=story.now)
    assert story.instance.end_state == "partial_recall"


def test_a_forwarded_copy_tells_the_original_when_it_opens_and_ends() -> None:
    story = Story("official_document")
    story.event(
        "document.sent",
        business="NEW",
        sender="H56",
        receivers=["H56.01.02"],
        document="D2",
        response_for=["D1"],
        traces=["G22", "H56"],
    )
    says(story, "H56.01.02", "COMPLETED")
    assert [(emit.type, emit.record["name"]) for emit in story.emitted] == [
        (CHILD_OPENED, "opened"),
        (CHILD_PROGRESSED, "COMPLETED"),
        (CHILD_ENDED, "completed"),
    ]
    assert story.emitted[0].key == story.instance.parent
