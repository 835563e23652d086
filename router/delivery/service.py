"""Delivery in one process: own shards, read, accept, deliver, commit. The loop of the part.

One tick: gather what slots, feed and operators left; commit it as one group; tell memory; read what lanes want; wake
the slots. Memory changes only after the commit.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from router.delivery.accept import batch_of
from router.delivery.calls import Kit, Recipient
from router.delivery.commit import Alert, Group, GroupCommit, Intake
from router.delivery.contents import Contents
from router.delivery.crowding import crowd_of
from router.delivery.dispatch import LEDGER_PAUSE, Dispatcher, Outcome
from router.delivery.feed import Feed
from router.delivery.holdings import Holdings
from router.delivery.holds import FAILURES_OF_AN_OUTAGE, HoldBoard
from router.delivery.local import LocalDispatcher
from router.delivery.orderdesk import OrderDesk
from router.delivery.ordering import STATUS_OF
from router.delivery.outbox import OutboxPublisher
from router.delivery.ownership import BEATS_A_LEASE, Ownership
from router.delivery.settle import given_up, settle_intakes, settle_outcomes
from router.delivery.shards import Owned, fill
from router.delivery.standing import Standing
from router.delivery.tally import Tally
from router.delivery.telling import tell_alerts, tell_dead_letters, tell_same_content
from router.delivery.troubles import BUS_UNREACHABLE, DELIVERY_WAITS, LOOK_AROUND_FAILED, Troubles
from router.errors import BusError, LedgerError, LedgerUnavailable, PositionOutOfRange
from router.events import ROUTER, Fetched, TopicPartition
from router.ledger.local import LocalRecipient
from router.ledger.rows import Order, Shard
from router.ports import Bus, Clock, Ledger

LOOK_EVERY: Final = 0.2  # orders and recipients' states
IDLE: Final = 0.5
LEDGER_AWAY: Final = "ledger_unavailable"
LEDGER_BACK: Final = "ledger_back"


@dataclass(frozen=True, slots=True)
class DeliverySettings:
    """``partitions`` of every topic; ``linger`` (s) lets outcomes gather before a commit; ``grace`` (s) for a stop.
    ``uncommitted`` outcomes may wait for their commit before slots pause; orders and recipients are looked at every
    ``look_every`` seconds.
    """

    partitions: int
    linger: float = 0.002
    group_rows: int = 400
    grace: float = 20.0
    uncommitted: int = 2_000
    look_every: float = LOOK_EVERY


class DeliveryService:
    """``run`` until ``stop``. Everything it works on it owns by lease; ``desk`` of its own dispatchers."""

    def __init__(
        self,
        bus: Bus,
        ledger: Ledger,
        ownership: Ownership,
        recipients: Sequence[Recipient],
        kit: Kit,
        *,
        settings: DeliverySettings,
        local: Sequence[LocalRecipient] = (),
    ) -> None:
        self._ledger, self._ownership, self._settings = ledger, ownership, settings
        self._clock: Clock = kit.clock
        self._log = kit.log
        self.recipients = {recipient.id: recipient for recipient in recipients}
        self.tally = Tally()
        self._contents = Contents()
        self.outbox = OutboxPublisher(bus, ledger, ownership, self._clock, settings.partitions)
        self.dispatcher = Dispatcher(ledger, kit, self, settings.partitions)
        self._local = LocalDispatcher(ledger, kit, self, {each.id: each for each in local})
        self._feed = Feed(bus)
        longest = {r.id: max((op.timeout for op in r.manifest.operations), default=0.0) for r in recipients}
        self._holdings = Holdings(
            ledger,
            ownership,
            self._feed,
            self._clock,
            recipients={**longest, **{each.id: 0.0 for each in local}, ROUTER: 0.0},
            partitions=settings.partitions,
            enter=lambda owned: self._dispatcher_of(owned).add(owned),
            leave=lambda owned: self._dispatcher_of(owned).remove(owned),
        )
        self._holds = HoldBoard(ledger, self._clock, ownership.process)
        self._standing = Standing(ledger, self._clock, self.recipients)
        self._order_desk = OrderDesk(ledger)
        self._commit = GroupCommit(ledger, ownership, self._clock, {each.id: each for each in local})
        self._outcomes: list[Outcome] = []
        self._pending: list[Outcome] = []
        self._alerts: list[Alert] = []
        self._troubles = Troubles(ownership.process)
        self._ready_orders: list[tuple[Shard | None, Order]] = []
        self._wake = asyncio.Event()
        self._stopping = False
        self._astray = False  # the reader is not where the positions are
        self._next_look = self._next_share = 0.0

    @property
    def shards(self) -> dict[str, Owned]:
        """The shards worked on, by lease name."""
        return self._holdings.shards

    @property
    def stopping(self) -> bool:
        """Whether it was told to stop."""
        return self._stopping

    @property
    def full(self) -> bool:
        """Whether as many outcomes wait for their commit as may."""
        return len(self._outcomes) + len(self._pending) >= self._settings.uncommitted

    def leave(self, outcome: Outcome) -> None:
        """Take an outcome for the next commit."""
        self._outcomes.append(outcome)
        if not self._wake.is_set():
            self._wake.set()

    def may_call(self, owned: Owned) -> bool:
        """Whether lease and operators allow a call to start now."""
        if self._stopping or self._standing.is_shut(owned.shard.recipient):
            return False
        return self._holdings.works_on(owned)

    async def run(self) -> None:
        """Own, read, accept, deliver, until ``stop``."""
        await self._look_around()
        self.dispatcher.start(self.recipients.values())
        self._local.start()
        publishing = asyncio.create_task(self.outbox.run(lambda: self._stopping))
        try:
            while not self._stopping:
                self._local.check()
                if publishing.done():
                    publishing.result()
                await self._tick()
        finally:
            await self._wind_down(publishing)

    def stop(self) -> None:
        """Start no call any more; ``run`` returns when what runs has ended or was cut off after the grace period."""
        self._stopping = True
        self._wake.set()

    async def _tick(self) -> None:
        self.dispatcher.check()
        if self._clock.monotonic() >= self._next_look:
            await self._look_around()
        fetched = await self._gather()  # between this and the commit nothing may set the reader's positions
        if group := self._collect(fetched):
            await self._commit_group(group)
        try:
            if self._astray or self._holdings.unread:
                await self._holdings.follow()
                self._astray = False
            await self._holdings.settle()
            await fill(self._ledger, self.shards.values(), self._standing.is_shut)
            self._troubles.over(DELIVERY_WAITS)
        except (LedgerError, BusError) as error:
            self._troubles.met(DELIVERY_WAITS, str(error))
            await self._clock.sleep(LEDGER_PAUSE)
        for recipient in self.recipients.values():
            recipient.wake.set()
        self._local.wake()

    async def _gather(self) -> Mapping[TopicPartition, Sequence[Fetched]]:
        """Wait for records, outcomes, or the next thing due; give outcomes a moment to come together."""
        fetch = self._feed.fetching()
        if not self._outcomes and not (fetch and fetch.done()):
            await self._rest(fetch)
        if 0 < len(self._outcomes) < self._settings.group_rows and self.dispatcher.calling:
            await self._clock.sleep(self._settings.linger)
        fetched_all = fetch is not None and fetch.done()
        try:
            fetched = self._feed.take()
        except PositionOutOfRange as error:
            self._holdings.fault(error.partition, str(error))
            self._astray = True
        except BusError as error:
            self._troubles.met(BUS_UNREACHABLE, str(error))
            await self._clock.sleep(IDLE)
        else:
            if fetched_all:
                self._troubles.over(BUS_UNREACHABLE)
            return fetched
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
        """Seconds until the next due head that may be called, or look-around."""
        now = self._clock.now()
        dues = [
            due
            for owned in self.shards.values()
            if owned.lanes and self._calls(owned, now) and (due := owned.lanes.next_due()) is not None
        ]
        until_due = (min(dues) - now) / 1e6 if dues else IDLE
        return max(0.001, min(until_due, self._next_look - self._clock.monotonic(), IDLE))

    def _calls(self, owned: Owned, now: int) -> bool:
        recipient = self.recipients.get(owned.shard.recipient)
        return recipient is None or recipient.health.may_call(now)

    def _collect(self, fetched: Mapping[TopicPartition, Sequence[Fetched]]) -> Group:
        group = Group()
        by_partition = {owned.topic_partition: owned for owned in self.shards.values()} if fetched else {}
        for partition, records in fetched.items():
            owned = by_partition.get(partition)
            if owned is None:
                continue
            fresh = [record for record in records if record.offset >= owned.shard.position]
            if fresh and fresh[0].offset == owned.shard.position:
                group.intakes.append(Intake(owned.shard, batch_of(owned.shard.recipient, fresh)))
            elif fresh:
                self._astray = True  # read past something: never drop it silently
        left, self._outcomes, self._pending = self._outcomes, [], []
        for outcome in left:
            if self._holdings.lapsed(outcome.owned.lease):
                given_up(outcome)  # another process owns the lane: the ledger says what happens next
            else:
                self._pending.append(outcome)
        group.changes = [(outcome.owned.shard, outcome.transition) for outcome in self._pending]
        for outcome in self._pending:
            self._standing.heed(outcome, group)
        group.orders, self._ready_orders = self._ready_orders, []
        group.alerts += [*self._alerts, *self._troubles.told(), *self._holdings.alerts]
        self._alerts, self._holdings.alerts = [], []
        return group

    async def _commit_group(self, group: Group) -> None:
        """Commit, waiting for the ledger as long as it takes; then memory follows."""
        away = False
        while True:
            try:
                committed = await self._commit.commit(group)
                break
            except LedgerUnavailable as error:
                if self._stopping:
                    return  # what was not recorded is a crash to whoever takes over
                if not away:  # there is no other place to say it: an alert is a row of the ledger
                    self.tally.alerts[LEDGER_AWAY] += 1
                    self._log(LEDGER_AWAY, {"detail": str(error)})
                away = True
                await self._clock.sleep(LEDGER_PAUSE)
        if away:
            self._log(LEDGER_BACK, {})
        with suppress(LedgerError):  # then they stay in doubt, and wait for the next group
            await self._holdings.doubt(committed.waiting)
        if not committed.done:
            self._alerts = group.alerts + self._alerts  # whether they were stored is not known: once more does no harm
        now, shards = self._clock.now(), self.shards
        tell_alerts(group.alerts, self.tally, self._log)
        tell_dead_letters(self._pending, self._log)
        self.tally.commits += 1
        self.tally.rows += len(committed.changed) + sum(map(len, committed.accepted.values()))
        complete, same = settle_intakes(group.intakes, committed, shards, self.tally, self._contents)
        tell_same_content(same, self._log)
        lapsed = self._holdings.lapsed
        left, self._pending = settle_outcomes(self._pending, committed, shards, self.tally, now, lapsed), []
        self._outcomes[:0] = left
        self._order_desk.done(group.orders, shards)
        if any(order.verb in STATUS_OF for _, order in group.orders):
            await self._standing.read()
        if any(change.emissions for _, change in group.changes) or group.orders or group.intakes:
            self.outbox.wake()
        for name in committed.reread:
            self._holdings.drop(name)
        if not complete or committed.reread:
            self._astray = True

    async def _look_around(self) -> None:
        """Beat, share shards with other processes, see orders and recipients' states, tell what is held back."""
        now = self._clock.monotonic()
        self._next_look = now + self._settings.look_every
        try:
            await self._ownership.keep()
            self._holdings.forget_lost()
            if now >= self._next_share:
                self._next_share = now + self._ownership.length / BEATS_A_LEASE
                await self._holdings.share()
                await self._feed.note(self.shards.values())
            await self._standing.read()
            self._ready_orders += await self._order_desk.ready(self.shards)
            recovered, changed = await self._holds.notice(self.recipients.values(), crowd_of(self.shards.values()))
            self._alerts += changed
            self._troubles.outbox(self.outbox.trouble)
            for owned in self.shards.values():
                if owned.lanes is not None and any(owned.shard.recipient == each.id for each in recovered):
                    owned.lanes.hasten(FAILURES_OF_AN_OUTAGE)
        except (LedgerError, BusError) as error:
            self._troubles.met(LOOK_AROUND_FAILED, str(error))
        else:
            self._troubles.over(LOOK_AROUND_FAILED)

    def _dispatcher_of(self, owned: Owned) -> Dispatcher | LocalDispatcher:
        return self._local if self._local.serves(owned) else self.dispatcher

    async def _wind_down(self, publishing: asyncio.Task[None]) -> None:
        """Let running calls end, commit what they brought, publish what was written, let go."""
        self._stopping = True
        await self._local.stop()
        draining = asyncio.create_task(self.dispatcher.stop(self._settings.grace))
        while not draining.done() or self._outcomes:
            if group := self._collect({}):
                await self._commit_group(group)
            await asyncio.wait({draining}, timeout=0.02)
        self.outbox.wake()
        await asyncio.wait({publishing})
        await self._feed.close()
        await self._ownership.release(clean=draining.result())
        await self.outbox.close()
