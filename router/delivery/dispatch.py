"""The call slots: heads of lanes out to connectors, outcomes back as changes to commit.

Every recipient has its slots (tasks). A slot takes a head, waits for the mark's commit where the operation needs one,
calls, and leaves the change with the desk; the lane gives its next delivery only after that change is committed.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Protocol

from router.delivery.calls import Called, Kit, NotStarted, Recipient, call, emissions_of, mark_of, resume, work_of
from router.delivery.shards import Owned
from router.ledger import store
from router.ledger.rows import Body, Delivery, State, Transition
from router.ports import Ledger
from router.sdk.manifest import Idempotency

UNCOMMITTED: Final = 1_000  # outcomes that may wait for their commit before slots pause


@dataclass(slots=True)
class Outcome:
    """A change to commit, the head it changes, and what came of the call (None: a mark before a call)."""

    owned: Owned
    head: Delivery
    transition: Transition
    called: Called | None = None
    marked: asyncio.Future[bool] | None = None


class Desk(Protocol):
    """Where slots leave outcomes; ``may_call`` says whether a call of this shard may start at this moment."""

    def leave(self, outcome: Outcome) -> None:
        """Take an outcome for the next commit."""
        ...

    def may_call(self, owned: Owned) -> bool:
        """Whether lease and recipient allow a call to start now."""
        ...


class Dispatcher:
    """The slots of all recipients of this process."""

    def __init__(self, ledger: Ledger, kit: Kit, desk: Desk) -> None:
        self._ledger, self._kit, self._desk = ledger, kit, desk
        self._shards: dict[str, deque[Owned]] = {}
        self._slots: list[asyncio.Task[None]] = []
        self._stopping = False
        self.calling = 0
        self.uncommitted = 0

    def start(self, recipients: Iterable[Recipient]) -> None:
        """Open the slots. The last ``urgent_reserved`` ones of a recipient serve urgent lanes only."""
        for recipient in recipients:
            self._shards.setdefault(recipient.id, deque())
            reserved = min(recipient.manifest.limits.urgent_reserved, recipient.concurrency - 1)
            for slot in range(recipient.concurrency):
                urgent_only = slot >= recipient.concurrency - reserved
                self._slots.append(asyncio.create_task(self._slot(recipient, urgent_only=urgent_only)))

    def add(self, owned: Owned) -> None:
        """A shard was taken over."""
        self._shards.setdefault(owned.shard.recipient, deque()).append(owned)

    def remove(self, owned: Owned) -> None:
        """A shard was lost, or is read again."""
        shards = self._shards[owned.shard.recipient]
        self._shards[owned.shard.recipient] = deque(other for other in shards if other is not owned)

    async def stop(self, grace: float) -> bool:
        """Start no call; let running ones end within ``grace`` seconds. True if none was cut off."""
        self._stopping = True
        for slot in self._slots:
            slot.cancel() if self.calling == 0 else None
        if self.calling:
            await asyncio.wait(self._slots, timeout=grace)
        clean = self.calling == 0
        for slot in self._slots:
            slot.cancel()
        await asyncio.gather(*self._slots, return_exceptions=True)
        return clean

    async def _slot(self, recipient: Recipient, *, urgent_only: bool) -> None:
        while not self._stopping:
            found = self._take(recipient, urgent_only=urgent_only)
            if found is None:
                recipient.wake.clear()
                await recipient.wake.wait()
                continue
            await self._serve(recipient, *found)

    def _take(self, recipient: Recipient, *, urgent_only: bool) -> tuple[Owned, Delivery] | None:
        """The next head of any of the recipient's shards, in turn."""
        if self.uncommitted >= UNCOMMITTED or not recipient.health.may_call:
            return None
        shards = self._shards[recipient.id]
        now = self._kit.clock.now()
        for _ in range(len(shards)):
            owned = shards[0]
            shards.rotate(-1)
            if owned.lanes is None or not self._desk.may_call(owned):
                continue
            head = owned.lanes.take(now, urgent_only=urgent_only)
            if head is not None:
                owned.flying += 1
                return owned, head
        return None

    async def _serve(self, recipient: Recipient, owned: Owned, head: Delivery) -> None:
        self.calling += 1
        try:
            if recipient.limiter is not None:
                await recipient.limiter.acquire()
            await self._call(recipient, owned, head)
        except NotStarted:
            self._give_back(owned, head)
        finally:
            self.calling -= 1

    async def _call(self, recipient: Recipient, owned: Owned, head: Delivery) -> None:
        work = work_of(recipient, head)
        body = head.body or await self._body(owned, head)
        if head.state is State.CALLING:
            called = await resume(self._kit, recipient, work, body)
        else:
            if work.operation.idempotency is not Idempotency.NATURAL_KEY and not await self._mark(
                owned, head, mark_of(work, self._kit.clock.now())
            ):
                return  # the shard is not ours any more, or is being read again
            called = await call(self._kit, recipient, work, body, lambda: self._desk.may_call(owned))
        called.transition.emissions = emissions_of(self._kit, owned.shard, head, body, called)
        self.uncommitted += 1
        self._desk.leave(Outcome(owned, head, called.transition, called))

    async def _mark(self, owned: Owned, head: Delivery, transition: Transition) -> bool:
        """Record durably that a call is about to start; whether that was committed."""
        marked: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._desk.leave(Outcome(owned, head, transition, marked=marked))
        return await marked

    async def _body(self, owned: Owned, head: Delivery) -> Body:
        bodies = await self._ledger.read(lambda conn: store.bodies(conn, owned.shard.id, [head.seq]))
        return bodies[head.seq]

    def _give_back(self, owned: Owned, head: Delivery) -> None:
        if head.state is State.CALLING:  # marked, and then not called: say so, or a successor would ask in vain
            undo = Transition(
                head.shard, head.seq, head.version, State.WAITING, None, head.attempts, head.spent,
                head.first_at, head.last_at, head.failure, head.receipt, head.order_id,
            )  # fmt: skip
            self._desk.leave(Outcome(owned, head, undo, marked=asyncio.get_running_loop().create_future()))
        else:
            owned.flying -= 1
            if owned.lanes is not None:
                owned.lanes.returned(head.key)
