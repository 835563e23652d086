"""Group commit: accepts, outcomes, marks, orders and alerts of all shards of a tick in one fenced transaction.

A group that the database refuses is tried once more, then shard by shard, then row by row; a row that fails alone
becomes a dead letter ``ledger_refused``, so that one bad text stops nobody.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Protocol

from router.delivery import emissions, owners
from router.delivery.accept import Batch, plain, refused
from router.delivery.ordering import apply_order
from router.delivery.outcome import fingerprint
from router.errors import CommitUnknown, LedgerUnavailable, RowRefused, StalePosition, StaleVersion
from router.ledger import alerts, audit, conflicts, orders, outbox, recipients, store
from router.ledger.local import LocalRecipient
from router.ledger.rows import (
    Accepted,
    Arrival,
    Failure,
    Lease,
    Order,
    OrderResult,
    RecipientState,
    Shard,
    State,
    Transition,
    Verdict,
)
from router.ports import Clock, Ledger

if TYPE_CHECKING:
    from sqlalchemy import Connection

ROUTER_SAYS = "lgsp-router"
LEDGER_REFUSED = "ledger_refused"


class Leases(Protocol):
    """Who owns what, as this process may rely on right now."""

    def held(self, name: str) -> Lease | None:
        """The lease, if it may be relied on now."""
        ...


@dataclass(slots=True)
class Intake:
    """A run of records of one shard to accept."""

    shard: Shard
    batch: Batch


@dataclass(slots=True)
class Alert:
    """An alert to raise, or to clear."""

    name: str
    subject: str
    detail: str
    raised: bool = True


@dataclass(slots=True)
class Group:
    """What one transaction is to do. Changes are in the order in which they must be applied."""

    intakes: list[Intake] = field(default_factory=list)
    changes: list[tuple[Shard, Transition]] = field(default_factory=list)
    orders: list[tuple[Shard | None, Order]] = field(default_factory=list)
    stops: list[RecipientState] = field(default_factory=list)
    alerts: list[Alert] = field(default_factory=list)
    refused: list[tuple[Shard, Transition]] = field(default_factory=list)  # outcomes that could not be stored
    refuse_orders: bool = False  # these orders could not be applied: they are answered so

    def __bool__(self) -> bool:
        return bool(self.intakes or self.changes or self.orders or self.stops or self.alerts)

    def leases(self) -> set[str]:
        """The leases this group writes under."""
        changed = [*self.changes, *self.refused]
        names = {intake.shard.lease for intake in self.intakes} | {shard.lease for shard, _ in changed}
        return names | {order.lease for _, order in self.orders}

    def part(self, lease: str) -> Group:
        """What of it belongs to one lease."""
        return Group(
            [i for i in self.intakes if i.shard.lease == lease],
            [c for c in self.changes if c[0].lease == lease],
            [o for o in self.orders if o[1].lease == lease],
        )


@dataclass(slots=True)
class Committed:
    """What became of a group. ``waiting`` leases were not free and wait for the next group; ``reread`` ones must be
    read again before anything else of them is done: their rows are not what memory thought.
    """

    accepted: dict[int, list[Accepted]] = field(default_factory=dict)
    accepted_at: dict[int, int] = field(default_factory=dict)  # by shard, as the ledger has it
    changed: set[tuple[int, int]] = field(default_factory=set)
    ordered: dict[int, OrderResult] = field(default_factory=dict)
    waiting: set[str] = field(default_factory=set)
    reread: set[str] = field(default_factory=set)
    done: bool = True

    def add(self, other: Committed) -> None:
        """Join the result of a part."""
        self.accepted |= other.accepted
        self.accepted_at |= other.accepted_at
        self.changed |= other.changed
        self.ordered |= other.ordered
        self.waiting |= other.waiting
        self.reread |= other.reread


class GroupCommit:
    """Runs groups against the ledger."""

    def __init__(
        self, ledger: Ledger, leases: Leases, clock: Clock, local: Mapping[str, LocalRecipient] | None = None
    ) -> None:
        self._ledger, self._leases, self._clock, self._local = ledger, leases, clock, local or {}

    async def commit(self, group: Group) -> Committed:
        """One transaction, or as many as a bad row makes necessary.

        ``LedgerUnavailable`` is passed on: nothing was written and the same group may be committed again.
        """
        for _ in range(2):
            try:
                return await self._once(group)
            except CommitUnknown:
                return Committed(reread=group.leases(), done=False)
            except LedgerUnavailable:
                raise
            except (RowRefused, StaleVersion, StalePosition) as error:
                failed = error
        return await self._apart(group, failed)

    async def _once(self, group: Group) -> Committed:
        leases = [lease for name in sorted(group.leases()) if (lease := self._leases.held(name)) is not None]
        now = self._clock.now()
        return await self._ledger.write(lambda conn: write_group(conn, group, leases, now, self._local))

    async def _apart(self, group: Group, failed: Exception) -> Committed:
        names = sorted(group.leases())
        result = Committed()
        if group.stops or group.alerts:
            notes = Group(stops=group.stops, alerts=group.alerts)
            result.add(await self.commit(notes) if names else await self._once(_plainly(notes)))
        if len(names) > 1:
            for name in names:
                result.add(await self.commit(group.part(name)))
        elif isinstance(failed, StaleVersion | StalePosition):
            result.reread |= set(names)
        else:
            result.add(await self._by_row(group))
        return result

    async def _by_row(self, group: Group) -> Committed:
        result = Committed()
        for change in group.changes:
            result.add(await self._row(Group(changes=[change]), Group(refused=[change])))
        for intake in group.intakes:
            position, shard = intake.shard.position, intake.shard
            for arrival in intake.batch.arrivals:
                one = _single(shard, position, arrival, intake.batch)
                got = await self._row(one, _single(shard, position, refused(arrival), intake.batch))
                result.waiting |= got.waiting
                result.reread |= got.reread
                result.accepted.setdefault(shard.id, []).extend(got.accepted.get(shard.id, []))
                result.accepted_at |= got.accepted_at
                position = arrival.offset + 1
                shard = _moved(shard, position, got.accepted.get(shard.id, []))
        for order in group.orders:
            result.add(await self._row(Group(orders=[order]), Group(orders=[order], refuse_orders=True)))
        return result

    async def _row(self, group: Group, instead: Group) -> Committed:
        try:
            return await self._once(group)
        except RowRefused:
            return await self._once(instead)
        except (StaleVersion, StalePosition, CommitUnknown):
            return Committed(reread=group.leases())


def write_group(
    conn: Connection, group: Group, leases: Sequence[Lease], now: int, local: Mapping[str, LocalRecipient]
) -> Committed:
    """The transaction: fence first, then accepts, changes, orders, stops and alerts."""
    held = store.fence(conn, leases)
    result = Committed(waiting=group.leases() - held)
    for intake in group.intakes:
        if intake.shard.lease in held:
            result.accepted[intake.shard.id] = _accept(conn, intake, now)
            result.accepted_at[intake.shard.id] = now
    changes = [transition for shard, transition in group.changes if shard.lease in held]
    if changes:
        store.apply(conn, changes)
        result.changed = {(change.shard, change.seq) for change in changes}
    for place, change in group.refused:
        if place.lease in held:
            _refuse_outcome(conn, place, change, now, sent=place.recipient not in local)
            result.reread.add(place.lease)  # memory knows another outcome
    for shard, order in group.orders:
        if order.lease in held:
            answer = (
                _refuse_order(conn, order, now) if group.refuse_orders else apply_order(conn, shard, order, now, local)
            )
            if answer is not None:
                result.ordered[order.id] = answer
    for stop in group.stops:
        recipients.set_recipient(conn, stop)
        audit.record(conn, now, who=ROUTER_SAYS, verb=stop.status, target=stop.recipient, why=stop.reason, detail={})
    for alert in group.alerts:
        if alert.raised:
            alerts.raise_alert(conn, alert.name, alert.subject, alert.detail, now=now)
        else:
            alerts.clear_alert(conn, alert.name, alert.subject, now=now)
    return result


def _accept(conn: Connection, intake: Intake, now: int) -> list[Accepted]:
    shard, batch = intake.shard, intake.batch
    accepted = store.accept(conn, shard, batch.position, batch.fingerprint, batch.arrivals, now=now)
    for arrival, made in zip(batch.arrivals, accepted, strict=True):
        if made.verdict is Verdict.CONFLICT:
            detail = f"other bytes under the id {arrival.event_id}: `lgsp dead conflicts`"
            alerts.raise_alert(conn, conflicts.ALERT, shard.recipient, detail, now=now)
        if made.verdict in (Verdict.NEW, Verdict.REOPENED):
            owners.told(conn, shard, arrival.failure, now=now)
    letters = [
        emissions.dead_letter(shard, arrival, arrival.body, failure=arrival.failure, tries=emissions.Tries(0, now, now))
        for arrival, made in zip(batch.arrivals, accepted, strict=True)
        if arrival.failure is not None and made.verdict in (Verdict.NEW, Verdict.REOPENED)
    ]
    if letters:
        outbox.add(conn, shard.lease, letters)
    return accepted


def _single(shard: Shard, position: int, arrival: Arrival, batch: Batch) -> Group:
    at = replace(shard, position=position)
    return Group(intakes=[Intake(at, Batch([arrival], arrival.offset + 1, batch.fingerprint))])


def _moved(shard: Shard, position: int, accepted: Iterable[Accepted]) -> Shard:
    newest = max((made.seq for made in accepted), default=0)
    return replace(shard, position=position, next_seq=max(shard.next_seq, newest + 1))


def _refuse_outcome(conn: Connection, shard: Shard, change: Transition, now: int, *, sent: bool) -> None:
    """An outcome whose texts cannot be stored: a dead letter ``ledger_refused`` with a record on its topic.

    What a partner took (``sent``) stays delivered, with a bare receipt: a replay would send it a second time. The
    effects of a local recipient were in what was refused, and did not happen.
    """
    if sent and change.state in (State.DELIVERED, State.DUPLICATE):
        bare = replace(change, failure=None, receipt={"code": LEDGER_REFUSED}, attempt=None, emissions=())
        store.apply(conn, [bare])
        return
    failure = Failure("invalid", LEDGER_REFUSED, message="the ledger refused this outcome's texts")
    failure = replace(failure, cause=fingerprint(shard.recipient, "commit", failure))
    bare = replace(
        change, state=State.DEAD, due=None, failure=failure, receipt=None, attempt=None, emissions=(), write=None
    )
    body = store.bodies(conn, shard.id, [change.seq]).get(change.seq)
    delivery = store.one(conn, shard.id, change.seq)
    if body is not None and delivery is not None:
        tries = emissions.Tries(change.attempts, change.first_at or now, change.last_at or now)
        bare.emissions = [emissions.dead_letter(shard, delivery, body, failure=failure, tries=tries)]
    store.apply(conn, [bare])


def _refuse_order(conn: Connection, order: Order, now: int) -> OrderResult:
    """An order that the database would not store the result of: answered, so that another may follow."""
    result = OrderResult(False, "the ledger refused what this order asks for")
    orders.finish(conn, order, result, now=now)
    return result


def _plainly(notes: Group) -> Group:
    """Stops and alerts in plain ASCII, which every database stores."""
    return Group(
        stops=[replace(stop, reason=plain(stop.reason)) for stop in notes.stops],
        alerts=[replace(alert, subject=plain(alert.subject), detail=plain(alert.detail)) for alert in notes.alerts],
    )
