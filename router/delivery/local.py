"""Local recipients: heads of their lanes become effects in the ledger, many lanes at a time, with no call between."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

from router.delivery.calls import Called, Kit, emissions_of
from router.delivery.dispatch import LEDGER_PAUSE, Desk, Outcome
from router.delivery.outcome import Facts, Next, Work, after_call
from router.delivery.shards import Owned
from router.errors import LedgerError, RowRefused
from router.ledger import store
from router.ledger.local import LocalEffect, LocalRecipient, LocalWork
from router.ledger.rows import Body, Delivery, Transition
from router.ports import Ledger
from router.sdk.manifest import Idempotency, Operation, Retry

if TYPE_CHECKING:
    from sqlalchemy import Connection

HEADS_A_TURN: Final = 100
_OPERATION: Final = Operation(name="apply", events=("*",), idempotency=Idempotency.NATURAL_KEY)
_RETRY: Final = Retry(budget=3, unclassified_budget=3, maximal_age=None)


class LocalDispatcher:
    """One task per local recipient."""

    def __init__(self, ledger: Ledger, kit: Kit, desk: Desk, recipients: Mapping[str, LocalRecipient]) -> None:
        self._ledger, self._kit, self._desk, self._recipients = ledger, kit, desk, recipients
        self._shards: dict[str, deque[Owned]] = {name: deque() for name in recipients}
        self._wake = {name: asyncio.Event() for name in recipients}
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begin to work."""
        self._tasks = [asyncio.create_task(self._work(recipient)) for recipient in self._recipients.values()]

    def serves(self, owned: Owned) -> bool:
        """Whether a shard is one of a local recipient."""
        return owned.shard.recipient in self._recipients

    def add(self, owned: Owned) -> None:
        """A shard was taken over."""
        self._shards[owned.shard.recipient].append(owned)

    def remove(self, owned: Owned) -> None:
        """A shard was lost, or is read again."""
        self._shards[owned.shard.recipient].remove(owned)

    def wake(self) -> None:
        """There may be something to do."""
        for event in self._wake.values():
            event.set()

    def check(self) -> None:
        """Raise what a task ended with: without it all events of its recipient would wait for ever."""
        for task in self._tasks:
            if task.done():
                task.result()

    async def stop(self) -> None:
        """End; what was computed and not committed is computed again by whoever is next."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _work(self, recipient: LocalRecipient) -> None:
        shards, wake = self._shards[recipient.id], self._wake[recipient.id]
        while True:
            heads = self._heads(shards)
            if heads:
                await self._turn(recipient, heads)
            else:
                wake.clear()
                await wake.wait()

    async def _turn(self, recipient: LocalRecipient, heads: Sequence[tuple[Owned, Delivery]]) -> None:
        """One batch, of as many shards as have something to do."""
        try:
            works = await self._with_bodies(heads)
            effects = await self._effects(recipient, works)
        except LedgerError:
            for owned, head in heads:
                owned.flying -= 1
                if owned.lanes is not None:
                    owned.lanes.returned(head.key)
            await self._kit.clock.sleep(LEDGER_PAUSE)
            return
        for (owned, _), work, effect in zip(heads, works, effects, strict=True):
            self._desk.leave(self._outcome(owned, work, effect))

    def _heads(self, shards: deque[Owned]) -> list[tuple[Owned, Delivery]]:
        """Of all shards. Another one begins at each turn, so that one with much to do holds no other up for long."""
        heads: list[tuple[Owned, Delivery]] = []
        now = self._kit.clock.now()
        shards.rotate(-1)
        for owned in shards:
            while owned.lanes is not None and len(heads) < HEADS_A_TURN and self._desk.may_call(owned):
                head = None if self._desk.full else owned.lanes.take(now)
                if head is None:
                    break
                owned.flying += 1
                heads.append((owned, head))
        return heads

    async def _with_bodies(self, heads: Sequence[tuple[Owned, Delivery]]) -> list[LocalWork]:
        missing: dict[int, list[int]] = {}
        for owned, head in heads:
            if head.body is None:
                missing.setdefault(owned.shard.id, []).append(head.seq)

        def read(conn: Connection) -> dict[tuple[int, int], Body]:
            of = ((shard, store.bodies(conn, shard, seqs)) for shard, seqs in missing.items())
            return {(shard, seq): body for shard, bodies in of for seq, body in bodies.items()}

        found = await self._ledger.read(read) if missing else {}
        return [LocalWork(owned.shard, head, head.body or found[owned.shard.id, head.seq]) for owned, head in heads]

    async def _effects(self, recipient: LocalRecipient, works: Sequence[LocalWork]) -> list[LocalEffect | Exception]:
        """All at once; if something in it cannot be computed, one by one, so that it stops only its own lane."""
        try:
            return list(await recipient.prepare(works))
        except Exception as error:
            if isinstance(error, LedgerError) and not isinstance(error, RowRefused):
                raise  # of no work in particular
            if len(works) == 1:
                return [error]
            apart = [await self._effects(recipient, [work]) for work in works]
            return [effect for part in apart for effect in part]

    def _outcome(self, owned: Owned, work: LocalWork, effect: LocalEffect | Exception) -> Outcome:
        head, now = work.delivery, self._kit.clock.now()
        if isinstance(effect, LocalEffect):
            following = Next(effect.state, failure=effect.failure, receipt=effect.receipt)
            outcome = effect.failure.outcome if effect.failure else "delivered"
        else:
            facts = Facts(now, now, True, 3, self._kit.ids.jitter())
            following = after_call(Work(owned.shard.recipient, head, _OPERATION, _RETRY), effect, facts)
            outcome = following.failure.outcome if following.failure else "unclassified"
        change = Transition(
            head.shard, head.seq, head.version, following.state, following.due, head.attempts + 1, following.spent,
            head.first_at or now, now, following.failure, following.receipt, head.order_id,
        )  # fmt: skip
        called = Called(change, outcome, following, now)
        change.emissions = emissions_of(self._kit, owned.shard, head, work.body, called)
        if isinstance(effect, LocalEffect):
            change.emissions = [*change.emissions, *effect.emissions]
            change.write = effect.write
        return Outcome(owned, head, change, called)
