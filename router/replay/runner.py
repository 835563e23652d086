"""Runs replays: one process at a time holds a replay's lease, orders its items and notes what became of them.

Everything it knows is in the ledger, so a crash anywhere costs nothing: an item and its order are written in one fenced
transaction, and a pause or a cancellation counts from the next item on.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Final, Protocol

from router.errors import LedgerError, OrderRefused
from router.ledger import alerts, orders, replays, store
from router.ledger.replays import Item, ItemState, Replay, ReplayState
from router.ledger.rows import Lease, Order, Shard, Verb
from router.ports import Clock, Ledger
from router.replay.pace import OUTSTANDING, Look, Now, Step, step

if TYPE_CHECKING:
    from sqlalchemy import Connection

TURN: Final = 0.25
STOPPED_ALERT: Final = "replay_stopped"


class Leases(Protocol):
    """Who runs what (``Ownership``)."""

    async def hold(self, name: str) -> Lease | None:
        """The lease while it is this process's turn."""
        ...

    async def let_go(self, names: list[str], *, clean: bool) -> None:
        """Release."""
        ...


@dataclass(slots=True)
class _Pace:
    """How many items the rate has allowed and were not used yet, since when."""

    at: float
    left: float = 0.0


@dataclass(slots=True)
class ReplayRunner:
    """``turn`` takes every running replay one step further, and every other that has orders out to their end."""

    ledger: Ledger
    leases: Leases
    clock: Clock
    _paces: dict[int, _Pace] = field(default_factory=dict)

    async def run(self, stopping: Callable[[], bool]) -> None:
        """Until stopping."""
        while not stopping():
            with suppress(LedgerError):
                await self.turn()
            await self.clock.sleep(TURN)

    async def turn(self) -> None:
        """One step of every replay that is this process's turn. Raises ``LedgerError``."""
        running = await self.ledger.read(_in_hand)
        for replay in running:
            lease = await self.leases.hold(replay.lease)
            if lease is not None:
                await self._step(replay, lease)
        for ended in self._paces.keys() - {replay.id for replay in running}:
            del self._paces[ended]
            await self.leases.let_go([f"replay:{ended}"], clean=True)

    async def _step(self, replay: Replay, lease: Lease) -> None:
        pace = self._paces.setdefault(replay.id, _Pace(self.clock.monotonic()))
        now = self.clock.monotonic()
        pace.left = (
            min(pace.left + (now - pace.at) * replay.rate, max(1.0, replay.rate)) if replay.rate else OUTSTANDING
        )
        pace.at = now
        look = await self.ledger.read(partial(_look, replay=replay, allowance=int(pace.left)))
        made = step(look)
        if made.settled or made.release or made.end:
            micros = self.clock.now()
            released = await self.ledger.write(partial(_write, seen=replay, lease=lease, made=made, now=micros))
            pace.left -= released


def _in_hand(conn: Connection) -> list[Replay]:
    return [*replays.in_state(conn, [ReplayState.RUNNING]), *replays.with_orders_out(conn)]


def _look(conn: Connection, replay: Replay, allowance: int) -> Look:
    items = replays.in_hand(conn, replay.id, 2 * OUTSTANDING)
    ordered = [item for item in items if item.state is ItemState.ORDERED]
    results = {item.order_id: answer for item in ordered if (answer := orders.result(conn, item.order_id)) is not None}
    deliveries = {place: Now(*found) for place, found in replays.states_of(conn, ordered).items()}
    return Look(replay, items, deliveries, results, replays.ordered(conn, replay.id), allowance)


def _write(conn: Connection, seen: Replay, lease: Lease, made: Step, now: int) -> int:
    """Write a step, if the lease still holds and nobody paused or cancelled meanwhile; how many orders were placed."""
    if lease.name not in store.fence(conn, [lease]):
        return 0
    current = replays.load(conn, seen.id)
    if current.version != seen.version:
        return 0
    for done in made.settled:
        replays.settle(conn, seen.id, done.item.number, done.state, result=done.result)
    places = {place.id: place for place in store.shards(conn)}
    for item in made.release:
        _order(conn, seen, item, places[item.shard], now)
    if made.end is not None:
        replays.move(conn, current, made.end, now=now, note=made.note)
        if made.end is ReplayState.STOPPED:
            alerts.raise_alert(conn, STOPPED_ALERT, str(seen.id), made.note, now=now)
    return len(made.release)


def _order(conn: Connection, replay: Replay, item: Item, place: Shard, now: int) -> None:
    order = Order(
        lease=place.lease,
        verb=Verb.REPLAY,
        who=replay.who,
        why=f"replay {replay.id}: {replay.why}",
        shard=item.shard,
        seq=item.seq,
        recipient=place.recipient,
        expected_version=item.version,
        args={"out_of_order": replay.out_of_order, "replay": replay.id},
    )
    try:
        order_id = orders.place(conn, order, now=now)
    except OrderRefused as refused:
        replays.settle(conn, replay.id, item.number, ItemState.REFUSED, result=str(refused))
    else:
        replays.settle(conn, replay.id, item.number, ItemState.ORDERED, order_id=order_id)
