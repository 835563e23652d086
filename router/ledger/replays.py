"""Replays as stored: frozen page by page, released item by item, each change only from the version that was seen."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import Connection, bindparam, exists, func, insert, select, update

from router.errors import OrderRefused
from router.ledger.replay_tables import IN_HAND, replay, replay_item
from router.ledger.tables import UNFINISHED, delivery
from router.ledger.upsert import insert_one_new


class ReplayState(StrEnum):
    """States of a replay. Only a planned one may be started; a finished, cancelled or stopped one is history."""

    FREEZING = "freezing"
    PLANNED = "planned"
    RUNNING = "running"
    PAUSED = "paused"
    STOPPED = "stopped"  # by itself: the old cause came back
    CANCELLED = "cancelled"
    FINISHED = "finished"


class ItemState(StrEnum):
    """States of an item. ``left`` ones were never ordered: the replay ended before."""

    WAITING = "waiting"
    ORDERED = "ordered"
    DONE = "done"
    FAILED = "failed"
    REFUSED = "refused"
    LEFT = "left"


_IN_STATE: Final = select(replay).where(replay.c.state.in_(bindparam("states", expanding=True))).order_by(replay.c.id)
_ORDERS_OUT: Final = (
    select(replay)
    .where(
        replay.c.id.in_(select(replay_item.c.replay).where(IN_HAND, replay_item.c.state == ItemState.ORDERED.value)),
        replay.c.state != ReplayState.RUNNING.value,
    )
    .order_by(replay.c.id)
)


@dataclass(frozen=True, slots=True)
class Replay:
    """A replay. ``rate`` in items a second (0: as fast as they end); ``canary`` sizes go first, one after the other."""

    id: int
    state: ReplayState
    version: int
    who: str
    why: str
    wanted: Mapping[str, Any]
    rate: float
    canary: Sequence[int]
    out_of_order: bool
    items: int
    created: int
    started: int | None = None
    ended: int | None = None
    note: str = ""

    @property
    def lease(self) -> str:
        """Who holds it runs it."""
        return f"replay:{self.id}"


@dataclass(frozen=True, slots=True)
class Item:
    """One dead letter of the list, in the version that was seen, with what the dry run said."""

    number: int
    shard: int
    seq: int
    key: bytes
    name: str
    version: int
    cause: str
    safe: bool
    findings: Sequence[Mapping[str, str]] = field(default_factory=tuple)
    state: ItemState = ItemState.WAITING
    order_id: int = 0
    result: str = ""


def create(conn: Connection, made: Replay) -> int:
    """A new replay, still without items; its id."""
    row = {**_row(made), "state": made.state.value}
    return int(conn.execute(insert(replay).values(row).returning(replay.c.id)).scalar_one())


def append(conn: Connection, replay_id: int, items: Sequence[Item]) -> int:
    """Freeze one page; how many were taken. A dead letter that another replay has in hand is refused, naming it."""
    taken = 0
    for item in items:
        row = {"replay": replay_id, **_item_row(item)}
        if insert_one_new(conn, replay_item, row):
            taken += 1
            continue
        why = f"in the hands of replay {taken_by(conn, item.shard, item.seq)}"
        conn.execute(insert(replay_item).values({**row, "state": ItemState.REFUSED.value, "result": why}))
    conn.execute(update(replay).where(replay.c.id == replay_id).values(items=replay.c["items"] + taken))
    return taken


def load(conn: Connection, replay_id: int) -> Replay:
    """One replay. Raises ``OrderRefused`` if there is none."""
    row = conn.execute(select(replay).where(replay.c.id == replay_id)).first()
    if row is None:
        raise OrderRefused(f"there is no replay {replay_id}")
    return _replay(row)


def listed(conn: Connection, limit: int) -> list[Replay]:
    """Replays, the newest first."""
    return [_replay(row) for row in conn.execute(select(replay).order_by(replay.c.id.desc()).limit(limit))]


def in_state(conn: Connection, states: Collection[ReplayState]) -> list[Replay]:
    """Replays in these states, the oldest first."""
    return [_replay(row) for row in conn.execute(_IN_STATE, {"states": [state.value for state in states]})]


def with_orders_out(conn: Connection) -> list[Replay]:
    """Replays that do not run any more, or not now, with items that were ordered and are not settled."""
    return [_replay(row) for row in conn.execute(_ORDERS_OUT)]


def move(conn: Connection, seen: Replay, state: ReplayState, *, now: int, note: str = "") -> bool:
    """Change a replay's state from the version that was seen; False if somebody was quicker. An ended replay lets go of
    the items it never ordered.
    """
    ended = state in (ReplayState.STOPPED, ReplayState.CANCELLED, ReplayState.FINISHED)
    values: dict[str, Any] = {"state": state.value, "version": seen.version + 1, "note": note or seen.note}
    if state is ReplayState.RUNNING and seen.started is None:
        values["started"] = now
    if ended:
        values["ended"] = now
    moved = conn.execute(update(replay).where(replay.c.id == seen.id, replay.c.version == seen.version).values(values))
    if moved.rowcount == 1 and ended:
        left = update(replay_item).where(
            replay_item.c.replay == seen.id, replay_item.c.state == ItemState.WAITING.value
        )
        conn.execute(left.values(state=ItemState.LEFT.value))
    return moved.rowcount == 1


def page(conn: Connection, replay_id: int, *, after: int, limit: int) -> list[Item]:
    """Items of a replay by number."""
    query = select(replay_item).where(replay_item.c.replay == replay_id, replay_item.c.number > after)
    return [_item(row) for row in conn.execute(query.order_by(replay_item.c.number).limit(limit))]


def in_hand(conn: Connection, replay_id: int, limit: int) -> list[Item]:
    """Items that are ordered and not settled, and the next that wait, by number."""
    mine = replay_item.c.replay == replay_id
    ordered = select(replay_item).where(mine, replay_item.c.state == ItemState.ORDERED.value)
    waiting = select(replay_item).where(mine, replay_item.c.state == ItemState.WAITING.value)
    rows = [*conn.execute(ordered), *conn.execute(waiting.order_by(replay_item.c.number).limit(limit))]
    return sorted((_item(row) for row in rows), key=lambda item: item.number)


def counts(conn: Connection, replay_id: int) -> dict[str, int]:
    """Items by state."""
    query = select(replay_item.c.state, func.count()).where(replay_item.c.replay == replay_id)
    return {row[0]: row[1] for row in conn.execute(query.group_by(replay_item.c.state))}


def ordered(conn: Connection, replay_id: int) -> int:
    """How many items of a replay were ever ordered."""
    query = select(func.count()).select_from(replay_item).where(replay_item.c.replay == replay_id)
    return int(conn.execute(query.where(replay_item.c.order_id > 0)).scalar_one())


def older_outside(conn: Connection, replay_id: int, item: Item) -> bool:
    """Whether an older delivery of the item's lane is unfinished that the replay does not send before it."""
    sent = exists().where(
        replay_item.c.replay == replay_id,
        replay_item.c.shard == delivery.c.shard,
        replay_item.c.seq == delivery.c.seq,
        replay_item.c.state == ItemState.WAITING.value,
    )
    older = select(delivery.c.seq).where(
        delivery.c.shard == item.shard, delivery.c.key == item.key, delivery.c.seq < item.seq, UNFINISHED, ~sent
    )
    return conn.execute(older.limit(1)).first() is not None


