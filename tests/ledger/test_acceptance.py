"""Acceptance: the position moves with what is stored, and what came before is recognised."""

from __future__ import annotations

from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, event, select

from router.errors import RowRefused, StalePosition
from router.events import ROUTER
from router.ledger import conflicts, dead_letters, identity, store
from router.ledger.dead_letters import DeadFilter
from router.ledger.rows import Accepted, Body, State, Verdict
from router.ledger.tables import conflict
from tests.ledger.harness import (
    HEADERS,
    NOW,
    RECIPIENT,
    accept,
    arrival,
    change,
    delivery,
    failure,
    in_memory,
    key,
    purged,
    shard,
)


async def test_a_new_recipient_has_shards_that_begin_at_offset_0_and_seq_1(bare):
    await bare.write(lambda conn: store.register_shards(conn, "tax-h39", 2))
    await bare.write(lambda conn: store.register_shards(conn, "land-h39", 1))
    found = await bare.read(store.shards)
    assert [(s.recipient, s.partition, s.position, s.next_seq, s.fingerprint) for s in found] == [
        ("land-h39", 0, 0, 1, b""), ("tax-h39", 0, 0, 1, b""), ("tax-h39", 1, 0, 1, b""),
    ]  # fmt: skip
    assert [s.recipient for s in await bare.read(lambda conn: store.shards(conn, ["land-h39"]))] == ["land-h39"]


async def test_registering_again_leaves_shards_where_they_stand(ledger):
    await accept(ledger, arrival(0), arrival(1))
    before = await ledger.read(store.shards)
    await ledger.write(lambda conn: store.register_shards(conn, RECIPIENT, 3))
    after = await ledger.read(store.shards)
    assert after[:2] == before
    assert (after[2].partition, after[2].position) == (2, 0)


async def test_new_arrivals_are_stored_whole_in_the_order_given(ledger):
    first = arrival(7, urgent=True, event_type="document.sent")
    second = arrival(8, key=key("B"), event_type="dossier.progressed", subject="H39.16-250616-0002")
    assert await accept(ledger, first, second) == [Accepted(Verdict.NEW, 1, True), Accepted(Verdict.NEW, 2)]
    stored = await delivery(ledger, 2)
    assert (stored.key, stored.state, stored.version, stored.urgent) == (key("B"), State.WAITING, 1, False)
    assert (stored.source, stored.event_id, stored.event_type) == (second.source, "event-8", "dossier.progressed")
    assert (stored.subject, stored.offset, stored.accepted_at) == ("H39.16-250616-0002", 8, NOW)
    assert (stored.due, stored.attempts, stored.spent, stored.edited, stored.order_id) == (None, 0, 0, False, 0)
    assert (stored.failure, stored.receipt) == (None, None)
    assert (await delivery(ledger, 1)).urgent is True
    bodies = await ledger.read(lambda conn: store.bodies(conn, stored.shard, [1, 2]))
    assert bodies[1].value == first.body.value
    assert [tuple(pair) for pair in bodies[1].headers] == list(HEADERS)


async def test_the_position_moves_even_when_nothing_new_came(ledger):
    await accept(ledger, arrival(0))
    assert await accept(ledger, arrival(1, event_id="event-0")) == [Accepted(Verdict.REPEATED, 0)]
    place = await shard(ledger)
    assert (place.position, place.next_seq, place.fingerprint) == (2, 2, b"print")


async def test_same_identity_and_bytes_is_dropped_even_with_other_headers(ledger):
    first = arrival(0)
    await accept(ledger, first)
    again = arrival(1, event_id="event-0", body=Body(first.body.value, [("ce_time", b"later")]))
    assert await accept(ledger, again) == [Accepted(Verdict.REPEATED, 0)]
    place = await shard(ledger)
    assert len(await ledger.read(lambda conn: store.walk(conn, place.id, False, 0, 10))) == 1


async def test_same_identity_with_another_body_is_kept_as_a_conflict_and_not_delivered(ledger):
    await accept(ledger, arrival(0))
    other = arrival(1, event_id="event-0", body=Body(b"other", HEADERS))
    assert await accept(ledger, other, now=NOW + 5) == [Accepted(Verdict.CONFLICT, 0)]
    kept = await ledger.read(lambda conn: conflicts.listed(conn, 10))
    assert [(each.first, each.event_id, each.body.value, each.seen_at) for each in kept] == [
        (f"{RECIPIENT}/0/1", "event-0", b"other", NOW + 5)
    ]
    assert await ledger.read(lambda conn: conn.execute(select(conflict.c.seq, conflict.c.offset)).all()) == [(1, 1)]
    place = await shard(ledger)
    assert len(await ledger.read(lambda conn: store.walk(conn, place.id, False, 0, 10))) == 1
    assert (await ledger.read(lambda conn: store.bodies(conn, place.id, [1])))[1].value == b"bytes of event-0"


