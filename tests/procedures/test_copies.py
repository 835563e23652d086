"""Documents on four levels: what copies say to their originals, recalls that reach them, and what replaces what."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from router.procedures.copies import EVERYONE, GONE, HOLDS, PROGRESS
from router.procedures.verdict import Verdict
from tests.procedures.exchange import Exchange


def forwarded() -> Exchange:
    """From the centre (G22) to the province (H56), from there to two communes, from one of them to a school."""
    made = Exchange()
    made.send("D1", "G22", "H56", "H53")
    made.states("D1", "H56", "RECEIVED")
    made.send("C1", "H56", "H56.01", "H56.02", copy_of="D1")
    made.send("E1", "H56.01", "H56.01.07", copy_of="C1")
    made.settle()
    return made


def test_what_receivers_of_copies_state_is_shown_at_every_level_above() -> None:
    made = forwarded()
    for state in ("ARRIVED", "RECEIVED", "ASSIGNED", "PROCESSING"):
        made.states("C1", "H56.02", state)
        made.states("E1", "H56.01.07", state)
        made.settle()
        assert dict(made.child("D1", "C1").states) == {"H56.02": state, "H56.01.07": state}
        assert dict(made.child("C1", "E1").states) == {"H56.01.07": state}
    made.states("E1", "H56.01.07", "COMPLETED")
    made.settle()
    assert made.child("C1", "E1").ended == "completed"
    assert dict(made.child("D1", "C1").states)["H56.01.07"] == "COMPLETED"


def test_a_refusal_far_below_is_seen_above() -> None:
    made = forwarded()
    made.states("E1", "H56.01.07", "ARRIVED")
    made.states("E1", "H56.01.07", "REFUSED")
    made.settle()
    assert dict(made.child("D1", "C1").states) == {"H56.01.07": "REFUSED"}


def test_an_older_state_changes_nothing_above() -> None:
    made = forwarded()
    made.states("C1", "H56.02", "PROCESSING")
    made.states("C1", "H56.02", "ARRIVED")
    made.settle()
    assert dict(made.child("D1", "C1").states) == {"H56.02": "PROCESSING"}


def test_a_copy_that_opens_after_the_recall_is_recalled_at_once() -> None:
    made = Exchange()
    made.send("D1", "G22", "H56")
    made.states("D1", "H56", "RECEIVED")
    made.states("D1", "G22", "TAKE_BACK")
    made.send("C1", "H56", "H56.01", copy_of="D1")
    made.settle()
    assert made.taken_back == [("C1", "H56.01")]
    assert made.instance("C1").variables["recalled"]


def test_a_copy_that_opens_after_the_recall_ended_is_recalled_and_the_sender_hears_what_came_of_it() -> None:
    made = Exchange()
    made.send("D1", "G22", "H56")
    made.states("D1", "G22", "TAKE_BACK")
    made.states("D1", "H56", "AGREED")
    assert made.instance("D1").end_state == "recalled"
    made.send("C1", "H56", "H56.01", copy_of="D1")
    made.settle()
    assert made.instance("D1").end_state == ""
    made.states("C1", "H56.01", "DECLINED")
    made.settle()
    assert made.instance("D1").end_state == "partial_recall"
    assert made.outcomes[-1] == ("D1", "16", "thu hồi một phần, còn giữ: partial_recall (H56)")


def test_a_recall_goes_through_a_copy_that_has_ended_to_those_that_live_below_it() -> None:
    made = forwarded()
    for organ in ("H56.01", "H56.02"):
        made.states("C1", organ, "COMPLETED")
    made.settle()
    assert made.child("D1", "C1").ended == "completed"
    made.states("D1", "G22", "TAKE_BACK")
    made.settle()
    assert made.instance("C1").end_state == "completed"
    assert ("E1", "H56.01.07") in made.taken_back


def test_an_added_receiver_is_waited_for_and_recalled_like_the_others() -> None:
    made = Exchange()
    made.send("D1", "G22", "H56", "H53")
    made.states("D1", "H56", "COMPLETED")
    made.update("D1", ["H02"], removed=["H53"])
    assert made.stories["D1"].nodes == {"sent[H02]"}
    assert made.instance("D1").variables["receivers"] == ["H56", "H53", "H02"]
    made.states("D1", "G22", "TAKE_BACK")
    assert made.stories["D1"].nodes == {"recalling[H02]"}
    made.states("D1", "H02", "AGREED")
    assert made.instance("D1").end_state == "partial_recall"


def test_a_completed_document_goes_on_for_added_receivers_and_its_original_hears_of_it() -> None:
    made = forwarded()
    for organ in ("H56.01", "H56.02"):
        made.states("C1", organ, "COMPLETED")
    made.update("C1", ["H56.03"])
    assert made.stories["C1"].nodes == {"sent[H56.03]"}
    made.settle()
    assert made.child("D1", "C1").ended == ""
    made.states("C1", "H56.03", "COMPLETED")
    made.settle()
    assert (made.instance("C1").end_state, made.child("D1", "C1").ended) == ("completed", "completed")


def test_a_receiver_that_is_added_to_a_recalled_document_is_asked_to_give_it_back() -> None:
    made = Exchange()
    made.send("D1", "G22", "H56", "H53")
    made.states("D1", "G22", "TAKE_BACK")
    made.update("D1", ["H02"])
    assert made.taken_back == [("D1", "H02")]
    assert made.stories["D1"].nodes == {"recalling[H56]", "recalling[H53]", "recalling[H02]"}


def test_a_recall_that_names_some_receivers_is_sent_on_to_the_added_ones() -> None:
    made = Exchange()
    made.send("D1", "G22", "H56", "H53")
    made.update("D1", ["H02"])
    made.send("D1", "G22", "H56", "H53", business="RECALL")
    assert made.taken_back == [("D1", "H02")]


def test_an_answer_to_an_update_moves_nobody_and_its_refusal_is_kept() -> None:
    made = Exchange()
    made.send("D1", "G22", "H56", "H53")
    assert made.states("D1", "H56", "AGREED") is Verdict.EARLY  # nothing was asked of it
    made.update("D1", ["H02"])
    assert made.states("D1", "H53", "DECLINED") is Verdict.APPLIED
    assert made.instance("D1").early == ()
    assert made.instance("D1").variables["update_refused"] == ["H53"]
    assert made.stories["D1"].nodes == {"sent[H56]", "sent[H53]", "sent[H02]"}


def replaced(**facts: object) -> Exchange:
    made = Exchange()
    made.send("D1", "G22", "H56", "H53")
    for organ in ("H56", "H53"):
        made.states("D1", organ, "RECEIVED")
    made.send("D2", "G22", "H56", "H53", instead_of="D1", **facts)
    made.settle()
    return made


def test_the_old_document_is_recalled_from_each_receiver_once_it_has_registered_the_new_one() -> None:
    made = replaced()
    made.states("D2", "H56", "ARRIVED")
    made.settle()
    assert made.taken_back == []  # it may still refuse the new one
    made.states("D2", "H56", "RECEIVED")
    made.settle()
    assert made.taken_back == [("D1", "H56")]
    assert made.stories["D1"].nodes == {"recalling[H56]", "registered[H53]"}
    made.states("D2", "H53", "PROCESSING")
    made.states("D2", "H56", "PROCESSING")
    made.settle()
    assert made.taken_back == [("D1", "H56"), ("D1", "H53")]
    for organ in ("H56", "H53"):
        made.states("D1", organ, "AGREED")
    assert made.instance("D1").end_state == "replaced"
    assert made.outcomes == [("D1", "15", "đã thay thế")]


def test_who_refuses_the_new_document_keeps_the_old_one() -> None:
    made = replaced()
    made.states("D2", "H56", "ARRIVED")
    made.states("D2", "H56", "REFUSED")
    made.states("D2", "H53", "COMPLETED")
    made.settle()
    assert made.taken_back == [("D1", "H53")]
    assert "registered[H56]" in made.stories["D1"].nodes


def test_who_does_not_give_the_old_one_back_is_told_to_the_sender() -> None:
    made = replaced()
    for organ in ("H56", "H53"):
        made.states("D2", organ, "RECEIVED")
    made.settle()
    made.states("D1", "H56", "AGREED")
    made.states("D1", "H53", "DECLINED")
    assert made.instance("D1").end_state == "partial_recall"
    assert made.outcomes == [("D1", "16", "thay thế một phần, còn giữ: H53")]


def test_a_document_is_replaced_for_the_receivers_that_are_named_alone() -> None:
    made = replaced(organs=["H53"])
    for organ in ("H56", "H53"):
        made.states("D2", organ, "RECEIVED")
    made.settle()
    assert made.taken_back == [("D1", "H53")]
    made.states("D1", "H53", "AGREED")
    made.states("D1", "H56", "COMPLETED")
    assert made.instance("D1").end_state == "completed"


def test_receivers_of_copies_keep_the_old_one_until_they_have_the_new_one() -> None:
    made = forwarded()
    made.send("D2", "G22", "H56", "H53", instead_of="D1")
    made.states("D2", "H56", "RECEIVED")
    made.settle()
    assert made.taken_back == [("D1", "H56")]
    made.send("C2", "H56", "H56.01", "H56.02", copy_of="D2")
    made.states("C2", "H56.02", "RECEIVED")
    made.settle()
    assert made.taken_back == [("D1", "H56"), ("C1", "H56.02")]
    made.send("E2", "H56.01", "H56.01.07", copy_of="C2")
    made.states("E2", "H56.01.07", "RECEIVED")
    made.states("C2", "H56.01", "RECEIVED")
    made.settle(which=1)
    assert set(made.taken_back) == {("D1", "H56"), ("C1", "H56.02"), ("C1", "H56.01"), ("E1", "H56.01.07")}


def test_a_replacement_that_is_taken_back_itself_takes_nothing_more_back() -> None:
    made = replaced()
    made.states("D2", "G22", "TAKE_BACK")
    made.states("D2", "H56", "COMPLETED")
    made.settle()
    assert made.taken_back == []


def test_a_replacement_may_overtake_what_it_replaces() -> None:
    made = Exchange()
    made.send("D2", "G22", "H56", instead_of="D1")
    made.states("D2", "H56", "RECEIVED")
    made.settle()
    assert made.taken_back == []
    made.send("D1", "G22", "H56")
    assert made.taken_back == [("D1", "H56")]


def test_copies_that_nobody_replaces_are_missed_after_five_working_days() -> None:
    made = forwarded()
    made.send("D2", "G22", "H56", "H53", instead_of="D1")
    for organ in ("H56", "H53"):
        made.states("D2", organ, "RECEIVED")
    made.settle()
    for organ in ("H56", "H53"):
        made.states("D1", organ, "AGREED")
    assert made.stories["D1"].nodes == {"answered"}
    made.stories["D1"].later(days=8)
    assert "copies_not_recalled" in {alert.name for alert in made.stories["D1"].alerts}


DOCUMENTS = {"D1": ("G22", ["H56", "H53"], None), "D2": ("G22", ["H56", "H53"], None),
             "C1": ("H56", ["H56.01", "H56.02"], "D1"), "C2": ("H56", ["H56.01", "H56.02"], "D2"),
             "E1": ("H56.01", ["H56.01.07"], "C1"), "E2": ("H56.01", ["H56.01.07"], "C2")}  # fmt: skip
ADDED = {name: f"{receivers[0]}.99" for name, (_, receivers, _) in DOCUMENTS.items()}
NAMES = st.sampled_from(sorted(DOCUMENTS))
ANSWERS = [*PROGRESS, "AGREED", "DECLINED"]
DONE = st.one_of(
    st.tuples(st.just("states"), NAMES, st.integers(0, 2), st.sampled_from(ANSWERS)),
    st.tuples(st.just("all state"), NAMES, st.sampled_from(["RECEIVED", "COMPLETED", "AGREED"])),
    st.tuples(st.just("send"), NAMES),
    st.tuples(st.just("take back"), NAMES),
    st.tuples(st.just("add"), NAMES),
    st.tuples(st.just("deliver"), st.integers(0, 9)),
)


def do(made: Exchange, done: tuple) -> None:
    match done:
        case ("send", name):
            sender, receivers, original = DOCUMENTS[name]
            made.send(name, sender, *receivers, copy_of=original, instead_of="D1" if name == "D2" else None)
        case ("states", name, number, state):
            organs = [*DOCUMENTS[name][1], ADDED[name]]
            made.states(name, organs[number % len(organs)], state)
        case ("all state", name, state):
            for organ in DOCUMENTS[name][1]:
                made.states(name, organ, state)
        case ("take back", name):
            made.states(name, DOCUMENTS[name][0], "TAKE_BACK")
        case ("add", name):
            made.update(name, [ADDED[name]])
        case ("deliver", which):
            made.deliver(which)


@settings(max_examples=200, deadline=None)
@given(st.sets(NAMES), st.lists(DONE, max_size=40), st.integers(0, 3))
def test_no_living_copy_of_a_recalled_document_remains_untold_and_nobody_is_left_without_a_document(
    sent: set[str], told: list[tuple], which: int
) -> None:
    made = Exchange()
    for done in [*(("send", name) for name in sorted(sent)), *told]:
        do(made, done)
        has_the_new_one(made)
    made.settle(which)
    has_the_new_one(made)
    for name, story in made.stories.items():
        parent = DOCUMENTS[name][2]
        if story.instance.parent and parent is not None:
            above = made.instance(parent)
            seen = made.child(parent, name)
            assert EVERYONE not in above.recalled or EVERYONE in story.instance.recalled or seen.ended in GONE
            assert seen.ended == story.instance.end_state
        assert bool(story.instance.end_state) == (not story.instance.tokens)


def has_the_new_one(made: Exchange) -> None:
    """Whoever had to give the old document or a copy of it back, without a recall, has registered the new one."""
    holds = {
        line.event.facts["organ"]
        for name in ("D2", "C2", "E2")
        if name in made.stories
        for line in made.stories[name].log
        if line.event.facts.get("state") in HOLDS
    }
    for name, organ in made.taken_back:
        assert EVERYONE in made.instance(name).recalled or organ in holds
