"""The registry's change feed: agency records on a compacted topic, applied to the ledger in their order.

Whoever holds the lease ``registry`` reads the topic from the position that the ledger keeps, applies what it finds and
moves the position in one fenced transaction. What people order becomes records of the topic through the outbox of that
lease, one order at a time and only when everything before it is applied: so an order is judged by the registry it was
made for. All of ours go to partition 0: changes of different agencies keep their order. Other sources may use any.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from pydantic import ValidationError

from router.errors import MalformedPayload, PositionOutOfRange, UnknownSchema
from router.events import (
    AGENCY_TOPIC,
    CE_ID,
    CE_SOURCE,
    CE_SPECVERSION,
    CE_SUBJECT,
    CE_TYPE,
    LGSP_ORDER,
    LGSP_WHO,
    LGSP_WHY,
    Fetched,
    TopicPartition,
    derived_id,
    text_header,
)
from router.ledger import alerts, orders, outbox, registry, store
from router.ledger.registry import LEASE, Incoming
from router.ledger.rows import Emission, Lease, Order, OrderResult
from router.ports import Bus, Clock, Ledger, Reader
from router.routing.registry_records import entry_of
from router.sdk.records import reference

if TYPE_CHECKING:
    from sqlalchemy import Connection

GROUP: Final = "lgsp-registry"
EVENT_TYPE: Final = "reference.agency_changed"
SOURCE: Final = "lgsp-agencies"
PAGE: Final = 500
PATIENCE: Final = 0.2  # seconds a turn waits for records
REFUSED: Final = "registry_change_refused"  # an alert: a record that cannot be applied; it stays on the topic
HALTED: Final = "registry_feed_halted"  # an alert: the feed cannot be read on from where the registry stands


class _Read(NamedTuple):
    """A page of the feed: what can be applied, what cannot and why, and how the positions move."""

    found: list[Incoming]
    refused: list[tuple[str, str]]
    moves: dict[int, tuple[int, int]]
    halted: str


class RegistryFeed:
    """Works under the lease ``registry``; its outbox rows belong to that lease. ``told`` hears of alerts (name,
    subject, detail), for the log.
    """

    def __init__(
        self,
        bus: Bus,
        ledger: Ledger,
        clock: Clock,
        *,
        partitions: int,
        decode: Callable[[bytes], Mapping[str, Any]],
        encode: Callable[[str, Mapping[str, Any]], bytes],
        told: Callable[[str, str, str], None] = lambda _name, _subject, _detail: None,
    ) -> None:
        self._bus, self._ledger, self._clock, self._partitions = bus, ledger, clock, partitions
        self._decode, self._encode, self._alert_told = decode, encode, told
        self._reader: Reader | None = None
        self._positions: dict[int, int] = {}

    async def turn(self, lease: Lease) -> bool:
        """Apply one page of the feed, or one order when there is none; whether there was anything.

        Raises ``BusError``, ``LedgerError``: nothing of the turn is lost, the next one reads on from the ledger.
        """
        try:
            read = await self._next(lease)
        except BaseException:
            await self.rest()
            raise
        if read.moves or read.halted:
            await self._apply(lease, read)
            return bool(read.moves)
        if await self._behind():
            return False
        return await self._ledger.write(lambda conn: self._one_order(conn, lease))

    async def rest(self) -> None:
        """The lease is somebody else's, or the turn failed: the next one begins at what the ledger says."""
        reader, self._reader = self._reader, None
        if reader is not None:
            await reader.close()

    async def _next(self, lease: Lease) -> _Read:
        if self._reader is None:
            stored = await self._ledger.read(registry.positions)
            self._positions = {number: stored.get(number, 0) for number in range(self._partitions)}
            self._reader = await self._bus.reader(GROUP)
            await self._reader.set({TopicPartition(AGENCY_TOPIC, n): at for n, at in self._positions.items()})
        try:
            pages = await self._reader.next(PAGE, PATIENCE)
        except PositionOutOfRange as error:
            return _Read([], [], {}, str(error))
        read = _Read([], [], {}, "")
        for partition, records in pages.items():
            number = partition[1]
            end = before = self._positions[number]
            for record in records:
                halted = self._take(record, read)
                if halted:
                    read = read._replace(halted=halted)
                    break
                end = record.offset + 1
            if end != before:
                read.moves[number] = (before, end)
        return read

    def _take(self, record: Fetched, read: _Read) -> str:
        """Add a record to what was read; why the feed must wait before it, if so."""
        key = (record.key or b"").decode("utf-8", "replace")
        place = f"{record.topic}/{record.partition}/{record.offset}"
        try:
            content = self._content(record, key)
        except UnknownSchema as error:
            return f"{place}: {error}"
        except (MalformedPayload, ValueError) as error:
            read.refused.append((key or place, f"{place}: {_plain(error)}"))
            return ""
        if content is not None:
            read.found.append(content)
        return ""

    def _content(self, record: Fetched, key: str) -> Incoming | None:
        bare = Incoming(
            key,
            {},
            deleted=True,
            who=text_header(record.headers, LGSP_WHO) or text_header(record.headers, CE_SOURCE),
            why=text_header(record.headers, LGSP_WHY),
            order_id=int(text_header(record.headers, LGSP_ORDER, "0")),
            published_at=record.timestamp * 1000,
        )
        if not record.value:  # a tombstone as Kafka has them: what it was is known to the registry alone
            return bare if key else None
        agency = reference.Agency.model_validate(self._decode(record.value))
        if key != agency.agency_id:
            raise ValueError(f"the key is not the agency's id {agency.agency_id!r}")
        entry_of(agency)
        return bare._replace(record=agency.model_dump(mode="json"), deleted=agency.deleted)

    async def _apply(self, lease: Lease, read: _Read) -> None:
        def apply(conn: Connection) -> bool:
            if not store.fence(conn, [lease]):
                return False
            now = self._clock.now()
            registry.apply(conn, _with_last_state(conn, read.found), read.moves, now=now)
            for subject, detail in read.refused:
                alerts.raise_alert(conn, REFUSED, subject, detail, now=now)
            for one in read.found:
                alerts.clear_alert(conn, REFUSED, one.agency, now=now)
            if read.halted:
                alerts.raise_alert(conn, HALTED, AGENCY_TOPIC, read.halted, now=now)
            else:
                alerts.clear_alert(conn, HALTED, AGENCY_TOPIC, now=now)
            return True

        for subject, detail in [*read.refused, *([(AGENCY_TOPIC, read.halted)] if read.halted else [])]:
            self._alert_told(HALTED if subject == AGENCY_TOPIC else REFUSED, subject, detail)
        done = False
        try:
            done = await self._ledger.write(apply)
        finally:
            if not done or read.halted:
                await self.rest()  # positions are read again
        self._positions.update({number: after for number, (_, after) in read.moves.items()})

    async def _behind(self) -> bool:
        """Whether something is on its way that an order must not overtake."""
        waiting = await self._ledger.read(lambda conn: outbox.pending(conn, [LEASE], 1))
        if waiting or self._reader is None:
            return True
        ends = await self._reader.latest(TopicPartition(AGENCY_TOPIC, number) for number in self._positions)
        return any(ends[TopicPartition(AGENCY_TOPIC, n)] > at for n, at in self._positions.items())

    # Orders

    def _one_order(self, conn: Connection, lease: Lease) -> bool:
        """Judge the oldest order: its records go out over the feed, or it is refused. Fenced."""
        found = orders.pending(conn, [LEASE], 1)
        if not found or not store.fence(conn, [lease]):
            return False
        orders.finish(conn, found[0], self._answer(conn, lease, found[0]), now=self._clock.now())
        return True

    def _answer(self, conn: Connection, lease: Lease, order: Order) -> OrderResult:
        versions = {str(agency): int(seen) for agency, seen in order.args["versions"].items()}
        known = registry.stored(conn, versions)
        moved = [a for a, seen in versions.items() if (known[a].version if a in known else 0) != seen]
        if moved:
            some = ", ".join(sorted(moved)[:5])
            return OrderResult(False, f"changed by somebody else meanwhile: {some}; look at the differences again")
        try:
            records = [reference.Agency.model_validate(record) for record in order.args["records"]]
            emissions = [self._emission(order, number, record) for number, record in enumerate(records)]
        except (ValidationError, MalformedPayload, ValueError) as error:
            return OrderResult(False, _plain(error))
        outbox.add(conn, lease.name, emissions)
        return OrderResult(True, f"{len(emissions)} changes are on their way over {AGENCY_TOPIC}")

    def _emission(self, order: Order, number: int, record: reference.Agency) -> Emission:
        entry_of(record)
        headers = [
            (CE_SPECVERSION, b"1.0"),
            (CE_ID, derived_id("registry", order.id, number).encode()),
            (CE_SOURCE, SOURCE.encode()),
            (CE_TYPE, EVENT_TYPE.encode()),
            (CE_SUBJECT, record.agency_id.encode()),
            (LGSP_WHO, order.who.encode()),
            (LGSP_WHY, order.why.encode()),
            (LGSP_ORDER, str(order.id).encode()),
        ]
        value = self._encode(EVENT_TYPE, record.model_dump())
        return Emission(AGENCY_TOPIC, 0, record.agency_id.encode(), value, headers)


def _with_last_state(conn: Connection, found: list[Incoming]) -> list[Incoming]:
    """Tombstones without content keep what the agency was."""
    bare = [one.agency for one in found if not one.record]
    if not bare:
        return found
    known = {name: one.record for name, one in registry.stored(conn, bare).items()}
    filled: list[Incoming] = []
    for one in found:
        record = one.record or known.get(one.agency)
        if record:
            filled.append(one._replace(record={**record, "deleted": one.deleted}))
            known[one.agency] = record
    return filled


def _plain(error: Exception) -> str:
    """An error as one line, without what was given."""
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False, include_input=False)[0]
        return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
    return str(error)
