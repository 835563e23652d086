"""What people ask of the agency registry and have changed in it: the application service behind ``lgsp agencies``.

A change is an order: the owner of the lease ``registry`` judges it and sends it over the feed, so that every process
learns of it. Where no process is alive, that is done here, and the answer says so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Final, NamedTuple

from router.assembly import build_bus, build_codec, build_feed, build_lock, build_registry, topics_of
from router.clock import SystemIds
from router.delivery.outbox import OutboxPublisher
from router.delivery.ownership import DELIVERY, Ownership
from router.errors import OrderRefused
from router.ledger import leases, orders, registry
from router.ledger.registry import LEASE, Changed
from router.ledger.rows import Order, Verb
from router.placing import ANSWER_PATIENCE, answer_to, unanswered, waited
from router.ports import Clock, Ledger
from router.refusals import refused
from router.routing.agencies import Entry, Registry, shared_code
from router.routing.live_routes import StoredRegistry
from router.routing.registry_changes import Change, Kind, changes_between, keeping_directory
from router.routing.registry_records import record_of
from router.settings import Settings

PAGE: Final = 500  # changes in one order
LIVING_PATIENCE: Final = 5.0  # seconds; who has not answered by then may be dead, and the lease tells


class Plan(NamedTuple):
    """What is to be changed, in the order of publication, and the versions of those agencies it was made for."""

    changes: Sequence[Change]
    versions: Mapping[str, int]


class Done(NamedTuple):
    """What came of a plan. ``alone``: no process was alive, it was applied here."""

    orders: Sequence[int]
    version: int
    alone: bool


class Registrar:
    """Works on an installation's open ledger."""

    def __init__(self, settings: Settings, ledger: Ledger, clock: Clock) -> None:
        self._settings, self._ledger, self._clock = settings, ledger, clock

    async def history(self, name: str) -> list[Changed]:
        """All changes of an agency (by id, or by a code it has or had), oldest first."""
        stored = StoredRegistry(self._ledger)
        found = await stored.look()
        holders = [name] if found is None or name in stored.versions else found.holders(name)
        return await self._ledger.read(partial(registry.history, ids=holders))

    async def plan(self, load: Callable[[Registry], Registry], *, part: bool) -> Plan:
        """What differs from the registry that the ledger has. ``load`` reads what is wanted, given the registry in
        force. With ``part`` agencies that it does not name stay; without, they are removed. Raises ``ConfigError``.
        """
        stored = StoredRegistry(self._ledger)
        in_force = await stored.look() or build_registry(self._settings)
        wanted = keeping_directory(in_force.entries(), load(in_force).entries())
        after = {**in_force.entries(), **wanted} if part else wanted
        _require_sound(after)
        changes = changes_between(stored.entries, after)
        return Plan(changes, {c.entry.agency.id: stored.versions.get(c.entry.agency.id, 0) for c in changes})

    async def carry_out(self, plan: Plan, *, who: str, why: str) -> Done:
        """Order what was planned, page by page, and wait until the registry has it. Raises ``OrderRefused``."""
        made: list[int] = []
        alone = False
        for start in range(0, len(plan.changes), PAGE):
            page = plan.changes[start : start + PAGE]
            order_id = await self._place(page, plan.versions, who, why)
            alone = await self._settle_alone(order_id, len(page)) or alone
            answer = await answer_to(self._ledger, self._clock, order_id) or unanswered(order_id)
            if not answer.applied:
                raise OrderRefused(answer.text)
            made.append(order_id)
            await self._wait_applied(order_id, len(page))
        return Done(made, await self._ledger.read(registry.version), alone)

    async def _place(self, page: Sequence[Change], versions: Mapping[str, int], who: str, why: str) -> int:
        records = [record_of(change.entry, deleted=change.kind is Kind.REMOVED) for change in page]
        args = {
            "records": [record.model_dump(mode="json") for record in records],
            "versions": {record.agency_id: versions[record.agency_id] for record in records},
        }
        order = Order(LEASE, Verb.CHANGE_AGENCIES, who, why, recipient="agencies", args=args)
        return await self._ledger.write(lambda conn: orders.place(conn, order, now=self._clock.now()))

    async def _applied(self, order_id: int, wanted: int) -> bool:
        return len(await self._ledger.read(lambda conn: registry.applied_by(conn, order_id))) >= wanted

    async def _wait_applied(self, order_id: int, wanted: int) -> None:
        async def look() -> bool | None:
            return await self._applied(order_id, wanted) or None

        if not await waited(self._clock, look, patience=ANSWER_PATIENCE):
            raise OrderRefused(f"order {order_id} is on its way; the registry does not have all of it yet")

    async def _settle_alone(self, order_id: int, wanted: int) -> bool:
        """Do the owner's work until an order is answered and applied, if there is no owner; whether it was done."""
        embedded = self._settings.embedded
        if not embedded and await self._answered_by_others(order_id):
            return False
        lock = build_lock(self._settings)
        if lock is not None and not lock.try_take():
            return False
        ownership = Ownership(
            self._ledger,
            self._clock,
            str(SystemIds().new()),
            length=self._settings.ledger.lease_seconds,
            exclusive=embedded,
            roles={LEASE},
        )
        try:
            await ownership.beat()
            lease = await ownership.hold(LEASE, LEASE)
            if lease is None:
                return False
            return await self._own(ownership, order_id, wanted)
        finally:
            await ownership.release(clean=True)
            if lock is not None:
                lock.release()

    async def _answered_by_others(self, order_id: int) -> bool:
        """Whether a process answers: one that lives comes round to the feed every second, owning it already or not."""
        processes = await self._ledger.read(leases.processes)
        if not any(DELIVERY in process.roles for process in processes.values()):
            return False
        return await answer_to(self._ledger, self._clock, order_id, patience=LIVING_PATIENCE) is not None

    async def _own(self, ownership: Ownership, order_id: int, wanted: int) -> bool:
        bus = build_bus(self._settings, self._clock)
        await bus.open()
        try:
            if self._settings.embedded:
                await bus.create(topics_of(self._settings))
            feed = build_feed(self._settings, self._clock, bus, self._ledger, build_codec(self._settings))
            outbox = OutboxPublisher(bus, self._ledger, ownership, self._clock, self._settings.bus.partitions)
            deadline = self._clock.monotonic() + ANSWER_PATIENCE
            while self._clock.monotonic() < deadline:
                await ownership.keep()  # a step that took longer than the lease: the beat finds it is still ours
                lease = ownership.held(LEASE)
                if lease is None:
                    break
                await feed.turn(lease)
                await outbox.sweep()
                answer = await self._ledger.read(lambda conn: orders.result(conn, order_id))
                if answer is not None and (not answer.applied or await self._applied(order_id, wanted)):
                    break
            await feed.rest()
            await outbox.close()
        finally:
            await bus.close()
        return True


def _require_sound(entries: Mapping[str, Entry]) -> None:
    """What a file cannot know of by itself when it holds a part only."""
    whole = Registry.of("", entries.values())
    if found := whole.circle():
        raise refused("circle", key="successions", found=found, ways="ways")
    if clash := shared_code(whole.codes()):
        one, other = clash
        raise refused("two_holders", key="codes", found=one.value, one=one.agency, other=other.agency)
    for entry in entries.values():
        named = {entry.agency.parent, *(one.successor for one in entry.successions)} - {""}
        if missing := sorted(named - entries.keys()):
            raise refused("removed", key="agencies", found=entry.agency.id, other=missing[0])
