"""Planning a replay: freeze the list page by page, then let the dry run say of every item what would happen."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from typing import TYPE_CHECKING, Final, Protocol

from router.errors import CodecError, OrderRefused
from router.events import ROUTER
from router.ledger import audit, dead_letters, query, replays, store
from router.ledger.dead_letters import DeadFilter
from router.ledger.query import Named
from router.ledger.replays import Item, ItemState, Replay, ReplayState
from router.ledger.rows import Attempt, Body, Delivery
from router.ports import Clock, Ledger
from router.replay.dryrun import Finding, Subject, examine, is_safe
from router.sdk.manifest import Operation

if TYPE_CHECKING:
    from sqlalchemy import Connection

PAGE: Final = 200
NAMES: Final = "names"  # under it a replay keeps the names asked for, each with shard and seq, in that order
LONGEST: Final = 100_000  # items of one replay

Progress = Callable[[int], None]


class Today(Protocol):
    """What today's release, rules and connectors make of an event, without sending anything."""

    def unreadable(self, body: Body) -> str:
        """Why it cannot be decoded; empty if it can."""
        ...

    def routed_to(self, body: Body) -> Sequence[str]:
        """Where today's rules would send it."""
        ...

    def operation(self, recipient: str, event_type: str) -> Operation | None:
        """The recipient's operation that would serve it."""
        ...

    async def unprepared(self, recipient: str, delivery: Delivery, body: Body) -> str:
        """Why the connector cannot prepare its request; empty if it can."""
        ...


class Planner:
    """Makes replays. Names or a filter say which dead letters; the list does not change any more afterwards.

    What was asked for is stored with the replay before the first item is frozen: a plan that is interrupted anywhere
    can be gone on with.
    """

    def __init__(self, ledger: Ledger, clock: Clock, today: Today) -> None:
        self._ledger, self._clock, self._today = ledger, clock, today

    async def begin(self, plan: Replay, names: Sequence[str]) -> int:
        """Open a replay for freezing; its id. Raises ``OrderRefused`` for a name that cannot be in it."""
        found = {named.name: named for named in [await self._named(name) for name in names]}
        in_order = sorted(found.values(), key=_place)
        by_name = {NAMES: [(named.name, *_place(named)) for named in in_order]} if in_order else {}
        asked = replace(plan, wanted={**plan.wanted, **by_name})
        return await self._ledger.write(partial(replays.create, made=asked))

    async def freeze(self, plan: Replay, progress: Progress) -> None:
        """Freeze page by page, in lane order, from where an interrupted run had come. Raises ``OrderRefused`` for too
        long a list.
        """
        number, shard, seq = await self._ledger.read(partial(replays.last_number, replay_id=plan.id))
        async for found in self._pages(plan, (shard, seq)):
            if number + len(found) > LONGEST:
                raise OrderRefused(f"more than {LONGEST:,} dead letters fit: narrow the filter")
            await self._append(plan.id, number, found)
            number += len(found)
            progress(number)

    async def dry_run(self, plan_id: int, progress: Progress) -> None:
        """Examine every item and open the replay for its start. Can be repeated."""
        plan = await self._ledger.read(partial(replays.load, replay_id=plan_id))
        after, done = 0, 0
        blocked: set[tuple[int, bytes]] = set()  # lanes with an item that will be left out: nothing behind it can go
        while items := await self._ledger.read(partial(replays.page, replay_id=plan_id, after=after, limit=PAGE)):
            judged: list[tuple[Item, Sequence[Finding]]] = []
            for item in items:
                lane = (item.shard, item.key)
                findings = await self._examined(item, plan, behind=lane in blocked)
                judged.append((item, findings))
                if not is_safe(findings) and not plan.wanted.get("include_unsafe"):
                    blocked.add(lane)
            await self._ledger.write(partial(_store_findings, plan_id=plan_id, judged=judged))
            after, done = items[-1].number, done + len(items)
            progress(done)
        await self._ledger.write(partial(_planned, plan=plan, now=self._clock.now()))

    async def _pages(self, plan: Replay, after: tuple[int, int]) -> AsyncIterator[list[Named]]:
        """What was asked for behind a place (shard, seq), page by page."""
        names: Sequence[tuple[str, int, int]] | None = plan.wanted.get(NAMES)
        if names is not None:
            rest = [name for name, *place in names if tuple(place) > after]
            for start in range(0, len(rest), PAGE):
                yield await self._ledger.read(partial(_by_name, names=rest[start : start + PAGE]))
            return
        wanted = wanted_of(plan.wanted)
        while found := await self._ledger.read(partial(dead_letters.in_order, wanted=wanted, after=after, limit=PAGE)):
            yield found
            after = (found[-1].delivery.shard, found[-1].delivery.seq)

    async def _named(self, name: str) -> Named:
        try:
            found = await self._ledger.read(partial(query.find, name=name))
        except ValueError as error:
            raise OrderRefused(str(error)) from None
        if found is None:
            raise OrderRefused(f"there is no delivery {name}")
        place, delivery = found
        other = await self._ledger.read(partial(replays.taken_by, shard_id=place.id, seq=delivery.seq))
        if other is not None:
            raise OrderRefused(f"{name} is in the hands of replay {other} already")
        return Named(name, place.recipient, delivery)

    async def _append(self, plan_id: int, number: int, found: Sequence[Named]) -> None:
        items = [_item(number + n, named) for n, named in enumerate(found, 1)]
        await self._ledger.write(partial(replays.append, replay_id=plan_id, items=items))

    async def _examined(self, item: Item, plan: Replay, *, behind: bool) -> list[Finding]:
        if item.state is not ItemState.WAITING:
            return [Finding("taken", "no", f"đã thuộc lượt gửi lại khác: {item.result}", item.result)]
        recipient = item.name.split("/", 1)[0]
        surroundings = await self._ledger.read(partial(_around, item=item, plan_id=plan.id))
        if surroundings is None:
            return [Finding("gone", "no", "đã bị xóa theo thời hạn", "removed by age")]
        delivery, body, is_head, later_out, attempts = surroundings
        unreadable = "" if recipient == ROUTER else self._today.unreadable(body)
        subject = Subject(
            recipient=recipient,
            delivery=delivery,
            operation=self._today.operation(recipient, delivery.event_type),
            is_head=is_head and not behind,
            later_out=later_out,
            attempts=attempts,
            unreadable=unreadable,
            unprepared="" if unreadable or recipient == ROUTER else await self._prepared(recipient, delivery, body),
            routed_to=self._today.routed_to(body),
        )
        return examine(subject, out_of_order=plan.out_of_order)

    async def _prepared(self, recipient: str, delivery: Delivery, body: Body) -> str:
        try:
            return await self._today.unprepared(recipient, delivery, body)
        except CodecError as error:
            return str(error)


