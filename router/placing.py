"""An order is placed and its answer is waited for; where nobody owns its lease, it is applied here, under the lease."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar

from router.delivery.commit import Group, write_group
from router.delivery.ordering import OF_LOCALS
from router.delivery.sharing import Watch
from router.ledger import leases, orders
from router.ledger.local import LocalRecipient
from router.ledger.rows import Order, OrderResult, Shard
from router.lock import DirectoryLock
from router.ports import Clock, Ledger

if TYPE_CHECKING:
    from sqlalchemy import Connection

T = TypeVar("T")

ANSWER_PATIENCE: Final = 10.0
ANSWER_PAUSE: Final = 0.05
BEATS_UNSEEN: Final = 1.5  # lease lengths that an owner may be silent before its lease is taken
OPERATOR: Final = "operator"


class Answer(NamedTuple):
    """What came of an order. ``alone``: no process was alive, it was applied here."""

    id: int
    result: OrderResult
    alone: bool


async def waited(
    clock: Clock, look: Callable[[], Awaitable[T | None]], *, patience: float, every: float = ANSWER_PAUSE
) -> T | None:
    """What ``look`` finds, asked every ``every`` seconds; None where it has found nothing for ``patience`` seconds."""
    deadline = clock.monotonic() + patience
    while (found := await look()) is None and clock.monotonic() <= deadline:
        await clock.sleep(every)
    return found


async def answer_to(
    ledger: Ledger, clock: Clock, order_id: int, *, patience: float = ANSWER_PATIENCE
) -> OrderResult | None:
    """What came of an order; None where nobody has answered for ``patience`` seconds."""

    async def look() -> OrderResult | None:
        return await ledger.read(lambda conn: orders.result(conn, order_id))

    return await waited(clock, look, patience=patience)


def unanswered(order_id: int) -> OrderResult:
    """What is said of an order that waits for its owner."""
    return OrderResult(False, f"order {order_id} is placed; no process has answered it yet")


class Placing:
    """``lock`` is the data directory's lock of the embedded runtime; None where leases are in the ledger alone.
    ``lease_seconds`` tells how long a living process may be silent. The answer to an order is looked for every
    ``answer_every`` seconds. ``local`` are the local recipients whose orders can be applied here.
    """

    def __init__(
        self,
        ledger: Ledger,
        clock: Clock,
        lock: DirectoryLock | None,
        *,
        lease_seconds: float = 15.0,
        answer_every: float = ANSWER_PAUSE,
        local: Mapping[str, LocalRecipient] | None = None,
    ) -> None:
        self._ledger, self._clock, self._lock = ledger, clock, lock
        self._longest, self._answer_every = BEATS_UNSEEN * lease_seconds, answer_every
        self._local = local or {}

    async def place(self, order: Order, place: Shard | None) -> Answer:
        """Place an order and wait for its answer; where nobody owns its lease, or whoever did beats no more, it is
        applied here. ``place`` is the shard of the delivery or instance that it is for.
        """
        now = self._clock.now()
        order_id = await self._ledger.write(lambda conn: orders.place(conn, order, now=now))
        begun, watch, alone = self._clock.monotonic(), Watch(self._longest), False

        async def look() -> Answer | None:
            nonlocal alone
            since = self._clock.monotonic() - begun
            desk = await self._ledger.read(lambda conn: _look(conn, order_id, order.lease))
            if desk.result is not None:
                return Answer(order_id, desk.result, alone)
            watch.observe(desk.processes, begun + since)
            owner = desk.lease.owner if desk.lease is not None else None
            alone = await self._apply_alone(order_id, order, place, owner, watch) or alone
            unmoved = self._lock is None and owner in watch.seen and watch.seen[owner].since == begun
            over = since > ANSWER_PATIENCE and not unmoved
            return Answer(order_id, unanswered(order_id), alone=False) if over else None

        patience = max(ANSWER_PATIENCE, self._longest + ANSWER_PAUSE)
        answer = await waited(self._clock, look, patience=patience, every=self._answer_every)
        return answer or Answer(order_id, unanswered(order_id), alone=False)

    async def _apply_alone(
        self, order_id: int, order: Order, place: Shard | None, owner: str | None, watch: Watch
    ) -> bool:
        """Apply the order here if its lease is free; what only a local recipient can do waits where it is not here."""
        if order.verb in OF_LOCALS and order.recipient not in self._local:
            return False
        if self._lock is not None:
            if not self._lock.try_take():
                return False
            try:
                return await self._ledger.write(lambda conn: self._apply(conn, order_id, order, place, None))
            finally:
                self._lock.release()
        if owner is not None and not watch.is_dead(owner, self._clock.monotonic()):
            return False
        seen = watch.seen.get(owner) if owner is not None else None
        still = Still(owner, seen.beat if seen is not None else None)
        return await self._ledger.write(lambda conn: self._apply(conn, order_id, order, place, still))

    def _apply(self, conn: Connection, order_id: int, order: Order, place: Shard | None, still: Still | None) -> bool:
        """Take the lease, apply, and let go of it as it was, in one transaction: nobody is robbed who took it since it
        was looked at, and a call that was cut off still counts as cut off. ``still`` is None under the lock.
        """
        leases.ensure(conn, [order.lease])
        row = leases.leases(conn)[order.lease]
        if still is not None and row.owner != still.owner:
            return False
        standing = (still.owner, still.beat) if still is not None and still.owner and still.beat is not None else None
        lease = leases.take(conn, row.name, OPERATOR, row.epoch, still=standing)
        if lease is None:
            return False
        mine = [each for each in orders.pending(conn, [order.lease], 1000) if each.id == order_id]
        write_group(conn, Group(orders=[(place, each) for each in mine]), [lease], self._clock.now(), self._local)
        leases.release(conn, [lease], clean=row.clean)
        return True


class Still(NamedTuple):
    """Whoever was seen to own a lease, and the beat at which it stands (None: it has no row)."""

    owner: str | None
    beat: int | None


class _Look(NamedTuple):
    result: OrderResult | None
    lease: leases.LeaseRow | None
    processes: dict[str, leases.ProcessRow]


def _look(conn: Connection, order_id: int, lease: str) -> _Look:
    """An order's answer, its lease, then the processes: one that is born in between has a beat before it owns."""
    result, rows = orders.result(conn, order_id), leases.leases(conn)
    return _Look(result, rows.get(lease), leases.processes(conn))
