"""Dossiers that belong together: one opened at another level names the dossier it was opened for."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from router.events import key_of
from router.ledger import identity
from router.ledger.procedure_tables import instance
from router.ports import Ledger
from router.procedures.copies import CHILD_ENDED, CHILD_OPENED
from router.procedures.levels import PARENT_CLOSED
from router.procedures.rows import facts_row
from router.procedures.signals import RECALL, key_of_dossier
from router.procedures.verdict import Verdict
from tests.ledger.harness import in_memory
from tests.ledger.test_instances import START, Desk, snapshot
from tests.procedures.story import Story

COMMUNE = "H39.16-250804-0001"
PROVINCE = "H39.05-250815-0007"
CHILD = key_of_dossier(PROVINCE)
SIGNAL = {"procedure": "social_assistance", "definition": 1, "name": "opened", "related_key": CHILD,
          "stated_at": START}  # fmt: skip


def handed_up() -> Story:
    story = Story("social_assistance")
    for status in (1, 2, 4):
        story.status(status)
    story.component("review", "DONE")
    story.component("posting", "DONE")
    assert story.nodes == {"handed_up"}
    return story


def says(story: Story, event_type: str, name: str = "opened", child: str = CHILD) -> Verdict:
    return story.event(event_type, related=child, name=name, organ="H39.05", stated_at=story.now)


def above() -> Story:
    story = Story("social_assistance")
    for status in (1, 2, 4):
        story.status(status, code=PROVINCE, agency="H39.05", parent=COMMUNE)
    return story


def test_a_dossier_that_names_its_parent_tells_it_when_it_opens_and_ends() -> None:
    story = above()
    assert (story.instance.parent, story.nodes) == (key_of_dossier(COMMUNE), {"decision"})
    story.status(9)
    story.status(10)
    said = [(emit.type, emit.record["name"], emit.record["organ_id"]) for emit in story.emitted]
    assert said == [(CHILD_OPENED, "opened", "H39.05"), (CHILD_ENDED, "returned", None)]
    assert {emit.key for emit in story.emitted} == {key_of_dossier(COMMUNE)}


def test_a_dossier_is_no_child_of_itself() -> None:
    story = Story("social_assistance")
    story.status(1, parent=COMMUNE)
    assert story.instance.parent == ""


def test_the_commune_waits_for_the_decision_above_and_then_pays() -> None:
    story = handed_up()
    says(story, CHILD_OPENED)
    assert story.nodes == {"handed_up"}
    says(story, CHILD_ENDED, "returned")
    assert story.nodes == {"payment_list"}
    story.component("payment_list", "DONE")
    story.component("transfer", "DONE")
    for status in (9, 10):
        story.status(status)
    assert story.instance.end_state == "returned"


def test_a_decision_above_that_is_known_before_the_commune_gets_there_counts() -> None:
    story = Story("social_assistance")
    for status in (1, 2, 4):
        story.status(status)
    says(story, CHILD_OPENED)
    says(story, CHILD_ENDED, "returned")
    story.component("review", "DONE")
    story.component("posting", "DONE")
    assert story.nodes == {"payment_list"}


def test_what_the_level_above_sends_back_is_reviewed_again_and_handed_up_in_a_new_dossier() -> None:
    story = handed_up()
    says(story, CHILD_OPENED)
    says(story, CHILD_ENDED, "refused")
    assert story.nodes == {"review"}
    story.component("review", "DONE")
    story.component("posting", "DONE")
    assert story.nodes == {"handed_up"}
    says(story, CHILD_OPENED, child=key_of_dossier("H39.05-250901-0002"))
    says(story, CHILD_ENDED, "returned", child=key_of_dossier("H39.05-250901-0002"))
    assert story.nodes == {"payment_list"}


def test_nothing_is_paid_before_the_decision() -> None:
    story = handed_up()
    assert story.component("payment_list", "DONE") is Verdict.EARLY
    assert story.status(9) is Verdict.EARLY
    assert story.nodes == {"handed_up"}


def test_silence_of_the_level_above_is_told() -> None:
    story = handed_up()
    story.later(days=25)
    assert "level_above_silent" in {alert.name for alert in story.alerts}


def test_a_withdrawal_at_the_commune_ends_the_dossier_above() -> None:
    story = handed_up()
    says(story, CHILD_OPENED)
    story.status(7)
    assert [(emit.key, emit.record["name"]) for emit in story.emissions(RECALL)] == [(CHILD, "recall")]
    child = above()
    child.event(RECALL, related="x", name="recall", stated_at=child.now)
    assert child.instance.end_state == "withdrawn"
    asked = child.emissions("procedure.compensation_requested")
    assert [emit.record["text"] for emit in asked] == ["hủy dự thảo quyết định"]


ANYWHERE = ("any_dossier", "land_transfer", "building_permit", "birth_residence_insurance")


@pytest.mark.parametrize("procedure", ANYWHERE)
@pytest.mark.parametrize("over", [3, 7])
def test_who_is_over_without_a_result_recalls_from_its_children_whatever_its_definition(
    procedure: str, over: int
) -> None:
    story = Story(procedure)
    story.status(1)
    says(story, CHILD_OPENED)
    assert story.emissions(RECALL) == []
    story.status(over)
    assert [emit.key for emit in story.emissions(RECALL)] == [CHILD]
    later = key_of_dossier("H39.05-250901-0002")
    says(story, CHILD_OPENED, child=later)  # what opens afterwards is told at once
    assert [emit.key for emit in story.emissions(RECALL)] == [CHILD, later]
    assert story.alerts == []


def recalled(procedure: str) -> Story:
    """A child that its agency works on, recalled by its parent."""
    child = Story(procedure)
    for status in (2, 4):
        child.status(status, code=PROVINCE, agency="H39.05", parent=COMMUNE)
    assert child.event(RECALL, related="x", name="recall", stated_at=child.now) is Verdict.APPLIED
    return child


@pytest.mark.parametrize("procedure", ANYWHERE)
def test_a_child_whose_definition_says_nothing_of_a_recall_asks_its_agency_and_tells_a_person(procedure: str) -> None:
    child = recalled(procedure)
    assert child.instance.end_state == ""
    (asked,) = child.emissions("procedure.compensation_requested")
    assert (asked.addressed_to, asked.record["kind"]) == ("H39.05", "notify")
    assert [(alert.name, alert.subject, alert.raised) for alert in child.alerts] == [(PARENT_CLOSED, PROVINCE, True)]
    child.event(RECALL, related="x", name="recall", stated_at=child.now)
    assert len(child.emissions("procedure.compensation_requested")) == len(child.alerts) == 1


@pytest.mark.parametrize("ending", [[7], [8], [9, 10]])
def test_the_alert_goes_when_the_child_ends_or_is_stopped(ending: list[int]) -> None:
    child = recalled("any_dossier")
    for status in ending:
        child.status(status, code=PROVINCE)
    assert [alert.raised for alert in child.alerts if alert.name == PARENT_CLOSED] == [True, False]


def test_a_stopped_child_that_is_resumed_is_to_be_stopped_again() -> None:
    child = recalled("any_dossier")
    for status in (8, 4):
        child.status(status, code=PROVINCE)
    assert [alert.raised for alert in child.alerts if alert.name == PARENT_CLOSED] == [True, False, True]


def test_a_child_that_has_ended_is_asked_nothing() -> None:
    child = Story("any_dossier")
    for status in (2, 4, 9, 10):
        child.status(status, code=PROVINCE, parent=COMMUNE)
    child.event(RECALL, related="x", name="recall", stated_at=child.now)
    assert (child.emissions("procedure.compensation_requested"), child.alerts) == ([], [])


def test_a_recall_goes_on_to_the_children_of_a_child() -> None:
    child = Story("any_dossier")
    for status in (2, 4):
        child.status(status, code=PROVINCE, parent=COMMUNE)
    below = key_of_dossier("G09-250820-0001")
    says(child, CHILD_OPENED, child=below)
    child.event(RECALL, related="x", name="recall", stated_at=child.now)
    assert [emit.key for emit in child.emissions(RECALL)] == [below]


def test_after_a_correction_new_children_live() -> None:
    story = Story("any_dossier")
    for status in (2, 4, 7):
        story.status(status)
    story.event("dossier.corrected", status=4, corrects=True, code=COMMUNE)
    says(story, CHILD_OPENED)
    assert (story.instance.recalled, story.emissions(RECALL)) == ((), [])


def test_a_correction_asks_the_children_to_go_on_and_a_second_refusal_to_stop_again() -> None:
    story = Story("any_dossier")
    story.status(1)
    says(story, CHILD_OPENED)
    story.status(7)
    story.event("dossier.corrected", status=4, corrects=True, code=COMMUNE)
    assert told(story) == [(CHILD, "recall"), (CHILD, "go_on")]
    story.status(7)
    assert told(story) == [(CHILD, "recall"), (CHILD, "go_on"), (CHILD, "recall")]


def told(story: Story) -> list[tuple[str, str]]:
    return [(emit.key, emit.record["name"]) for emit in story.emissions(RECALL)]


def frees(child: Story) -> Verdict:
    return child.event(RECALL, related="x", name="go_on", stated_at=child.now)


def test_a_child_whose_recall_is_taken_back_asks_its_agency_to_go_on_and_its_children_as_well() -> None:
    child = recalled("any_dossier")
    below = key_of_dossier("G09-250820-0001")
    says(child, CHILD_OPENED, child=below)
    child.status(8, code=PROVINCE, agency="H39.05")
    assert frees(child) is Verdict.APPLIED
    asked = child.emissions("procedure.compensation_requested")
    assert [(emit.addressed_to, emit.record["name"]) for emit in asked] == [("H39.05", "recall"), ("H39.05", "go_on")]
    assert told(child) == [(below, "recall"), (below, "go_on")]
    child.status(4, code=PROVINCE)
    assert [alert.raised for alert in child.alerts if alert.name == PARENT_CLOSED] == [True, False]
    assert frees(child) is Verdict.NOTED


@pytest.mark.parametrize("ending", [[7], [9, 10]])
def test_a_child_that_is_over_is_not_asked_to_go_on(ending: list[int]) -> None:
    child = recalled("any_dossier")
    for status in ending:
        child.status(status, code=PROVINCE)
    frees(child)
    assert [emit.record["name"] for emit in child.emissions("procedure.compensation_requested")] == ["recall"]


def test_what_the_recall_has_ended_is_asked_to_be_corrected() -> None:
    child = above()
    child.event(RECALL, related="x", name="recall", stated_at=child.now)
    assert child.instance.end_state == "withdrawn"
    frees(child)
    assert "đính chính" in child.emissions("procedure.compensation_requested")[-1].record["text"]


def test_a_child_with_a_mistake_of_its_own_stays_recalled_from_above() -> None:
    child = recalled("any_dossier")
    below = key_of_dossier("G09-250820-0001")
    says(child, CHILD_OPENED, child=below)
    child.status(7, code=PROVINCE)
    child.event("dossier.corrected", status=4, corrects=True, code=PROVINCE)
    assert told(child) == [(below, "recall")]
    child.status(7, code=PROVINCE)
    frees(child)
    assert told(child) == [(below, "recall")]  # it is over of itself now
    child.event("dossier.corrected", status=4, corrects=True, code=PROVINCE)
    assert told(child) == [(below, "recall"), (below, "go_on")]


def test_what_a_recall_has_ended_counts_as_closed() -> None:
    child = above()
    child.event(RECALL, related="x", name="recall", stated_at=child.now)
    row = facts_row(child.instance, lambda code: "department")
    assert (row["status"], row["finished_at"], row["finished_date"]) == (4, child.now, "2025-08-04")


def test_a_death_stops_the_payments_and_asks_for_the_months_paid_after_it() -> None:
    story = handed_up()
    says(story, CHILD_OPENED)
    says(story, CHILD_ENDED, "returned")
    story.component("payment_list", "DONE")
    story.component("transfer", "DONE")
    for status in (9, 10):
        story.status(status)
    story.component("death", "DONE")
    assert story.nodes == {"stopping"}
    assert [emit.record["kind"] for emit in story.emissions("procedure.compensation_requested")] == ["correct"]
    story.component("reclaim", "DONE")
    assert story.instance.end_state == "ended_by_death"
    assert story.component("death", "DONE") is not Verdict.APPLIED


def test_a_death_says_nothing_to_a_dossier_that_was_refused() -> None:
    story = Story("social_assistance")
    for status in (1, 3):
        story.status(status)
    story.component("death", "DONE")
    assert story.instance.end_state == "refused"


@pytest.fixture
async def ledger() -> AsyncIterator[Ledger]:
    async with in_memory() as made:
        yield made


async def row(desk: Desk) -> Any:
    (found,) = await desk.rows(instance)
    return found


async def test_a_parent_that_is_heard_of_first_from_its_child_is_a_dossier(ledger: Ledger) -> None:
    desk = Desk(ledger)
    await desk.take(CHILD_OPENED, SIGNAL)
    assert (await row(desk)).procedure == "any_dossier"
    await desk.take("dossier.accepted", snapshot("ACCEPTED", procedure="1.001776"))
    found = await row(desk)
    assert (found.procedure, found.state["children"][0][0]) == ("social_assistance", CHILD)


async def test_what_a_child_says_goes_to_the_key_that_stands_for_its_parent_now(ledger: Ledger) -> None:
    desk = Desk(ledger)
    younger, older = key_of("dossier_code", PROVINCE), key_of("dossier_code", "H39.05-250101-0001")
    await ledger.write(lambda conn: identity.merge(conn, younger, older, now=1))
    effect = await desk.take("dossier.accepted", snapshot("ACCEPTED", procedure="1.001776", parent_code=PROVINCE))
    assert [emission.key for emission in effect.emissions] == [older.bytes]
    assert (await row(desk)).state["parent"] == str(younger)
