"""Group commit over a real ledger: one row that the database refuses stops nobody but itself."""

from __future__ import annotations

from dataclasses import replace

from router.delivery.accept import Batch
from router.delivery.commit import Alert, Group, GroupCommit, Intake
from router.errors import RowRefused
from router.events import DEAD_LETTER_TOPIC, LONGEST_VALUE, header
from router.ledger import alerts, dead_letters, leases, orders, outbox, recipients, store
from router.ledger.dead_letters import DeadFilter
from router.ledger.rows import Accepted, Body, Lease, Order, RecipientState, State, Transition, Verb, Verdict
from router.sdk.testing.clock import ManualClock
from tests.ledger.harness import NOW, RECIPIENT, accept, arrival, attempt, delivery, failure, shard

SHARDS = tuple(f"shard:{RECIPIENT}/{partition}" for partition in (0, 1))


class Held:
    """What this process believes to own: both shards, in their first epoch."""

    def held(self, name: str) -> Lease | None:
        return Lease(name, 1) if name in SHARDS else None


async def committing(ledger) -> GroupCommit:
    for name in SHARDS:
        await ledger.write(lambda conn, name=name: leases.take(conn, name, "p1", 0))
    return GroupCommit(ledger, Held(), ManualClock())


async def intake(ledger, *arrivals, partition=0) -> Intake:
    place = await shard(ledger, partition)
    return Intake(place, Batch(list(arrivals), arrivals[-1].offset + 1, b"print"))


async def states(ledger, partition=0):
    place = await shard(ledger, partition)
    found = await ledger.read(lambda conn: [store.one(conn, place.id, seq) for seq in range(1, place.next_seq)])
    return {d.event_id: d.state for d in found}


async def test_a_group_of_several_shards_is_one_commit(ledger):
    group = Group(
        intakes=[
            await intake(ledger, arrival(0), arrival(1)),
            await intake(ledger, arrival(0, event_id="x"), partition=1),
        ]
    )
    done = await (await committing(ledger)).commit(group)
    assert (done.waiting, done.reread, done.done) == (set(), set(), True)
    first, second = await shard(ledger), await shard(ledger, 1)
    assert done.accepted[first.id] == [Accepted(Verdict.NEW, 1), Accepted(Verdict.NEW, 2)]
    assert done.accepted[second.id] == [Accepted(Verdict.NEW, 1)]
    assert (first.position, second.position) == (2, 1)


async def test_the_one_arrival_with_a_nul_is_a_dead_letter_and_all_others_are_stored(ledger):
    bad = arrival(1, subject="H39\x00", event_id="bad\x00id")
    group = Group(
        intakes=[
            await intake(ledger, arrival(0), bad, arrival(2)),
            await intake(ledger, arrival(0, event_id="x"), partition=1),
        ]
    )
    done = await (await committing(ledger)).commit(group)
    place = await shard(ledger)
    assert done.accepted[place.id] == [Accepted(Verdict.NEW, seq) for seq in (1, 2, 3)]
    assert done.reread == set()
    assert await states(ledger) == {"event-0": State.WAITING, "bad?id": State.DEAD, "event-2": State.WAITING}
    assert await states(ledger, 1) == {"x": State.WAITING}
    assert (place.position, place.next_seq) == (3, 4)
    (letter,) = await ledger.read(lambda conn: dead_letters.listed(conn, DeadFilter(reason="ledger_refused"), limit=9))
    assert letter.name == f"{RECIPIENT}/0/2"
    ((_, record),) = await ledger.read(lambda conn: outbox.pending(conn, [SHARDS[0]], 9))
    assert (record.topic, record.value, record.key) == (DEAD_LETTER_TOPIC, bad.body.value, bad.key)
    assert header(record.headers, "lgsp_failure_reason") == b"ledger_refused"


async def test_a_refused_arrival_that_comes_again_is_recognised(ledger):
    commit = await committing(ledger)
    for offset in (0, 1):
        bad = arrival(offset, event_id="bad\x00id")
        done = await commit.commit(Group(intakes=[await intake(ledger, bad)]))
    assert [made.verdict for made in done.accepted[(await shard(ledger)).id]] == [Verdict.REPEATED]
    assert (await shard(ledger)).position == 2


async def test_the_one_outcome_with_a_nul_is_dead_and_all_others_are_recorded(ledger):
    await accept(ledger, arrival(0), arrival(1), arrival(2))
    place = await shard(ledger)
    good = [Transition(place.id, seq, 1, State.DELIVERED, attempts=1, first_at=NOW, last_at=NOW) for seq in (1, 3)]
    bad = Transition(
        place.id, 2, 1, State.REJECTED, attempts=1, first_at=NOW, last_at=NOW, failure=failure(message="sai\x00"),
        attempt=attempt(message="sai\x00"),
    )  # fmt: skip
    commit = await committing(ledger)
    done = await commit.commit(Group(changes=[(place, good[0]), (place, bad), (place, good[1])]))
    assert done.changed == {(place.id, 1), (place.id, 3)}
    assert done.reread == {place.lease}, "memory holds the outcome that was refused"
    ((_, record),) = await ledger.read(lambda conn: outbox.pending(conn, SHARDS, 9))
    assert record.topic == DEAD_LETTER_TOPIC
    assert await states(ledger) == {
        "event-0": State.DELIVERED, "event-1": State.DEAD, "event-2": State.DELIVERED,
    }  # fmt: skip
    stored = await delivery(ledger, 2)
    assert stored.failure is not None
    assert (stored.failure.reason, stored.attempts, stored.version) == ("ledger_refused", 1, 2)


