"""What operators can ask and order: the application service behind the command line and any console.

Questions read the ledger. Orders are rows that the owner of the shard applies; their answer is waited for.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from router.delivery.accept import identity_of
from router.errors import OrderRefused
from router.events import LONGEST_VALUE, ROUTER
from router.ledger import alerts, audit, conflicts, dead_letters, query, recipients, registry, store
from router.ledger.conflicts import Conflict
from router.ledger.dead_letters import CauseGroup, DeadFilter
from router.ledger.holds import Hold, current_holds
from router.ledger.query import Backlog, Named
from router.ledger.registry import InForce
from router.ledger.rows import (
    Attempt,
    Body,
    Delivery,
    Order,
    RecipientState,
    Shard,
    Verb,
    shard_lease,
)
from router.lock import DirectoryLock
from router.placing import ANSWER_PAUSE, Answer, Placing
from router.ports import Clock, Ledger
from router.replay.edits import within_limit

if TYPE_CHECKING:
    from sqlalchemy import Connection


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


class Operations:
    """``check`` refuses a corrected body that breaks schema or contract of its event type, with ``OrderRefused``.
    ``configured`` are the recipients whose topics somebody reads (None: all that the ledger knows). ``lock``,
    ``lease_seconds`` and ``answer_every`` are those of ``Placing``.
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
    ) -> None:
        self._ledger, self._clock, self._check, self._configured = ledger, clock, check, configured
        self._placing = Placing(ledger, clock, lock, lease_seconds=lease_seconds, answer_every=answer_every)

    # Questions

    async def status(self) -> Status:
        """Backlogs, recipients' states, and what has not left yet."""
        return await self._ledger.read(_status)

    async def dead(self, wanted: DeadFilter, limit: int) -> list[Named]:
        """Dead letters, newest first. Raises ``OrderRefused`` for a recipient that is not known."""
        if wanted.recipient:
            await self._require_recipient(wanted.recipient, local=True)
        return await self._ledger.read(lambda conn: dead_letters.listed(conn, wanted, limit=limit))

    async def dead_groups(self, wanted: DeadFilter) -> list[CauseGroup]:
        """Dead letters by cause. Raises ``OrderRefused`` for a recipient that is not known."""
        if wanted.recipient:
            await self._require_recipient(wanted.recipient, local=True)
        return await self._ledger.read(lambda conn: dead_letters.groups(conn, wanted))

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
        return await self._placing.place(order, place)

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
            await self._placing.place(
                Order(place.lease, Verb.RECALCULATE, who, why, recipient=recipient, args=args), place
            )
            for place in sorted(places, key=lambda each: each.partition)
        ]

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
        return await self._placing.place(order, place)

    async def _on_recipient(self, recipient: str, verb: Verb, who: str, why: str) -> Answer:
        await self._require_recipient(recipient)
        order = Order(lease=shard_lease(recipient, 0), verb=verb, who=who, why=why, recipient=recipient)
        return await self._placing.place(order, None)

    async def _require_recipient(self, recipient: str, *, local: bool = False) -> None:
        known = {place.recipient for place in await self._ledger.read(store.shards)} - (set() if local else {ROUTER})
        if recipient not in known:
            raise OrderRefused(f"there is no recipient {recipient} (known: {', '.join(sorted(known))})")


def _status(conn: Connection) -> Status:
    states = {state.recipient: state for state in recipients.recipient_states(conn)}
    rows, events = query.unsettled(conn)
    return Status(
        query.backlogs(conn), states, current_holds(conn), rows, events, len(alerts.open_alerts(conn)),
        registry.version(conn), registry.all_in_force(conn), conflicts.counted(conn),
        dead_letters.owner_conflicts(conn),
    )  # fmt: skip
