"""Random events in random order against each definition: money adds up, one end, nothing waits for nothing."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from router.procedures.definition import Kind
from router.procedures.obligation import NoticeState, balance
from router.procedures.timetable import timers
from router.procedures.verdict import Verdict
from tests.procedures.story import CLOCKWORK, Story, definition

DOSSIERS = ["land_transfer", "first_certificate", "birth_residence_insurance", "land_use_change", "building_permit",
            "any_dossier"]  # fmt: skip
COMPONENTS = ["birth", "residence", "health_insurance", "origin", "posting", "measuring", "debt", "extract",
              "field_check", "decision", "land_plot", "planning", "fire_police", "power_grid", "design"]  # fmt: skip
SAID = st.one_of(
    st.tuples(st.just("status"), st.integers(1, 10)),
    st.tuples(st.just("component"), st.sampled_from(COMPONENTS), st.sampled_from(["RECEIVED", "DONE", "REFUSED"])),
    st.tuples(st.just("request"), st.integers(1, 3)),
    st.tuples(st.just("notice"), st.sampled_from(["TB1", "TB2", "TB3"]), st.integers(1, 3), st.integers(1, 500)),
    st.tuples(st.just("pays"), st.integers(1, 500), st.sampled_from(["", "TB1", "TB2", "TB3"]), st.booleans()),
    st.tuples(
        st.just("land"),
        st.sampled_from(["land.file_submitted", "land.finished", "land.wrong_procedure", "land.result_disputed"]),
    ),
    st.tuples(st.just("returned"), st.integers(1, 3)),
    st.tuples(st.just("completed"), st.sampled_from(["TB1", "TB2"]), st.integers(1, 500)),
    st.tuples(st.just("later"), st.integers(1, 60)),
)


def tell(story: Story, said: tuple) -> None:
    match said:
        case ("status", status):
            story.status(status)
        case ("component", component, state):
            story.component(component, state, number="1/QĐ")
        case ("request", generation):
            story.request(generation)
        case ("notice", number, generation, total):
            story.notice(number, generation, total)
        case ("pays", amount, notice, confirmed):
            story.pays(amount, notice, phase="CONFIRM" if confirmed else "EVIDENCE")
        case ("land", event):
            story.event(event, end_state="0", message="L")
        case ("returned", generation):
            story.event("tax.obligation_returned", generation=generation)
        case ("completed", notice, amount):
            story.event("tax.obligation_completed", notice=notice, amount=amount)
        case ("later", days):
            story.later(days=days)


def check(story: Story) -> None:
    now, shape = story.instance, story.definition
    held = balance(now.finance)
    assert held.received == held.allocated + held.refunded + held.suspended + held.fees
    assert not held.odd
    for notice in now.finance.notices:
        paid = now.finance.paid(notice.number)
        assert paid <= notice.total
        assert (notice.state is NoticeState.PAID) <= (paid == notice.total)
        assert not paid or notice.state in (NoticeState.ACTIVE, NoticeState.PAID)
    refunded = sum(emit.record["amount"] for emit in story.emissions("payment.refund_requested"))
    assert refunded == held.refunded
    assert bool(now.end_state) == (not now.tokens)
    wanted = timers(now, shape, CLOCKWORK)
    for token in now.tokens:
        node = shape.nodes[token.node]
        assert node.edges or f"node:{token.id}" in wanted
        assert node.kind not in (Kind.FAN_OUT, Kind.END)
    for early in now.early:
        assert f"early:{early.event.source}/{early.event.id}" in wanted
    applied = [line for line in story.log if line.verdict is Verdict.APPLIED and line.event.facts.get("status")]
    assert not applied or applied[-1].event.facts["status"] == now.status or now.status


@pytest.mark.parametrize("procedure", DOSSIERS)
@settings(max_examples=60, deadline=None)
@given(st.lists(SAID, max_size=40))
def test_no_order_of_events_loses_money_or_leaves_an_instance_without_a_way_on(procedure: str, told: list) -> None:
    story = Story(procedure)
    for said in told:
        tell(story, said)
        check(story)


RECEIVERS = ["H56.01", "H56.02", "H56.03"]
STATES = ["ARRIVED", "REFUSED", "RECEIVED", "ASSIGNED", "PROCESSING", "COMPLETED", "TAKE_BACK", "AGREED", "DECLINED"]


@settings(max_examples=120, deadline=None)
@given(st.lists(st.tuples(st.sampled_from([*RECEIVERS, "G22"]), st.sampled_from(STATES)), max_size=40))
def test_a_document_ends_exactly_when_every_receiver_has_answered(told: list[tuple[str, str]]) -> None:
    story = Story("official_document")
    story.event("document.sent", business="NEW", sender="G22", receivers=RECEIVERS, document="D1")
    for organ, state in told:
        story.event("document.status_changed", document="D1", organ=organ, state=state)
        now = story.instance
        open_items = {token.item for token in now.tokens if token.item}
        assert bool(now.end_state) == (not open_items)
        assert now.arrived.get("answered", 3 if now.end_state else 0) + len(open_items) in (3, 0) or now.end_state


@pytest.mark.parametrize("procedure", [*DOSSIERS, "official_document"])
def test_every_end_of_a_definition_can_be_reached_from_its_start(procedure: str) -> None:
    shape = definition(procedure)
    ways = shape.reachable(frozenset(shape.start)) | {edge.to for edge in shape.anywhere}
    assert {name for name, node in shape.nodes.items() if node.kind is Kind.END} <= ways
