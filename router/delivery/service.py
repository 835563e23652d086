"""Delivery in one process: own shards, read, accept, deliver, commit. The loop of the part.

One tick: gather what slots, feed and operators left; commit it as one group; tell memory; read what lanes want; wake
the slots. Memory changes only after the commit.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from router.delivery.accept import batch_of
from router.delivery.calls import Kit, Recipient
from router.delivery.commit import ROUTER_SAYS, Alert, Group, GroupCommit, Intake
from router.delivery.dispatch import Dispatcher, Outcome
from router.delivery.feed import Feed
from router.delivery.orderdesk import OrderDesk
from router.delivery.outbox import OutboxPublisher
from router.delivery.ownership import Ownership, Taken
from router.delivery.settle import settle_intakes, settle_outcomes
from router.delivery.shards import Owned, fill
from router.delivery.takeover import open_shards
from router.delivery.tally import Tally
from router.errors import BusError, LedgerError, LedgerUnavailable, PositionOutOfRange
from router.events import ROUTER, Fetched, TopicPartition
from router.ledger import leases as lease_table
from router.ledger import recipients as recipient_table
from router.ledger.rows import Order, RecipientState, Shard, Verb, shard_lease
from router.ports import Bus, Clock, Ledger

LOOK_EVERY: Final = 0.2  # orders and recipients' states
BEATS_A_LEASE: Final = 5
IDLE: Final = 0.5
LEDGER_PAUSE: Final = 0.5


@dataclass(frozen=True, slots=True)
class DeliverySettings:
    """``partitions`` of every topic; ``linger`` (s) lets outcomes gather before a commit; ``grace`` (s) for a stop."""

    partitions: int
    linger: float = 0.002
    group_rows: int = 400
    grace: float = 20.0


class DeliveryService:
    """``run`` until ``stop``. Everything it works on it owns by lease; ``desk`` of its own dispatcher."""

    def __init__(
        self,
        bus: Bus,
        ledger: Ledger,
        ownership: Ownership,
        recipients: Sequence[Recipient],
        kit: Kit,
        *,
        settings: DeliverySettings,
    ) -> None:
        self._ledger, self._ownership, self._settings = ledger, ownership, settings
        self._clock: Clock = kit.clock
        self._log = kit.log
        self.recipients = {recipient.id: recipient for recipient in recipients}
        self.tally = Tally()
        self.outbox = OutboxPublisher(bus, ledger, ownership, self._clock, settings.partitions)
        self.dispatcher = Dispatcher(ledger, kit, self)
        self.shards: dict[str, Owned] = {}  # by lease name
        self._feed = Feed(bus)
        self._order_desk = OrderDesk(ledger)
        self._commit = GroupCommit(ledger, ownership, self._clock)
        self._outcomes: list[Outcome] = []
        self._alerts: list[Alert] = []
        self._stale: dict[str, Owned] = {}  # waiting for their last calls before they are read again
        self._faulty: set[str] = set()
        self._ready_orders: list[tuple[Shard | None, Order]] = []
        self._pending: list[Outcome] = []
        self._wake = asyncio.Event()
        self._stopping = False
        self._next_look = self._next_beat = 0.0

    def leave(self, outcome: Outcome) -> None:
        """Take an outcome for the next commit."""
        self._outcomes.append(outcome)
        if not self._wake.is_set():
            self._wake.set()

    def may_call(self, owned: Owned) -> bool:
        """Whether lease and recipient allow a call to start now."""
        if self._stopping or not self.recipients[owned.shard.recipient].health.may_call:
            return False
        name = owned.lease.name
        return self._ownership.held(name) is not None and self.shards.get(name) is owned

    async def run(self) -> None:
        """Own, read, accept, deliver, until ``stop``."""
        await self._look_around()
        self.dispatcher.start(self.recipients.values())
        publishing = asyncio.create_task(self.outbox.run(lambda: self._stopping))
        try:
            while not self._stopping:
                await self._tick()
        finally:
            await self._wind_down(publishing)

    def stop(self) -> None:
        """Start no call any more; ``run`` returns when what runs has ended or was cut off after the grace period."""
        self._stopping = True
        self._wake.set()

    async def _tick(self) -> None:
        fetched = await self._gather()
        if self._clock.monotonic() >= self._next_look:
            await self._look_around()
        if group := await self._collect(fetched):
            await self._commit_group(group)
        await self._reread()
        await fill(self._ledger, self.shards.values(), self._is_shut)
        for recipient in self.recipients.values():
            recipient.wake.set()

    async def _gather(self) -> Mapping[TopicPartition, Sequence[Fetched]]:
        """Wait for records, outcomes, or the next thing due; give outcomes a moment to come together."""
        fetch = self._feed.fetching()
        if not self._outcomes and not (fetch and fetch.done()):
            await self._rest(fetch)
        if 0 < len(self._outcomes) < self._settings.group_rows and self.dispatcher.calling:
            await self._clock.sleep(self._settings.linger)
        try:
            return self._feed.take()
        except PositionOutOfRange as error:
            subject = f"{error.partition.topic}/{error.partition.partition}"
            self._alerts.append(Alert("position_out_of_range", subject, str(error)))
            lost = [name for name, owned in self.shards.items() if owned.topic_partition == error.partition]
            for name in lost:
                self._drop(name)
                self._faulty.add(name)
            await self._feed.follow(self.shards.values())
        except BusError as error:
            self._alerts.append(Alert("bus_unreachable", "delivery", str(error)))
            await self._clock.sleep(IDLE)
        return {}

    async def _rest(self, fetch: asyncio.Task[Mapping[TopicPartition, Sequence[Fetched]]] | None) -> None:
        self._wake.clear()
        woken = asyncio.create_task(self._wake.wait())
        waits: set[asyncio.Task[object]] = {woken}
        if fetch is not None:
            waits.add(fetch)
        await asyncio.wait(waits, timeout=self._pause(), return_when=asyncio.FIRST_COMPLETED)
        woken.cancel()

    def _pause(self) -> float:
        """Seconds until the next due head or look-around."""
        dues = [due for owned in self.shards.values() if owned.lanes and (due := owned.lanes.next_due()) is not None]
        until_due = (min(dues) - self._clock.now()) / 1e6 if dues else IDLE
        return max(0.001, min(until_due, self._next_look - self._clock.monotonic(), IDLE))

    async def _collect(self, fetched: Mapping[TopicPartition, Sequence[Fetched]]) -> Group:
        group = Group()
        by_partition = {owned.topic_partition: owned for owned in self.shards.values()} if fetched else {}
        for partition, records in fetched.items():
            owned = by_partition.get(partition)
            if owned is not None and records and records[0].offset == owned.shard.position:
                group.intakes.append(Intake(owned.shard, batch_of(owned.shard.recipient, records)))
        self._pending, self._outcomes = self._outcomes, []
        group.changes = [(outcome.owned.shard, outcome.transition) for outcome in self._pending]
        for outcome in self._pending:
            self._heed(outcome, group)
        group.orders, self._ready_orders = self._ready_orders, []
        group.alerts += self._alerts
        self._alerts = []
        return group

    def _heed(self, outcome: Outcome, group: Group) -> None:
        """What an outcome means beyond its own row: a stopped recipient, an alert."""
        called, recipient = outcome.called, outcome.owned.shard.recipient
        if called is None:
            return
        failure = called.following.failure
        if called.following.stop and failure is not None:
            self.recipients[recipient].health.status = "stopped"
            why = f"{failure.reason} {failure.partner_code}".strip()
            group.stops.append(RecipientState(recipient, "stopped", self._clock.now(), why, ROUTER_SAYS))
            group.alerts.append(Alert("recipient_stopped", recipient, why))
        if called.following.alert:
            group.alerts.append(Alert(called.following.alert, recipient, failure.message if failure else ""))

    async def _commit_group(self, group: Group) -> None:
        """Commit, waiting for the ledger as long as it takes; then memory follows."""
        while True:
            try:
                committed = await self._commit.commit(group)
                break
            except LedgerUnavailable:
                if self._stopping:
                    return  # what was not recorded is a crash to whoever takes over
                await self._clock.sleep(LEDGER_PAUSE)
        now = self._clock.now()
        self._tell(group)
        self.tally.commits += 1
        self.tally.rows += len(committed.changed) + sum(map(len, committed.accepted.values()))
        complete = settle_intakes(group.intakes, committed, self.shards, self.tally, now)
        left = settle_outcomes(self._pending, committed, self.shards, self.tally, now)
        self.dispatcher.uncommitted -= sum(1 for o in self._pending if o.called) - sum(1 for o in left if o.called)
        self._outcomes[:0] = left
        self._order_desk.done(group.orders, self.shards)
        if any(order.verb in (Verb.STOP, Verb.RESUME) for _, order in group.orders):
            await self._read_recipients()
        if any(change.emissions for _, change in group.changes) or group.orders or group.intakes:
            self.outbox.wake()
        for name in committed.reread:
            self._drop(name)
        await self._lost(committed.waiting)
        if not complete or committed.reread:
            await self._feed.follow(self.shards.values())

    def _tell(self, group: Group) -> None:
        """Committed alerts and dead letters as log lines and counts; no payload and no personal data."""
        for alert in group.alerts:
            self.tally.alerts[alert.name] += alert.raised
            self._log("alert", {"alert": alert.name, "subject": alert.subject, "detail": alert.detail})
        for outcome in self._pending:
            called = outcome.called
            if called is not None and called.following.dead_letter and called.following.failure is not None:
                name = f"{outcome.owned.shard.recipient}/{outcome.owned.shard.partition}/{outcome.head.seq}"
                failure = called.following.failure
                self._log("dead_letter", {"delivery": name, "reason": failure.reason, "cause": failure.cause})

    async def _look_around(self) -> None:
        """Beat, take what is free, see orders and recipients' states."""
        now = self._clock.monotonic()
        self._next_look = now + LOOK_EVERY
        try:
            if now >= self._next_beat:
                await self._ownership.beat()
                self._next_beat = now + self._ownership.length / BEATS_A_LEASE
                await self._take_shards()
                await self._feed.note(self.shards.values())
            await self._read_recipients()
            self._ready_orders += await self._order_desk.ready(self.shards)
        except (LedgerError, BusError) as error:
            self._alerts.append(Alert("look_around_failed", "delivery", str(error)))

    async def _take_shards(self) -> None:
        wanted = [
            name
            for recipient in (*self.recipients, ROUTER)
            for partition in range(self._settings.partitions)
            if (name := shard_lease(recipient, partition)) not in self._stale and name not in self._faulty
        ]
        if taken := await self._ownership.take(wanted):
            await self._open(taken)

    async def _open(self, taken: Sequence[Taken]) -> None:
        now = self._clock.now()
        rest = {
            recipient.id: now + int(1e6 * max((op.timeout for op in recipient.manifest.operations), default=0.0))
            for recipient in self.recipients.values()
        }
        for owned, fault in await open_shards(self._ledger, self._feed, taken, rest):
            if fault is not None:
                self._alerts.append(fault)
                self._faulty.add(owned.shard.lease)
                continue
            self.shards[owned.shard.lease] = owned
            if owned.lanes is not None:
                self.dispatcher.add(owned)
        await self._feed.follow(self.shards.values())

    def _drop(self, name: str) -> None:
        """A shard's memory is not to be trusted: give nothing more out, and read it again when its calls ended."""
        owned = self.shards.pop(name, None)
        if owned is not None:
            self._stale[name] = owned
            if owned.lanes is not None:
                self.dispatcher.remove(owned)

    async def _lost(self, waiting: set[str]) -> None:
        """Leases that the fence did not give: lost only where a plain read shows another epoch."""
        if not waiting:
            return
        rows = await self._ledger.read(lease_table.leases)
        for name in waiting:
            lease = self._ownership.held(name)
            if lease is not None and rows[name].epoch != lease.epoch:
                self._ownership.lost(name)
                self._drop(name)
                del self._stale[name]

    async def _reread(self) -> None:
        """Take up again the shards whose last calls have ended."""
        rested = [name for name, owned in self._stale.items() if owned.flying == 0]
        taken = [Taken(self._stale.pop(name).lease, clean=True) for name in rested]
        still = [taking for taking in taken if self._ownership.held(taking.lease.name) == taking.lease]
        if still:
            await self._open(still)

    async def _read_recipients(self) -> None:
        states = await self._ledger.read(recipient_table.recipient_states)
        by_id = {state.recipient: state.status for state in states}
        for recipient in self.recipients.values():
            recipient.health.status = by_id.get(recipient.id, "open")

    def _is_shut(self, recipient: str) -> bool:
        return not self.recipients[recipient].health.may_call

    async def _wind_down(self, publishing: asyncio.Task[None]) -> None:
        """Let running calls end, commit what they brought, publish what was written, let go."""
        self._stopping = True
        draining = asyncio.create_task(self.dispatcher.stop(self._settings.grace))
        while not draining.done() or self._outcomes:
            if group := await self._collect({}):
                await self._commit_group(group)
            await asyncio.wait({draining}, timeout=0.02)
        self.outbox.wake()
        await asyncio.wait({publishing})
        await self._feed.close()
        await self._ownership.release(clean=draining.result())
        await self.outbox.close()