async def test_two_of_one_identity_in_one_run_are_recognised_among_themselves(ledger):
    run = [arrival(0), arrival(1, event_id="event-0"), arrival(2, event_id="event-0", body=Body(b"x", HEADERS))]
    assert await accept(ledger, *run, arrival(3)) == [
        Accepted(Verdict.NEW, 1),
        Accepted(Verdict.REPEATED, 0),
        Accepted(Verdict.CONFLICT, 0),
        Accepted(Verdict.NEW, 2),
    ]


async def test_recognition_is_apart_for_each_shard(ledger):
    await accept(ledger, arrival(0), partition=0)
    assert await accept(ledger, arrival(0), partition=1) == [Accepted(Verdict.NEW, 1)]


async def test_a_run_longer_than_one_lookup_is_recognised_whole(ledger):
    run = [arrival(number) for number in range(1_100)]
    await accept(ledger, *run)
    again = [arrival(1_100 + number, event_id=f"event-{number}") for number in range(1_100)]
    assert {made.verdict for made in await accept(ledger, *again)} == {Verdict.REPEATED}


async def test_an_accept_for_a_position_that_moved_stores_nothing(ledger):
    stale = await shard(ledger)
    await accept(ledger, arrival(0))
    with pytest.raises(StalePosition):
        await ledger.write(lambda conn: store.accept(conn, stale, 2, b"", [arrival(1)], now=NOW))
    place = await shard(ledger)
    assert (place.position, place.next_seq) == (1, 2)
    assert await ledger.read(lambda conn: store.one(conn, place.id, 2)) is None


async def test_a_work_that_fails_after_its_accept_leaves_no_trace(ledger):
    place = await shard(ledger)

    def work(conn):
        store.accept(conn, place, 1, b"", [arrival(0)], now=NOW)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await ledger.write(work)
    assert await shard(ledger) == place
    assert await accept(ledger, arrival(0)) == [Accepted(Verdict.NEW, 1)]


@pytest.mark.parametrize("bad", ["\x00", "\ud800"], ids=["nul", "lone surrogate"])
async def test_a_text_that_cannot_be_stored_is_refused_unshown_and_undoes_the_run(ledger, bad):
    for field in ("event_id", "event_type", "subject", "source"):
        with pytest.raises(RowRefused) as refused:
            await accept(ledger, arrival(0), arrival(1, **{field: f"Nguyễn{bad}Văn A"}))
        assert "Nguyễn" not in str(refused.value)
        assert (await shard(ledger)).position == 0


# The local recipient ``router``


def dead(number: int, reason: str = "no_route", **changes):
    return arrival(number, state=State.DEAD, failure=failure(reason, cause=f"cause of {reason}"), **changes)


async def at_router(ledger) -> None:
    await ledger.write(lambda conn: store.register_shards(conn, ROUTER, 1))


async def test_at_router_an_arrival_is_dead_at_once_with_its_reason_and_cause(ledger):
    await at_router(ledger)
    assert await accept(ledger, dead(0), recipient=ROUTER) == [Accepted(Verdict.NEW, 1)]
    stored = await delivery(ledger, 1, recipient=ROUTER)
    assert stored.state is State.DEAD
    assert stored.failure == failure("no_route", cause="cause of no_route")
    groups = await ledger.read(lambda conn: dead_letters.groups(conn, DeadFilter()))
    assert [(g.cause, g.recipient, g.letters) for g in groups] == [("cause of no_route", ROUTER, 1)]


@pytest.mark.parametrize("finished", [State.DELIVERED, State.SKIPPED, State.DISCARDED, State.EXPIRED])
async def test_what_was_finished_at_router_and_comes_again_is_dead_again_for_its_new_reason(ledger, finished):
    await at_router(ledger)
    await accept(ledger, dead(0), recipient=ROUTER)
    await change(ledger, 1, finished, recipient=ROUTER, receipt={"code": "republished"}, order_id=4)
    again = dead(1, "unknown_agency", event_id="event-0")
    assert await accept(ledger, again, recipient=ROUTER) == [Accepted(Verdict.REOPENED, 1)]
    stored = await delivery(ledger, 1, recipient=ROUTER)
    assert (stored.state, stored.version, stored.receipt) == (State.DEAD, 3, None)
    assert stored.failure is not None
    assert stored.failure.reason == "unknown_agency"
    found = await ledger.read(lambda c: dead_letters.listed(c, DeadFilter(cause="cause of unknown_agency"), limit=5))
    assert [named.name for named in found] == ["router/0/1"]


async def test_what_is_still_dead_at_router_is_only_counted_when_it_comes_again(ledger):
    await at_router(ledger)
    await accept(ledger, dead(0), recipient=ROUTER)
    again = [dead(1, event_id="event-0"), dead(2, event_id="event-0")]
    assert await accept(ledger, *again, recipient=ROUTER) == [Accepted(Verdict.REPEATED, 0)] * 2
    assert (await delivery(ledger, 1, recipient=ROUTER)).version == 1


async def test_one_event_twice_in_a_run_at_router_is_one_dead_letter(ledger):
    await at_router(ledger)
    run = [dead(0), dead(1, event_id="event-0")]
    assert await accept(ledger, *run, recipient=ROUTER) == [Accepted(Verdict.NEW, 1), Accepted(Verdict.REPEATED, 0)]


