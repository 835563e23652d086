"""The shards this process owns: their lanes, and the reads that fill them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from router.delivery.lane import Refill, Walk
from router.delivery.lanes import Lanes
from router.events import ROUTER, TopicPartition, topic_of
from router.ledger import store
from router.ledger.rows import Accepted, Arrival, Delivery, Lease, Shard, State, Verdict
from router.ports import Ledger

if TYPE_CHECKING:
    from sqlalchemy import Connection

REFILLS_A_READ = 200


@dataclass(slots=True)
class Owned:
    """A shard with its lease. ``lanes`` is None for the local recipient ``router``: there nothing waits."""

    shard: Shard
    lease: Lease
    lanes: Lanes | None
    flying: int = 0  # heads taken whose change is neither committed nor given up

    @property
    def topic_partition(self) -> TopicPartition:
        """Where it reads."""
        return TopicPartition(topic_of(self.shard.recipient), self.shard.partition)


@dataclass(slots=True)
class _Wanted:
    owned: Owned
    walk: Walk | None
    refills: list[Refill]


def own(shard: Shard, lease: Lease, *, rest_until: int, capacity: int) -> Owned:
    """A shard just taken over. ``rest_until`` (UTC µs; 0: the release was clean) keeps heads back that may be with
    the partner still. ``capacity`` in lanes.
    """
    if shard.recipient == ROUTER:
        return Owned(shard, lease, None)
    lanes = Lanes(last_seq=shard.next_seq - 1, rest_until=rest_until, capacity=capacity, spare=capacity)
    return Owned(shard, lease, lanes)


async def fill(ledger: Ledger, shards: Iterable[Owned], refused: Callable[[str], bool]) -> bool:
    """Read what the lanes of all shards want, in one read; whether anything was wanted.

    Shards of a ``refused`` recipient (stopped) are left alone: nothing of theirs goes out.
    """
    wanted = [
        _Wanted(owned, owned.lanes.next_walk(), owned.lanes.next_refills(REFILLS_A_READ))
        for owned in shards
        if owned.lanes is not None and not refused(owned.shard.recipient)
    ]
    wanted = [want for want in wanted if want.walk or want.refills]
    if not wanted:
        return False
    try:
        answers = await ledger.read(lambda conn: [_answer(conn, want) for want in wanted])
    except BaseException:
        for want in wanted:
            _failed(want)
        raise
    for want, (walked, refilled) in zip(wanted, answers, strict=True):
        lanes = want.owned.lanes
        assert lanes is not None
        if want.walk is not None:
            lanes.walked(want.walk, walked)
        for refill, rows in zip(want.refills, refilled, strict=True):
            lanes.refilled(refill, rows)
    return True


def take_in(owned: Owned, arrivals: Sequence[Arrival], accepted: Sequence[Accepted], now: int) -> None:
    """Tell the lanes of a committed accept."""
    if owned.lanes is None:
        return
    new = [
        delivery_of(owned.shard.id, arrival, made, now)
        for arrival, made in zip(arrivals, accepted, strict=True)
        if made.verdict is Verdict.NEW
    ]
    owned.lanes.accepted(new)


def delivery_of(shard_id: int, arrival: Arrival, made: Accepted, now: int) -> Delivery:
    """The state row of a new delivery, as acceptance wrote it."""
    return Delivery(
        shard=shard_id,
        seq=made.seq,
        key=arrival.key,
        state=arrival.state,
        version=1,
        urgent=made.urgent,
        source=arrival.source,
        event_id=arrival.event_id,
        event_type=arrival.event_type,
        subject=arrival.subject,
        offset=arrival.offset,
        accepted_at=now,
        failure=arrival.failure,
        body=arrival.body if arrival.state is State.WAITING else None,
    )


def _answer(conn: Connection, want: _Wanted) -> tuple[list[Delivery], list[list[Delivery]]]:
    shard_id = want.owned.shard.id
    walk = want.walk
    walked = store.walk(conn, shard_id, walk.urgent, walk.after, walk.limit) if walk else []
    refilled = store.lanes(conn, shard_id, [(refill.key, refill.after, refill.limit) for refill in want.refills])
    rows = [*walked, *(row for rows in refilled for row in rows)]
    waiting = [row.seq for row in rows if row.state is State.WAITING]
    bodies = store.bodies(conn, shard_id, waiting) if waiting else {}
    for row in rows:
        row.body = bodies.get(row.seq)
    return walked, refilled


def _failed(want: _Wanted) -> None:
    lanes = want.owned.lanes
    assert lanes is not None
    if want.walk is not None:
        lanes.walk_failed(want.walk)
    for refill in want.refills:
        lanes.refill_failed(refill)
