"""What operators can ask and order: the application service behind the command line and any console.

Questions read the ledger. Orders are rows that the owner of the shard applies; where no owner is alive, the order is
applied here, under the lease, and the answer says so.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, NamedTuple

from router.delivery.accept import identity_of
from router.delivery.commit import Group, write_group
from router.delivery.ordering import OF_LOCALS
from router.delivery.sharing import Watch
from router.errors import OrderRefused
from router.events import LONGEST_VALUE, ROUTER, partition_of
from router.ledger import alerts, audit, conflicts, leases, orders, query, recipients, registry, store
from router.ledger.conflicts import Conflict
from router.ledger.holds import Hold, current_holds
from router.ledger.local import LocalRecipient
from router.ledger.query import Backlog, CauseGroup, DeadFilter, Named
from router.ledger.registry import InForce
from router.ledger.rows import (
    Attempt,
    Body,
    Delivery,
    Order,
    OrderResult,
    RecipientState,
    Shard,
    Verb,
    shard_lease,
)
from router.lock import DirectoryLock
from router.masking import mask
from router.ports import Clock, Ledger
from router.procedures import suspended
from router.procedures.recipient import PROCEDURES
from router.procedures.suspended import Waiting
from router.replay.edits import within_limit

if TYPE_CHECKING:
    from sqlalchemy import Connection

ANSWER_PATIENCE: Final = 10.0
ANSWER_PAUSE: Final = 0.05
BEATS_UNSEEN: Final = 1.5  # lease lengths that an owner may be silent before its lease is taken
OPERATOR: Final = "operator"
MOST_PAYMENTS: Final = 1_000  # of one dossier


class Status(NamedTuple):
    """An installation at a glance. ``registry`` is the version of the ledger's registry (0: files are in force),
    ``in_force`` what each process routes by.
    """

    backlogs: list[Backlog]
    states: dict[str, RecipientState]
    holds: list[Hold]
    outbox: int
    waiting_for_dossier: int
    alerts: int
    registry: int = 0
    in_force: Sequence[InForce] = ()
    conflicts: Mapping[str, int] = MappingProxyType({})
    owner_conflicts: int = 0


@dataclass(frozen=True, slots=True)
class Shown:
    """One delivery with everything that is known of it. ``editions`` hold the original first."""

    named: Named
    editions: list[tuple[int, Body]]
    attempts: list[Attempt]
    orders: list[str]


class Answer(NamedTuple):
    """What came of an order. ``alone``: no process was alive, it was applied here."""

    id: int
    result: OrderResult
    alone: bool


class Operations:
    """``lock`` is the data directory's lock of the embedded runtime; None where leases are in the ledger alone.
    ``check`` refuses a corrected body that breaks schema or contract of its event type, with ``OrderRefused``;
    ``lease_seconds`` tells how long a living process may be silent. The answer to an order is looked for every
    ``answer_every`` seconds. ``configured`` are the recipients whose topics somebody reads (None: all that the ledger
    knows).
    """

    def __init__(
        self,
        ledger: Ledger,
        clock: Clock,
        lock: DirectoryLock | None,
        check: Callable[[str, bytes], object] | None = None,
        *,
        lease_seconds: float = 15.0,
        answer_every: float = ANSWER_PAUSE,
        configured: Collection[str] | None = None,
        local: Mapping[str, LocalRecipient] | None = None,
    ) -> None:
        self._ledger, self._clock, self._lock, self._check = ledger, clock, lock, check
        self._lease_seconds, self._answer_every, self._configured = lease_seconds, answer_every, configured
        self._local = local or {}

    # Questions

    async def status(self) -> Status:
        """Backlogs, recipients' states, and what has not left yet."""
        return await self._ledger.read(_status)

    async def dead(self, wanted: DeadFilter, limit: int) -> list[Named]:
        """Dead letters, newest first. Raises ``OrderRefused`` for a recipient that is not known."""
        if wanted.recipient:
            await self._require_recipient(wanted.recipient, local=True)
        return await self._ledger.read(lambda conn: query.dead(conn, wanted, limit=limit))

    async def dead_groups(self, wanted: DeadFilter) -> list[CauseGroup]:
        """Dead letters by cause. Raises ``OrderRefused`` for a recipient that is not known."""
        if wanted.recipient:
            await self._require_recipient(wanted.recipient, local=True)
        return await self._ledger.read(lambda conn: query.dead_groups(conn, wanted))

    async def show(self, name: str) -> Shown:
        """One delivery. Raises ``OrderRefused`` for an unknown or malformed name."""
        place, delivery = await self._find(name)

        def look(conn: Connection) -> Shown:
            named = Named(name, place.recipient, delivery)
            editions = store.editions(conn, place.id, delivery.seq)
            made = [
                f"{o.verb} by {o.who}: {o.result or 'not done yet'}"
                for o in query.orders_of(conn, place.id, delivery.seq)
            ]
            return Shown(named, editions, store.attempts(conn, place.id, delivery.seq), made)

        return await self._ledger.read(look)

    async def record_full_view(self, name: str, who: str, why: str) -> None:
        """Note in the audit table that somebody looked at personal data."""
        now = self._clock.now()
        await self._ledger.write(
            lambda conn: audit.record(conn, now, who=who, verb="view_full", target=name, why=why, detail={})
        )

    async def lane(self, recipient: str, code: str, limit: int) -> list[Named]:
        """A dossier's deliveries at one recipient, by any of its codes. Raises ``OrderRefused`` for a recipient that is
        not known.
        """
        await self._require_recipient(recipient, local=True)

        def look(conn: Connection) -> list[Named]:
            return query.lane(conn, recipient, query.keys_by_code(conn, code), limit)

        return await self._ledger.read(look)

    async def trace(self, event_id: str, sources: Iterable[str]) -> list[Named]:
        """An event's deliveries at all recipients."""
        identities = [identity_of(source.encode(), event_id.encode()) for source in sources]
        return await self._ledger.read(lambda conn: query.trace(conn, identities))

    async def same_content(self, event_id: str, sources: Iterable[str]) -> dict[str, list[str]]:
        """By the names of an event's deliveries: earlier ones there that carry the same for the same dossier under
        another id. Nothing was held back for it: a sender may say the same thing again.
        """
        identities = [identity_of(source.encode(), event_id.encode()) for source in sources]
        found, places = await self._ledger.read(
            lambda conn: (query.same_content(conn, identities), {place.id: place for place in store.shards(conn)})
        )
        return {
            query.name_of(places[shard], seq): [query.name_of(places[shard], first) for first in earlier]
            for (shard, seq), earlier in found.items()
        }

    async def alerts(self) -> list[alerts.Alert]:
        """Open alerts, oldest first."""
        return await self._ledger.read(alerts.open_alerts)

    # Orders

    async def order(self, name: str, verb: Verb, *, who: str, why: str, out_of_order: bool = False) -> Answer:
        """Skip, discard, expire, restore or replay one delivery. Raises ``OrderRefused``."""
        return await self._on_delivery(name, verb, who=who, why=why, args={"out_of_order": out_of_order})

    async def replay(self, name: str, *, who: str, why: str, body: bytes | None, out_of_order: bool = False) -> Answer:
        """Send a dead letter again, with a corrected body if one is given. Raises ``OrderRefused``."""
        args: dict[str, object] = {"out_of_order": out_of_order}
        if body is not None:
            within_limit(body)
            if self._check is not None:
                self._check((await self._find(name))[1].event_type, body)
            args["body"] = b64encode(body).decode()
        return await self._on_delivery(name, Verb.REPLAY, who=who, why=why, args=args)

    async def redirect(self, name: str, target: str, *, who: str, why: str) -> Answer:
        """Hand a delivery to another recipient instead; here it counts as skipped. Raises ``OrderRefused``, also for a
        recipient that is not configured any more: nobody would read it.
        """
        await self._require_recipient(target)
        if self._configured is not None and target not in self._configured:
            known = ", ".join(sorted(set(self._configured) - {ROUTER}))
            raise OrderRefused(f"recipient {target} is not configured any more, nobody reads its topic ({known} are)")
        if name.split("/", 1)[0] == target:
            raise OrderRefused(f"{name} is for {target} already")
        return await self._on_delivery(name, Verb.REDIRECT, who=who, why=why, args={"to": target})

    async def conflicts(self, limit: int) -> list[Conflict]:
        """Bytes that came under an identity that is taken, newest first."""
        return await self._ledger.read(lambda conn: conflicts.listed(conn, limit))

    async def decide_conflict(self, conflict_id: int, *, take: bool, who: str, why: str) -> Answer:
        """Deliver the other bytes as an event of their own, or drop them. Raises ``OrderRefused``."""
        found = await self._ledger.read(lambda conn: conflicts.one(conn, conflict_id))
        if found is None:
            raise OrderRefused(f"there is no conflict {conflict_id}")
        if take and len(found.body.value) > LONGEST_VALUE:
            raise OrderRefused(f"they are {len(found.body.value)} bytes, a message may have {LONGEST_VALUE}: drop them")
        place = next(p for p in await self._ledger.read(store.shards) if p.id == found.shard)
        verb = Verb.TAKE_CONFLICT if take else Verb.DROP_CONFLICT
        args = {"conflict": conflict_id}
        order = Order(lease=found.lease, verb=verb, who=who, why=why, recipient=found.recipient, args=args)
        return await self._place(order, place)

    async def hold_recipient(self, recipient: str, *, who: str, why: str) -> Answer:
        """Keep what comes for a recipient back until it is resumed."""
        return await self._on_recipient(recipient, Verb.HOLD, who, why)

    async def stop_recipient(self, recipient: str, *, who: str, why: str) -> Answer:
        """Call a recipient no more; what comes for it waits."""
        return await self._on_recipient(recipient, Verb.STOP, who, why)

    async def resume_recipient(self, recipient: str, *, who: str, why: str) -> Answer:
        """Call it again; its backlog goes out in order."""
        return await self._on_recipient(recipient, Verb.RESUME, who, why)

    async def recalculate(self, recipient: str, *, who: str, why: str) -> list[Answer]:
        """Have a local recipient count the due dates of all it holds again, shard by shard. Needs a running process.

        Raises ``OrderRefused`` for a recipient that does not exist.
        """
        await self._require_recipient(recipient)
        places = [each for each in await self._ledger.read(store.shards) if each.recipient == recipient]
        args = {"partitions": len(places)}
        return [
            await self._place(Order(place.lease, Verb.RECALCULATE, who, why, recipient=recipient, args=args), place)
            for place in sorted(places, key=lambda each: each.partition)
        ]

    async def money_waiting(self, code: str, limit: int) -> list[Waiting]:
        """Payments of which something waits for a person, a notice or a start: those of a dossier, or of all."""
        if code:
            return (await self._ledger.read(lambda conn: suspended.of_code(conn, code)))[:limit]
        found: list[Waiting] = []
        after: bytes | None = b""
        while after is not None and len(found) < limit:
            more, last = await self._ledger.read(partial(suspended.page, after=after))
            found, after = found + more, last or None
        return found[:limit]

    async def decide_money(
        self, code: str, payment: str, *, notice: str = "", amount: int = 0, who: str, why: str
    ) -> Answer:
        """Release money that waits to a notice, or have it given back where none is named. ``payment`` is its id in
        ``money_waiting`` or its reference, ``amount`` a part of what waits (0: all). Raises ``OrderRefused``.
        """
        found = await self.money_waiting(code, MOST_PAYMENTS)
        fit = [each for each in found if payment in (each.id, each.reference)]
        if len(fit) != 1:
            known = ", ".join(each.id for each in found) or "none"
            raise OrderRefused(f"no money of payment {mask(payment)} of {code} waits (of these it does: {known})")
        one = fit[0]
        places = [each for each in await self._ledger.read(store.shards) if each.recipient == PROCEDURES]
        partition = partition_of(one.key, len(places))
        place = next(each for each in places if each.partition == partition)
        verb = Verb.RELEASE_MONEY if notice else Verb.REFUND_MONEY
        args: dict[str, object] = {"key": one.key.hex(), "target": suspended.dossier_of(one)}
        args |= {"reference": one.reference, "expected": one.suspended + one.carried}
        args |= {"notice": notice, "amount": amount}
        return await self._place(Order(place.lease, verb, who, why, recipient=PROCEDURES, args=args), place)

    # Inside

    async def _find(self, name: str) -> tuple[Shard, Delivery]:
        try:
            found = await self._ledger.read(lambda conn: query.find(conn, name))
        except ValueError as error:
            raise OrderRefused(str(error)) from None
        if found is None:
            raise OrderRefused(f"there is no delivery {name}")
        return found

    async def _on_delivery(self, name: str, verb: Verb, *, who: str, why: str, args: dict[str, object]) -> Answer:
        place, delivery = await self._find(name)
        order = Order(
            lease=place.lease,
            verb=verb,
            who=who,
            why=why,
            shard=place.id,
            seq=delivery.seq,
            recipient=place.recipient,
            expected_version=delivery.version,
            args=args,
        )
        return await self._place(order, place)

    async def _on_recipient(self, recipient: str, verb: Verb, who: str, why: str) -> Answer:
        await self._require_recipient(recipient)
        order = Order(lease=shard_lease(recipient, 0), verb=verb, who=who, why=why, recipient=recipient)
        return await self._place(order, None)

    async def _require_recipient(self, recipient: str, *, local: bool = False) -> None:
        known = {place.recipient for place in await self._ledger.read(store.shards)} - (set() if local else {ROUTER})
        if recipient not in known:
            raise OrderRefused(f"there is no recipient {recipient} (known: {', '.join(sorted(known))})")

    async def _place(self, order: Order, place: Shard | None) -> Answer:
        """Place an order and wait for its answer; where nobody owns its lease, or whoever did beats no more, it is
        applied here.
        """
        now = self._clock.now()
        order_id = await self._ledger.write(lambda conn: orders.place(conn, order, now=now))
        begun, longest = self._clock.monotonic(), BEATS_UNSEEN * self._lease_seconds
        watch, alone, since = Watch(longest), False, 0.0
        while True:
            desk = await self._ledger.read(lambda conn: _look(conn, order_id, order.lease))
            if desk.result is not None:
                return Answer(order_id, desk.result, alone)
            watch.observe(desk.processes, begun + since)
            owner = desk.lease.owner if desk.lease is not None else None
            alone = await self._apply_alone(order_id, order, place, owner, watch) or alone
            unmoved = self._lock is None and owner in watch.seen and watch.seen[owner].since == begun
            if since > (max(ANSWER_PATIENCE, longest + ANSWER_PAUSE) if unmoved else ANSWER_PATIENCE):
                text = f"order {order_id} is placed; no process has answered it yet"
                return Answer(order_id, OrderResult(False, text), alone=False)
            await self._clock.sleep(self._answer_every)
            since = self._clock.monotonic() - begun

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


async def answer_to(ledger: Ledger, clock: Clock, order_id: int) -> OrderResult:
    """What comes of an order, waited for as long as an operator would."""
    deadline = clock.monotonic() + ANSWER_PATIENCE
    while clock.monotonic() < deadline:
        found = await ledger.read(lambda conn: orders.result(conn, order_id))
        if found is not None:
            return found
        await clock.sleep(ANSWER_PAUSE)
    return OrderResult(False, f"order {order_id} is placed; no process has answered it yet")


def _status(conn: Connection) -> Status:
    states = {state.recipient: state for state in recipients.recipient_states(conn)}
    rows, events = query.unsettled(conn)
    return Status(
        query.backlogs(conn), states, current_holds(conn), rows, events, len(alerts.open_alerts(conn)),
        registry.version(conn), registry.all_in_force(conn), conflicts.counted(conn), query.owner_conflicts(conn),
    )  # fmt: skip