def wanted_of(stored: Mapping[str, object]) -> DeadFilter:
    """The filter that a replay was planned with."""
    known = {name: value for name, value in stored.items() if name in DeadFilter.__dataclass_fields__}
    return DeadFilter(**known)  # type: ignore[arg-type]


def stored_filter(wanted: DeadFilter) -> dict[str, object]:
    """A filter as it is kept: only what restricts."""
    return {name: value for name, value in asdict(wanted).items() if value}


def _item(number: int, named: Named) -> Item:
    delivery = named.delivery
    cause = delivery.failure.cause if delivery.failure else ""
    return Item(
        number=number, shard=delivery.shard, seq=delivery.seq, key=delivery.key, name=named.name,
        version=delivery.version, cause=cause, safe=False,
    )  # fmt: skip


def _place(named: Named) -> tuple[int, int]:
    return named.delivery.shard, named.delivery.seq


def _by_name(conn: Connection, names: Sequence[str]) -> list[Named]:
    """The deliveries of these names; one that was removed by age meanwhile is not there any more."""
    found = [(name, query.find(conn, name)) for name in names]
    return [Named(name, each[0].recipient, each[1]) for name, each in found if each is not None]


def _around(conn: Connection, item: Item, plan_id: int) -> tuple[Delivery, Body, bool, bool, list[Attempt]] | None:
    delivery = store.one(conn, item.shard, item.seq)
    body = store.bodies(conn, item.shard, [item.seq]).get(item.seq)
    if delivery is None or body is None:
        return None
    head = not replays.older_outside(conn, plan_id, item)
    later = store.later_out(conn, item.shard, item.key, item.seq)
    return delivery, body, head, later, list(store.attempts(conn, item.shard, item.seq))


def _planned(conn: Connection, plan: Replay, now: int) -> None:
    if replays.move(conn, plan, ReplayState.PLANNED, now=now):
        detail = {"items": plan.items}
        audit.record(
            conn, now, who=plan.who, verb="replay_plan", target=f"replay/{plan.id}", why=plan.why, detail=detail
        )


def _store_findings(conn: Connection, plan_id: int, judged: Sequence[tuple[Item, Sequence[Finding]]]) -> None:
    for item, findings in judged:
        stored = [finding.stored() for finding in findings]
        replays.judged(conn, plan_id, item.number, safe=is_safe(findings), findings=stored)
