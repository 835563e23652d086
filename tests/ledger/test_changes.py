"""Transitions, edits and the reads that fill lanes."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from router.errors import StaleVersion
from router.ledger import outbox, store
from router.ledger.rows import FINISHED, Body, State, Transition
from tests.ledger.harness import (
    HEADERS,
    NOW,
    RECIPIENT,
    accept,
    arrival,
    attempt,
    change,
    delivery,
    emission,
    failure,
    in_memory,
    key,
    shard,
)

LEASE = f"shard:{RECIPIENT}/0"


async def test_a_transition_replaces_the_row_and_raises_its_version(ledger):
    await accept(ledger, arrival(0))
    made = await change(
        ledger, 1, State.WAITING, due=NOW + 9, attempts=2, spent=1, first_at=NOW, last_at=NOW + 1, failure=failure(),
        receipt={"số biên nhận": ["TN-1", None]}, order_id=3,
    )  # fmt: skip
    stored = await delivery(ledger, 1)
    assert stored.version == 2
    for name in ("state", "due", "attempts", "spent", "first_at", "last_at", "failure", "receipt", "order_id"):
        assert getattr(stored, name) == getattr(made, name)
    await change(ledger, 1, State.DELIVERED)
    stored = await delivery(ledger, 1)
    assert (stored.version, stored.due, stored.failure, stored.receipt) == (3, None, None, None)


@pytest.mark.parametrize("apart", [-1, 1, 2])
async def test_one_stale_version_undoes_the_whole_group(ledger, apart):
    """Also where the row already has the very version that the change would have made."""
    await accept(ledger, arrival(0), arrival(1))
    await change(ledger, 2, State.CALLING)
    await change(ledger, 2, State.WAITING)
    place = await shard(ledger)
    good = Transition(place.id, 1, 1, State.DELIVERED, attempt=attempt(), emissions=[emission(1)])
    stale = Transition(place.id, 2, 3 - apart, State.DELIVERED)
    with pytest.raises(StaleVersion):
        await ledger.write(lambda conn: store.apply(conn, [good, stale]))
    assert [(await delivery(ledger, seq)).state for seq in (1, 2)] == [State.WAITING, State.WAITING]
    assert await ledger.read(lambda conn: store.attempts(conn, place.id, 1)) == []
    assert await ledger.read(lambda conn: outbox.pending(conn, [LEASE], 9)) == []


async def test_two_changes_of_one_row_in_a_group_follow_each_other(ledger):
    await accept(ledger, arrival(0))
    place = await shard(ledger)
    first = Transition(place.id, 1, 1, State.CALLING)
    await ledger.write(lambda conn: store.apply(conn, [first, replace(first, version=2, state=State.DELIVERED)]))
    stored = await delivery(ledger, 1)
    assert (stored.state, stored.version) == (State.DELIVERED, 3)


async def test_two_changes_computed_from_the_same_version_undo_each_other(ledger):
    await accept(ledger, arrival(0))
    place = await shard(ledger)
    first = Transition(place.id, 1, 1, State.CALLING)
    with pytest.raises(StaleVersion):
        await ledger.write(lambda conn: store.apply(conn, [first, replace(first, state=State.DELIVERED)]))
    assert (await delivery(ledger, 1)).version == 1


async def test_attempts_are_listed_in_the_order_made(ledger):
    await accept(ledger, arrival(0))
    made = [attempt(1, partner_code="503", message="máy chủ bận"), attempt(2, outcome="uncertain", order_id=4)]
    for each in made:
        await change(ledger, 1, State.WAITING, attempt=each)
    place = await shard(ledger)
    assert await ledger.read(lambda conn: store.attempts(conn, place.id, 1)) == made


async def test_emissions_go_to_the_outbox_of_their_shards_lease_in_the_order_given(ledger):
    await accept(ledger, arrival(0), arrival(1))
    await accept(ledger, arrival(0), partition=1)
    first, second = await shard(ledger, 0), await shard(ledger, 1)
    changes = [
        Transition(first.id, 2, 1, State.DELIVERED, emissions=[emission(1), emission(2, topic="lgsp.dead-letter")]),
        Transition(second.id, 1, 1, State.DELIVERED, emissions=[emission(3, partition=5)]),
        Transition(first.id, 1, 1, State.DELIVERED, emissions=[emission(4)]),
    ]
    await ledger.write(lambda conn: store.apply(conn, changes))
    mine = await ledger.read(lambda conn: outbox.pending(conn, [first.lease], 9))
    assert [(e.value, e.topic) for _, e in mine] == [
        (b"v1", "lgsp.dossier"), (b"v2", "lgsp.dead-letter"), (b"v4", "lgsp.dossier"),
    ]  # fmt: skip
    other = await ledger.read(lambda conn: outbox.pending(conn, [second.lease], 9))
    assert [(e.value, e.partition, list(map(tuple, e.headers))) for _, e in other] == [(b"v3", 5, list(HEADERS))]


async def test_published_rows_go_and_the_others_keep_their_order(ledger):
    await ledger.write(lambda conn: outbox.add(conn, "waiting", [emission(n) for n in range(300)]))
    page = await ledger.read(lambda conn: outbox.pending(conn, ["waiting", "unknown"], 100))
    assert [e.value for _, e in page] == [f"v{n}".encode() for n in range(100)]
    await ledger.write(lambda conn: outbox.published(conn, [number for number, _ in page]))
    rest = await ledger.read(lambda conn: outbox.pending(conn, ["waiting"], 1_000))
    assert [e.value for _, e in rest] == [f"v{n}".encode() for n in range(100, 300)]


async def test_an_edit_stands_beside_the_original_and_goes_out_instead(ledger):
    await accept(ledger, arrival(0), arrival(1))
    place = await shard(ledger)
    for number, text in enumerate((b"first", b"second")):
        at = NOW + number
        await ledger.write(lambda conn, text=text, at=at: store.edit(conn, place.id, 1, Body(text, ()), now=at))
    found = await ledger.read(lambda conn: store.bodies(conn, place.id, [1, 2, 99]))
    assert {seq: body.value for seq, body in found.items()} == {1: b"second", 2: b"bytes of event-1"}
    kept = await ledger.read(lambda conn: store.editions(conn, place.id, 1))
    assert [(at, body.value) for at, body in kept] == [
        (NOW, b"bytes of event-0"), (NOW, b"first"), (NOW + 1, b"second"),
    ]  # fmt: skip
    assert [(await delivery(ledger, seq)).edited for seq in (1, 2)] == [True, False]


@pytest.mark.parametrize("window", [2, 20_000])
async def test_a_walk_gives_the_unfinished_of_one_class_in_pages(ledger, window, monkeypatch):
    monkeypatch.setattr(store, "WINDOW", window)
    classes = {False: key("ordinary"), True: key("urgent")}
    every = (arrival(n, key=classes[n % 2 == 0], urgent=n % 2 == 0, event_type="document.sent") for n in range(10))
    await accept(ledger, *every)
    for seq, state in ((2, State.DELIVERED), (4, State.DEAD), (6, State.UNCERTAIN), (8, State.CALLING)):
        await change(ledger, seq, state)
    place = await shard(ledger)

    async def walked(urgent, after, limit):
        return [d.seq for d in await ledger.read(lambda c: store.walk(c, place.id, urgent, after, limit))]

    assert await walked(True, 0, 99) == [1, 3, 5, 7, 9]
    assert await walked(False, 0, 2) == [4, 6]
    assert await walked(False, 6, 99) == [8, 10]
    assert await walked(False, 10, 99) == []


async def test_a_lane_is_the_unfinished_of_one_key_in_one_shard(ledger):
    await accept(ledger, *(arrival(n, key=key("AB"[n % 2])) for n in range(6)))
    await accept(ledger, arrival(0), partition=1)
    await change(ledger, 3, State.SKIPPED)
    place = await shard(ledger)
    lane = await ledger.read(lambda conn: store.lane(conn, place.id, key("A"), 0, 9))
    assert [d.seq for d in lane] == [1, 5]
    assert [d.seq for d in await ledger.read(lambda conn: store.lane(conn, place.id, key("A"), 1, 9))] == [5]
    assert [d.seq for d in await ledger.read(lambda conn: store.lane(conn, place.id, key("B"), 0, 2))] == [2, 4]
    wanted = [(key("B"), 0, 2), (key("none"), 0, 9), (key("A"), 1, 9)]
    found = await ledger.read(lambda conn: store.lanes(conn, place.id, wanted))
    assert [[d.seq for d in each] for each in found] == [[2, 4], [], [5]]
    assert found[2] == [d for d in lane if d.seq == 5]


@pytest.mark.parametrize("state", list(State))
async def test_later_out_asks_whether_the_partner_may_have_something_newer(state):
    async with in_memory() as ledger:
        await ledger.write(lambda conn: store.register_shards(conn, RECIPIENT, 1))
        await accept(ledger, arrival(0), arrival(1), arrival(2, key=key("B")))
        await change(ledger, 2, state)
        place = await shard(ledger)
        out = state in (State.DELIVERED, State.DUPLICATE, State.REJECTED, State.CALLING)
        assert await ledger.read(lambda conn: store.later_out(conn, place.id, key("A"), 1)) is out
        assert await ledger.read(lambda conn: store.later_out(conn, place.id, key("A"), 2)) is False
        assert await ledger.read(lambda conn: store.later_out(conn, place.id, key("B"), 1)) is False


_step = st.tuples(st.integers(1, 8), st.sampled_from(list(State)))


@settings(max_examples=25, deadline=None)
@given(st.lists(_step, max_size=30), st.integers(1, 9))
async def test_walks_in_pages_meet_every_unfinished_delivery_once(steps, limit):
    async with in_memory() as ledger:
        await ledger.write(lambda conn: store.register_shards(conn, RECIPIENT, 1))
        await accept(ledger, *(arrival(n) for n in range(8)))
        states = dict.fromkeys(range(1, 9), State.WAITING)
        for seq, state in steps:
            await change(ledger, seq, state)
            states[seq] = state
        place, met = await shard(ledger), []
        while page := await ledger.read(
            partial(store.walk, shard_id=place.id, urgent=False, after=met[-1] if met else 0, limit=limit)
        ):
            met += [d.seq for d in page]
        assert met == [seq for seq, state in states.items() if state not in FINISHED]