async def test_what_a_partner_took_stays_delivered_though_its_receipt_cannot_be_stored(ledger):
    await accept(ledger, arrival(0))
    place = await shard(ledger)
    taken = Transition(
        place.id, 1, 1, State.DELIVERED, attempts=1, first_at=NOW, last_at=NOW, receipt={"code": "00\x00"}
    )
    done = await (await committing(ledger)).commit(Group(changes=[(place, taken)]))
    assert done.reread == {place.lease}
    stored = await delivery(ledger, 1)
    assert (stored.state, stored.receipt) == (State.DELIVERED, {"code": "ledger_refused"})
    assert await ledger.read(lambda conn: outbox.pending(conn, SHARDS, 9)) == []


async def test_a_dead_letter_whose_value_no_publisher_takes_is_recorded_without_it(ledger):
    long = Body(b"x" * (LONGEST_VALUE + 1), ())
    malformed = arrival(0, body=long, state=State.DEAD, failure=failure("malformed_event"))
    done = await (await committing(ledger)).commit(Group(intakes=[await intake(ledger, malformed)]))
    assert done.reread == set()
    assert await states(ledger) == {"event-0": State.DEAD}
    ((_, record),) = await ledger.read(lambda conn: outbox.pending(conn, SHARDS, 9))
    assert record.value == b""
    assert header(record.headers, "lgsp_failure_left_out") == str(LONGEST_VALUE + 1).encode()


async def test_a_stale_change_costs_its_own_shard_a_reread_and_the_others_nothing(ledger):
    await accept(ledger, arrival(0))
    await accept(ledger, arrival(0, event_id="x"), partition=1)
    first, second = await shard(ledger), await shard(ledger, 1)
    stale = Transition(first.id, 1, 7, State.DELIVERED)
    good = Transition(second.id, 1, 1, State.DELIVERED)
    done = await (await committing(ledger)).commit(Group(changes=[(first, stale), (second, good)]))
    assert done.reread == {SHARDS[0]}
    assert done.changed == {(second.id, 1)}
    assert await states(ledger, 1) == {"x": State.DELIVERED}


async def test_a_shard_whose_lease_another_took_waits_and_nothing_of_it_is_written(ledger):
    commit = await committing(ledger)
    await ledger.write(lambda conn: leases.take(conn, SHARDS[0], "p2", 1))
    group = Group(
        intakes=[await intake(ledger, arrival(0)), await intake(ledger, arrival(0, event_id="x"), partition=1)]
    )
    done = await commit.commit(group)
    assert done.waiting == {SHARDS[0]}
    assert (await shard(ledger)).position == 0
    assert await states(ledger, 1) == {"x": State.WAITING}


async def test_an_intake_read_from_an_old_position_asks_for_a_reread(ledger):
    old = await intake(ledger, arrival(0))
    await accept(ledger, arrival(0), arrival(1))
    done = await (await committing(ledger)).commit(Group(intakes=[replace(old)]))
    assert done.reread == {SHARDS[0]}
    assert (await shard(ledger)).position == 2


async def test_a_stop_and_an_alert_survive_a_group_that_falls_apart(ledger):
    await accept(ledger, arrival(0))
    place = await shard(ledger)
    bad = Transition(
        place.id, 1, 1, State.WAITING, attempts=1, first_at=NOW, last_at=NOW, failure=failure(message="sai\x00")
    )
    stop = RecipientState(RECIPIENT, "stopped", NOW, "login_refused", "lgsp-router")
    notes = [Alert("recipient_stopped", RECIPIENT, "login_refused")]
    await (await committing(ledger)).commit(Group(changes=[(place, bad)], stops=[stop], alerts=notes))
    (state,) = await ledger.read(recipients.recipient_states)
    assert state.status == "stopped"
    assert [alert.name for alert in await ledger.read(alerts.open_alerts)] == ["recipient_stopped"]


async def test_an_alert_that_cannot_be_stored_is_raised_in_plain_words(ledger):
    group = Group(alerts=[Alert("unknown_schema", RECIPIENT, "sai\x00")])
    await (await committing(ledger)).commit(group)
    (alert,) = await ledger.read(alerts.open_alerts)
    assert (alert.name, alert.detail[:3]) == ("unknown_schema", "sai")  # SQLite keeps the NUL, PostgreSQL would not


async def test_an_order_that_cannot_be_stored_is_answered_and_blocks_nothing(ledger, monkeypatch):
    await accept(ledger, arrival(0, state=State.DEAD, failure=failure()))
    place = await shard(ledger)
    wanted = Order(place.lease, Verb.DISCARD, "operator", "thử", shard=place.id, seq=1, recipient=RECIPIENT)
    await ledger.write(lambda conn: orders.place(conn, wanted, now=NOW))
    (order,) = await ledger.read(lambda conn: orders.pending(conn, SHARDS, 9))

    def refuse(*_: object) -> None:
        raise RowRefused("refused by the database")

    monkeypatch.setattr(store, "apply", refuse)
    done = await (await committing(ledger)).commit(Group(orders=[(place, order)]))
    assert not done.ordered[order.id].applied
    assert await ledger.read(lambda conn: orders.pending(conn, SHARDS, 9)) == []
