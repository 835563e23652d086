"""Taking a document back: who may, what comes before its document, whom it reaches, and what is said of it."""

from __future__ import annotations

from router.codec import Codec, PackagedSchemas
from router.procedures.copies import CHILD_OPENED
from router.procedures.verdict import Verdict
from tests.procedures.story import Story
from tests.procedures.test_other_definitions import TEN, says, sent

STATUS = "document.status_changed"


def told(story: Story) -> list[tuple[str, str, str | None]]:
    emitted = story.emissions(STATUS)
    return [(emit.addressed_to, emit.record["raw_status"], emit.record["description"]) for emit in emitted]


def test_a_partial_recall_is_said_to_the_sender_with_those_that_keep_it() -> None:
    story = sent(TEN)
    for organ in TEN:
        says(story, organ, "RECEIVED")
    says(story, "G22", "TAKE_BACK")
    says(story, "H56.01", "AGREED")
    says(story, "H56.02", "AGREED")
    says(story, "H56.03", "DECLINED")
    assert story.instance.end_state == "partial_recall"
    assert told(story) == [("G22", "16", "thu hồi một phần, còn giữ: H56.03")]


def test_a_whole_recall_is_said_to_the_sender() -> None:
    story = sent(["H56.01"])
    says(story, "G22", "TAKE_BACK")
    says(story, "H56.01", "AGREED")
    assert (story.instance.end_state, told(story)) == ("recalled", [("G22", "15", "đã thu hồi")])


def test_a_receiver_that_had_completed_keeps_the_document() -> None:
    story = sent(["H56.01", "H56.02"])
    says(story, "H56.01", "COMPLETED")
    says(story, "G22", "TAKE_BACK")
    says(story, "H56.02", "AGREED")
    assert story.instance.end_state == "partial_recall"
    assert told(story) == [("G22", "16", "thu hồi một phần, còn giữ: H56.01")]


def test_a_receiver_cannot_take_back_what_another_sent() -> None:
    story = sent(["H56.01", "H56.02"])
    assert says(story, "H56.01", "TAKE_BACK") == [Verdict.EARLY]
    assert not story.instance.variables["recalled"]
    story.later(days=3)
    assert [each.event.facts["state"] for each in story.refused] == ["TAKE_BACK"]


def test_a_recall_before_its_document_waits_for_it() -> None:
    for early in ("status", "document"):
        story = Story("official_document")
        if early == "status":
            assert says(story, "G22", "TAKE_BACK") == [Verdict.EARLY]
        else:
            recall = {"business": "RECALL", "sender": "G22", "receivers": ["H56.01"], "document": "D1"}
            assert story.event("document.sent", **recall) is Verdict.EARLY
        story.event("document.sent", business="NEW", sender="G22", receivers=["H56.01"], document="D1")
        assert story.nodes == {"recalling[H56.01]"}, early


def test_a_recall_from_above_goes_on_to_every_receiver_of_the_copy_and_once_to_each_of_its_own_copies() -> None:
    story = sent(["H56.01", "H56.02"])
    child = "5f0c9f0e-0000-5000-8000-000000000001"
    story.event(CHILD_OPENED, related=child, name="opened", stated_at=story.now)
    story.event("procedure.recall_requested", related="x", name="recall", stated_at=story.now)
    assert [each[:2] for each in told(story)] == [("H56.01", "13"), ("H56.02", "13")]
    assert [emit.key for emit in story.emissions("procedure.recall_requested")] == [child]
    for emit in story.emissions(STATUS):
        assert Codec(PackagedSchemas()).encode(STATUS, emit.record)


def forwarded(**facts: object) -> Story:
    story = Story("official_document")
    said = {"business": "NEW", "sender": "H56", "receivers": ["H56.01"], "document": "D2", "response_for": ["D1"]}
    story.event("document.sent", **{**said, **facts})
    return story


def test_a_reply_is_no_forwarded_copy() -> None:
    assert forwarded(traces=["G22", "H56"]).instance.parent
    assert not forwarded(traces=["H56"]).instance.parent
    assert not forwarded().instance.parent
    assert not forwarded(traces=["G22", "H56"], receivers=["G22"]).instance.parent


def test_an_update_takes_a_receiver_out() -> None:
    story = sent(["H56.01", "H56.02"])
    story.event("document.sent", business="UPDATE", sender="G22", document="D1", removed=["H56.02"], added=[])
    assert story.nodes == {"sent[H56.01]"}
    says(story, "H56.01", "COMPLETED")
    assert story.instance.end_state == "completed"


def test_a_flash_document_is_missed_after_five_minutes() -> None:
    for urgency, missed in (("FLASH", True), ("NORMAL", False)):
        story = Story("official_document")
        facts = {"business": "NEW", "sender": "G22", "receivers": ["H56.01"], "document": "D1", "urgency": urgency}
        story.event("document.sent", **facts)
        story.later(minutes=6)
        assert ("document_not_arrived" in {alert.name for alert in story.alerts}) is missed
