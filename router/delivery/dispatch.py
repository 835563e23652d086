"""The call slots: heads of lanes out to connectors, outcomes back as changes to commit.

Every recipient has its slots (tasks). A slot takes a head, waits for the mark's commit where the operation needs one,
calls, and leaves the change with the desk; the lane gives its next delivery only after that change is committed.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol

from router.delivery.calls import (
    Called,
    Kit,
    NotStarted,
    Recipient,
    ask,
    broken,
    call,
    emissions_of,
    mark_of,
    resume,
    work_of,
)
from router.delivery.outcome import Work, place_of
from router.delivery.shards import Owned
from router.errors import LedgerError
from router.ledger import store
from router.ledger.rows import Body, Delivery, State, Transition
from router.ports import Ledger
from router.sdk.manifest import Idempotency

LEDGER_PAUSE: Final = 0.5


@dataclass(slots=True)
class Outcome:
    """A change to commit, the head it changes, and what came of the call (None: a mark before a call)."""

    owned: Owned
    head: Delivery
    transition: Transition
    called: Called | None = None
    marked: asyncio.Future[bool] | None = None


class Desk(Protocol):
    """Where slots leave outcomes. ``full``: as many wait for their commit as may; ``may_call`` says whether lease and
    operators allow a call of this shard to start at this moment.
    """

    @property
    def full(self) -> bool:
        """Whether slots must pause."""
        ...

    def leave(self, outcome: Outcome) -> None:
        """Take an outcome for the next commit."""
        ...

    def may_call(self, owned: Owned) -> bool:
        """Whether a call may start now."""
        ...


class Found(NamedTuple):
    """A head in hand. ``probe``: the one call that a recipient that is down gets."""

    owned: Owned
    head: Delivery
    probe: bool


class Dispatcher:
    """The slots of all recipients of this process."""

    def __init__(self, ledger: Ledger, kit: Kit, desk: Desk, partitions: int) -> None:
        self._ledger, self._kit, self._desk, self._partitions = ledger, kit, desk, partitions
        self._shards: dict[str, deque[Owned]] = {}
        self._recipients: dict[str, Recipient] = {}
        self._slots: list[asyncio.Task[None]] = []
        self._stopping = False
        self.calling = 0

    def start(self, recipients: Iterable[Recipient]) -> None:
        """Open the slots. Of those that a recipient has here the last ``urgent_reserved`` serve urgent lanes only."""
        for recipient in recipients:
            self._recipients[recipient.id] = recipient
            self._shared(recipient.id)
            for number in range(recipient.concurrency):
                self._slots.append(asyncio.create_task(self._slot(recipient, number)))

    def add(self, owned: Owned) -> None:
        """A shard was taken over."""
        self._shards.setdefault(owned.shard.recipient, deque()).append(owned)
        self._shared(owned.shard.recipient)

    def remove(self, owned: Owned) -> None:
        """A shard was lost, or is read again."""
        shards = self._shards[owned.shard.recipient]
        self._shards[owned.shard.recipient] = deque(other for other in shards if other is not owned)
        self._shared(owned.shard.recipient)

    def _shared(self, recipient: str) -> None:
        """Rate and slots follow this process's part of the shards."""
        shards = self._shards.setdefault(recipient, deque())
        if recipient in self._recipients:
            self._recipients[recipient].share(len(shards), self._partitions)

    def check(self) -> None:
        """Raise what a slot ended with: a slot that is gone would leave its lane waiting for ever."""
        for slot in self._slots:
            if slot.done():
                slot.result()

    async def stop(self, grace: float) -> bool:
        """Start no call; let running ones end within ``grace`` seconds. True if none was cut off."""
        self._stopping = True
        for recipient in self._recipients.values():
            recipient.wake.set()  # idle slots see that it is over
        if self._slots:
            await asyncio.wait(self._slots, timeout=grace)
        clean = self.calling == 0
        for slot in self._slots:
            slot.cancel()
        await asyncio.gather(*self._slots, return_exceptions=True)
        return clean

    async def _slot(self, recipient: Recipient, number: int) -> None:
        while not self._stopping:
            mine = number < recipient.slots
            found = self._take(recipient, urgent_only=number >= recipient.ordinary) if mine else None
            if found is None:
                recipient.wake.clear()
                await recipient.wake.wait()
                continue
            await self._serve(recipient, found)

    def _take(self, recipient: Recipient, *, urgent_only: bool) -> Found | None:
        """The next head of any of the recipient's shards, in turn; while it is down, one head now and then."""
        now, health = self._kit.clock.now(), recipient.health
        probe = health.may_probe(now)
        if self._desk.full or not (probe or health.may_call(now)):
            return None
        if recipient.opening.ranges or recipient.opening.windows:
            at = self._kit.clock.business()
            if recipient.opening.shut(at, urgent=True):
                return None
            urgent_only = urgent_only or recipient.opening.shut(at) is not None
        shards = self._shards[recipient.id]
        for _ in range(len(shards)):
            owned = shards[0]
            shards.rotate(-1)
            if owned.lanes is None or not self._desk.may_call(owned):
                continue
            lanes = owned.lanes
            head = lanes.probe(now) if probe and not urgent_only else lanes.take(now, urgent_only=urgent_only)
            if head is not None:
                owned.flying += 1
                health.probing = health.probing or probe
                return Found(owned, head, probe)
        return None

    async def _serve(self, recipient: Recipient, found: Found) -> None:
        self.calling += 1
        before = found.head.state
        try:
            if found.probe and not await ask(self._kit, recipient):
                raise NotStarted
            if recipient.limiter is not None:
                await recipient.limiter.acquire()
            await self._call(recipient, found)
        except NotStarted:
            self._give_back(found.owned, found.head, marked=found.head.state is not before)
        except LedgerError:  # its body could not be read: nothing was called
            self._give_back(found.owned, found.head, marked=False)
            await self._kit.clock.sleep(LEDGER_PAUSE)
        finally:
            self.calling -= 1
            if found.probe:
                recipient.health.probe_over(self._kit.clock.now(), self._kit.ids.jitter())

    async def _call(self, recipient: Recipient, found: Found) -> None:
        owned, head, probe = found
        work = work_of(recipient, head)
        body = head.body or await self._body(owned, head)

        def may_start() -> bool:
            health = recipient.health
            return self._desk.may_call(owned) and (probe or health.may_call(self._kit.clock.now()))

        try:
            called = await self._attempt(recipient, found, work, body, may_start)
            if called is None:
                return  # the shard is not ours any more, or is being read again
            called.transition.emissions = emissions_of(self._kit, owned.shard, head, body, called)
        except (NotStarted, LedgerError):
            raise
        except Exception as error:  # a fault of ours: it may stop this lane, never the process
            self._kit.log("fault", {"recipient": recipient.id, "place": place_of(error)})
            called = broken(self._kit, recipient, work, error)
            called.transition.emissions = emissions_of(self._kit, owned.shard, head, body, called)
        self._desk.leave(Outcome(owned, head, called.transition, called))

    async def _attempt(
        self, recipient: Recipient, found: Found, work: Work, body: Body, may_start: Callable[[], bool]
    ) -> Called | None:
        """Ask about a head in mid-call, or mark it where that is needed and call; None if the mark was not stored."""
        owned, head, probe = found
        if head.state is State.CALLING:
            return await resume(self._kit, recipient, work, body, may_start, probe=probe)
        if work.operation.idempotency is not Idempotency.NATURAL_KEY and not await self._mark(
            owned, head, mark_of(work, self._kit.clock.now())
        ):
            return None
        return await call(self._kit, recipient, work, body, may_start, probe=probe)

    async def _mark(self, owned: Owned, head: Delivery, transition: Transition) -> bool:
        """Record durably that a call is about to start; whether that was committed."""
        marked: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._desk.leave(Outcome(owned, head, transition, marked=marked))
        return await marked

    async def _body(self, owned: Owned, head: Delivery) -> Body:
        bodies = await self._ledger.read(lambda conn: store.bodies(conn, owned.shard.id, [head.seq]))
        return bodies[head.seq]

    def _give_back(self, owned: Owned, head: Delivery, *, marked: bool) -> None:
        if marked:  # and then not called: say so, or a successor would ask the partner in vain
            undo = Transition(
                head.shard, head.seq, head.version, State.WAITING, None, head.attempts, head.spent,
                head.first_at, head.last_at, head.failure, head.receipt, head.order_id,
            )  # fmt: skip
            self._desk.leave(Outcome(owned, head, undo, marked=asyncio.get_running_loop().create_future()))
        else:
            owned.flying -= 1
            if owned.lanes is not None:
                owned.lanes.returned(head.key)