def last_number(conn: Connection, replay_id: int) -> tuple[int, int, int]:
    """Number, shard and seq of the last item that was frozen (zeros for none): where freezing goes on."""
    query = select(replay_item.c.number, replay_item.c.shard, replay_item.c.seq).where(
        replay_item.c.replay == replay_id
    )
    row = conn.execute(query.order_by(replay_item.c.number.desc()).limit(1)).first()
    return (row.number, row.shard, row.seq) if row is not None else (0, 0, 0)


def settle(
    conn: Connection, replay_id: int, number: int, state: ItemState, *, order_id: int = 0, result: str = ""
) -> None:
    """Write what became of an item."""
    values: dict[str, Any] = {"state": state.value, "result": result}
    if order_id:
        values["order_id"] = order_id
    conn.execute(
        update(replay_item).where(replay_item.c.replay == replay_id, replay_item.c.number == number).values(values)
    )


def judged(conn: Connection, replay_id: int, number: int, *, safe: bool, findings: Sequence[Mapping[str, str]]) -> None:
    """Write what the dry run said of an item."""
    conn.execute(
        update(replay_item)
        .where(replay_item.c.replay == replay_id, replay_item.c.number == number)
        .values(safe=safe, findings=[dict(finding) for finding in findings])
    )


def taken_by(conn: Connection, shard_id: int, seq: int) -> int | None:
    """The replay that has a delivery in hand."""
    query = select(replay_item.c.replay).where(replay_item.c.shard == shard_id, replay_item.c.seq == seq, IN_HAND)
    return conn.execute(query).scalar()


def states_of(conn: Connection, items: Collection[Item]) -> dict[tuple[int, int], tuple[str, int, str]]:
    """State, version and cause of the deliveries of items, as they are now."""
    found: dict[tuple[int, int], tuple[str, int, str]] = {}
    for item in items:
        row = conn.execute(
            select(delivery.c.state, delivery.c.version, delivery.c.cause).where(
                delivery.c.shard == item.shard, delivery.c.seq == item.seq
            )
        ).first()
        if row is not None:
            found[item.shard, item.seq] = (row.state, row.version, row.cause or "")
    return found


def _row(made: Replay) -> dict[str, Any]:
    names = ("version", "who", "why", "rate", "out_of_order", "items", "created", "started", "ended", "note")
    return {**{name: getattr(made, name) for name in names}, "wanted": dict(made.wanted), "canary": list(made.canary)}


def _item_row(item: Item) -> dict[str, Any]:
    names = ("number", "shard", "seq", "key", "name", "version", "cause", "safe", "order_id", "result")
    plain = {name: getattr(item, name) for name in names}
    return {**plain, "findings": [dict(finding) for finding in item.findings], "state": item.state.value}


def _replay(row: Any) -> Replay:
    values = dict(row._mapping)
    return Replay(**{**values, "state": ReplayState(row.state)})


def _item(row: Any) -> Item:
    values = {name: value for name, value in row._mapping.items() if name != "replay"}
    return Item(**{**values, "state": ItemState(row.state), "key": bytes(row.key)})
