"""Random events in random order against each definition: money adds up, one end, nothing waits for nothing."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from router.procedures.definition import Kind
from router.procedures.dues import day_of, due_at, local, pause_of
from router.procedures.engine import MOST_EARLY
from router.procedures.obligation import NoticeState, balance
from router.procedures.status import TERMINAL, Status
from router.procedures.timetable import timers
from router.procedures.verdict import Verdict
from tests.procedures.story import CLOCKWORK, Story, definition

DOSSIERS = ["land_transfer", "first_certificate", "birth_residence_insurance", "land_use_change", "land_use_change/2",
            "building_permit", "any_dossier", "social_assistance"]  # fmt: skip
COMPONENTS = ["birth", "residence", "health_insurance", "origin", "posting", "measuring", "debt", "extract",
              "field_check", "decision", "land_plot", "planning", "fire_police", "power_grid", "design"]  # fmt: skip
CODE = "H39.16-250804-0001"
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
    st.tuples(st.just("supplement"), st.sampled_from(["requested", "answered"])),
    st.tuples(st.just("correct"), st.integers(1, 10)),
    st.tuples(st.just("apology"), st.integers(-5, 30)),
    st.tuples(st.just("started"), st.sampled_from(["A", "B"])),
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
        case ("supplement", kind):
            status = 5 if kind == "requested" else 4
            story.event(f"dossier.supplement_{kind}", status=status, round="1", code=CODE, procedure="1.012793")
        case ("correct", status):
            story.event("dossier.corrected", status=status, corrects=True, authority="1/QĐ", code=CODE, agency="H39.16")
        case ("apology", days):
            new = (local(story.now) + timedelta(days=days)).date().isoformat()
            story.event("dossier.apology_sent", sent_at=story.now, new_due_date=new)
        case ("started", reference):
            story.pays(100, phase="INIT", reference=reference)


def check(story: Story) -> None:
    now = story.instance
    held = balance(now.finance)
    assert held.received == held.allocated + held.refunded + held.suspended + held.carried + held.fees
    assert not held.odd
    for notice in now.finance.notices:
        paid = now.finance.paid(notice.number)
        assert paid <= notice.total
        assert (notice.state is NoticeState.PAID) <= (paid == notice.total)
        assert not paid or notice.state in (NoticeState.ACTIVE, NoticeState.PAID)
    refunded = sum(emit.record["amount"] for emit in story.emissions("payment.refund_requested"))
    assert refunded == held.refunded
    assert bool(now.end_state) == (not now.tokens)
    check_place(story)
    check_time(story)


def check_place(story: Story) -> None:
    """The token, the status and the money say the same."""
    now, shape = story.instance, story.definition
    wanted = timers(now, shape, CLOCKWORK)
    for token in now.tokens:
        node = shape.nodes[token.node]
        assert node.edges or f"node:{token.id}" in wanted
        assert node.kind not in (Kind.FAN_OUT, Kind.END)
    for early in now.early:
        assert f"early:{early.id}" in wanted
    assert len(now.early) <= MOST_EARLY
    if now.status in TERMINAL:
        again = any(line.event.type == "land.result_disputed" and line.verdict is Verdict.APPLIED for line in story.log)
        assert now.end_state or (again and now.status == Status.RESULT_RETURNED)
    if now.status in (Status.NOT_ACCEPTED, Status.WITHDRAWN):
        held = balance(now.finance)
        assert held.received == held.refunded
        assert not [notice for notice in now.finance.notices if notice.state is NoticeState.ACTIVE]
    if now.finance.complete:
        assert not {"payment", "first_instalment", "last_instalment"} & {token.node for token in now.tokens}
    stated = [line for line in story.log if line.verdict is Verdict.APPLIED and line.event.facts.get("status")]
    if stated:
        last = stated[-1].event
        before_acceptance = last.type == "dossier.supplement_answered" and now.status == Status.SUBMITTED
        assert last.facts["status"] == now.status or before_acceptance


def check_time(story: Story) -> None:
    """Dates have reasons, alerts that stand have a cause, and whoever is overdue is watched."""
    now, shape = story.instance, story.definition
    standing: dict[tuple[str, str], bool] = {}
    for alert in story.alerts:
        standing[alert.name, alert.subject] = alert.raised
    raised = {name for (name, _), still in standing.items() if still}
    assert ("payment_suspended" in raised) == bool(now.finance.undecided)
    assert ("money_waits" in raised) == any(early.alerted for early in now.early)
    assert ("task_overdue" in raised) == bool(now.due.late)
    assert bool(now.due.paused_since) == bool(pause_of(now, shape)) or not now.status
    assert all(move.why for move in (*now.due.whole, *now.due.agency))
    assert sum(move.why == "extension" for move in now.due.whole) <= 1
    if now.due.detected_at:
        assert day_of(due_at(now.due.whole)) < day_of(now.due.detected_at)


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
SIGNALS = ["procedure.child_opened", "procedure.child_ended", "procedure.recall_requested"]


@settings(max_examples=120, deadline=None)
@given(st.lists(st.tuples(st.sampled_from([*RECEIVERS, "G22"]), st.sampled_from([*STATES, *SIGNALS])), max_size=40))
def test_a_document_ends_exactly_when_every_receiver_has_answered(told: list[tuple[str, str]]) -> None:
    story = Story("official_document")
    story.event("document.sent", business="NEW", sender="G22", receivers=RECEIVERS, document="D1")
    for organ, state in told:
        if state == "procedure.child_opened" and story.instance.end_state:
            continue  # a copy that opens behind the end is nobody's to wait for
        if state in SIGNALS:
            story.event(state, related=f"child of {organ}", name="recalled")
        else:
            story.event("document.status_changed", document="D1", organ=organ, state=state)
        now = story.instance
        open_items = {token.item for token in now.tokens if token.item}
        forwarded = now.variables["recalled"] and any(not child.ended for child in now.children)
        assert bool(now.end_state) == (not open_items and not forwarded)
        assert now.arrived.get("answered", 3 if not open_items else 0) + len(open_items) in (3, 0) or now.end_state


@pytest.mark.parametrize("procedure", [*DOSSIERS, "official_document"])
def test_every_end_of_a_definition_can_be_reached_from_its_start(procedure: str) -> None:
    shape = definition(procedure)
    beside = {edge.to for edge in (*shape.anywhere, *shape.from_end) if edge.to}
    ways = shape.reachable(frozenset(shape.start) | beside) | beside
    assert {name for name, node in shape.nodes.items() if node.kind is Kind.END} <= ways