async def test_what_was_purged_at_router_and_comes_again_is_shown_again(ledger):
    await at_router(ledger)
    await accept(ledger, dead(0), recipient=ROUTER)
    await change(ledger, 1, State.DELIVERED, recipient=ROUTER, last_at=NOW)
    await purged(ledger, before=NOW + 1)
    again = [dead(1, event_id="event-0"), dead(2, event_id="event-0")]
    assert await accept(ledger, *again, recipient=ROUTER) == [Accepted(Verdict.NEW, 2), Accepted(Verdict.REPEATED, 0)]
    assert (await delivery(ledger, 2, recipient=ROUTER)).state is State.DEAD


async def test_elsewhere_a_finished_delivery_is_never_reopened(ledger):
    malformed = arrival(0, state=State.DEAD, failure=failure("malformed_event"))
    await accept(ledger, malformed)
    await change(ledger, 1, State.DISCARDED)
    again = arrival(1, event_id="event-0", state=State.DEAD, failure=failure("malformed_event"))
    assert await accept(ledger, again) == [Accepted(Verdict.REPEATED, 0)]
    assert (await delivery(ledger, 1)).state is State.DISCARDED


# The rule as a whole

_event = st.tuples(st.integers(0, 5), st.integers(0, 2))


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.lists(_event, max_size=6), max_size=5))
async def test_however_a_stream_is_cut_into_runs_the_verdicts_are_the_same(runs):
    """The first body of an identity is new and gets the next seq, the same again is dropped, others conflict."""
    first: dict[int, int] = {}
    async with in_memory() as ledger:
        await ledger.write(lambda conn: store.register_shards(conn, RECIPIENT, 1))
        offset = 0
        for run in runs:
            arrivals, expected = [], []
            for number, content in run:
                value = f"content {content}".encode()
                arrivals.append(arrival(offset, event_id=f"event-{number}", body=Body(value, ())))
                if number not in first:
                    first[number] = content
                    expected.append(Accepted(Verdict.NEW, len(first)))
                else:
                    same = first[number] == content
                    expected.append(Accepted(Verdict.REPEATED if same else Verdict.CONFLICT, 0))
                offset += 1
            assert await accept(ledger, *arrivals) == expected
        assert (await shard(ledger)).position == offset


# Classes: a lane has one, whatever the headers of its events say


def letter(number, *, urgent, event_type="document.sent"):
    return arrival(number, key=key("letter"), urgent=urgent, event_type=event_type)


async def classes(ledger, count, recipient=RECIPIENT):
    return [(await delivery(ledger, seq, recipient=recipient)).urgent for seq in range(1, count + 1)]


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("together", [True, False], ids=["one batch", "one by one"])
async def test_a_document_that_comes_in_two_classes_keeps_that_of_its_first_event(ledger, first, together):
    events = [letter(0, urgent=first), letter(1, urgent=not first), letter(2, urgent=first)]
    made = []
    for batch in [events] if together else [[one] for one in events]:
        made += await accept(ledger, *batch)
    assert made == [Accepted(Verdict.NEW, seq, first) for seq in (1, 2, 3)]
    assert await classes(ledger, 3) == [first] * 3


@pytest.mark.parametrize("pinned", [True, False])
async def test_a_class_that_ingress_has_fixed_counts_from_the_first_event_on(ledger, pinned):
    await ledger.write(lambda conn: identity.pin_urgent(conn, UUID(bytes=key("letter")), pinned))
    await accept(ledger, letter(0, urgent=not pinned), letter(1, urgent=pinned))
    assert await classes(ledger, 2) == [pinned] * 2


async def test_a_document_has_one_class_at_all_its_recipients(ledger):
    await ledger.write(lambda conn: store.register_shards(conn, "one-stop-h39", 1))
    await accept(ledger, letter(0, urgent=True))
    await accept(ledger, letter(0, urgent=False), recipient="one-stop-h39")
    assert await classes(ledger, 1, "one-stop-h39") == [True]


async def test_classes_cost_dossiers_nothing_and_documents_one_look_once_they_are_fixed(ledger):
    said = []

    def hear(_conn, _cursor, statement, *_):
        said.append("pinned" in statement)

    async def looks(*arrivals):
        said.clear()
        await accept(ledger, *arrivals)
        return sum(said)

    event.listen(Engine, "before_cursor_execute", hear)
    try:
        assert await looks(*(arrival(number, key=key(str(number))) for number in range(20))) == 0
        assert await looks(letter(20, urgent=True)) > 1
        assert await looks(*(letter(number, urgent=number % 2 == 0) for number in range(21, 40)), arrival(40)) == 1
    finally:
        event.remove(Engine, "before_cursor_execute", hear)


async def test_what_belongs_to_a_document_goes_in_its_class_and_a_dossier_is_never_urgent(ledger):
    reply = letter(1, urgent=False, event_type="delivery.rejected")
    dossiers = [arrival(number, key=key("A"), urgent=number == 2) for number in (2, 3)]
    await accept(ledger, letter(0, urgent=True), reply, *dossiers)
    assert await classes(ledger, 4) == [True, True, False, False]
