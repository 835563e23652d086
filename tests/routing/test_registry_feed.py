"""The change feed: records in, registry in the ledger; orders judged one by one; what cannot be read."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from router.bus.memory import MemoryBus
from router.codec import Codec, PackagedSchemas
from router.events import AGENCY_TOPIC, LGSP_ORDER, LGSP_WHO, LGSP_WHY, TopicPartition
from router.ledger import alerts, audit, leases, orders, outbox, registry
from router.ledger.registry import LEASE
from router.ledger.rows import Lease, Order, Verb
from router.ledger.tables import audit as audit_table
from router.ports import Bus, Ledger, TopicSpec
from router.routing.agencies import Agency, Code, Directory, Entry
from router.routing.live_routes import StoredRegistry
from router.routing.registry_feed import HALTED, REFUSED, RegistryFeed
from router.routing.registry_records import record_of
from router.sdk.records import reference
from router.sdk.testing.clock import ManualClock
from tests.ledger.harness import in_memory
from tests.routing.registries import entries

PARTITIONS = 2
CODEC = Codec(PackagedSchemas())
SO = Entry(Agency("so", "Sở Tài nguyên và Môi trường", "department"), (Code("H39.16", "so"),))


class Place(NamedTuple):
    bus: Bus
    ledger: Ledger
    feed: RegistryFeed
    lease: Lease

    async def publish(self, *records: tuple[bytes, bytes], partition: int = 0, headers=()) -> None:
        publisher = await self.bus.publisher()
        batch = [(key, value, list(headers)) for key, value in records]
        await publisher.publish({TopicPartition(AGENCY_TOPIC, partition): batch})

    async def settle(self) -> None:
        """Work until there is nothing to do, publishing the outbox as delivery does."""
        while await self.feed.turn(self.lease) or await self.publish_outbox():
            pass

    async def publish_outbox(self) -> bool:
        rows = await self.ledger.read(lambda conn: outbox.pending(conn, [LEASE], 100))
        publisher = await self.bus.publisher()
        for _, row in rows:
            target = TopicPartition(row.topic, row.partition)
            await publisher.publish({target: [(row.key, row.value, row.headers)]})
        await self.ledger.write(lambda conn: outbox.published(conn, [number for number, _ in rows]))
        return bool(rows)

    async def order(self, *wanted: Entry, seen: int = 0, deleted: bool = False, **changed) -> int:
        records = [record_of(entry, deleted=deleted).model_dump(mode="json") for entry in wanted]
        args = {"records": records, "versions": {r["agency_id"]: seen for r in records}, **changed}
        order = Order(LEASE, Verb.CHANGE_AGENCIES, "Lê Thị Hoa", "NQ 202/2025/QH15", recipient="agencies", args=args)
        return await self.ledger.write(lambda conn: orders.place(conn, order, now=1))

    async def result(self, order_id: int):
        return await self.ledger.read(lambda conn: orders.result(conn, order_id))

    async def open_alerts(self) -> list[tuple[str, str]]:
        return [(alert.name, alert.subject) for alert in await self.ledger.read(alerts.open_alerts)]

    async def names(self) -> dict[str, str]:
        found = await self.ledger.read(lambda conn: registry.changed_since(conn, 0, 1000))
        return {one.agency: one.record["name"] for one in found if not one.deleted}


@asynccontextmanager
async def working() -> AsyncIterator[Place]:
    clock = ManualClock(flows=True)
    bus = MemoryBus(clock)
    await bus.create([TopicSpec(AGENCY_TOPIC, PARTITIONS)])
    async with in_memory() as ledger:
        await ledger.write(lambda conn: leases.ensure(conn, [LEASE]))
        lease = await ledger.write(lambda conn: leases.take(conn, LEASE, "me", 0))
        assert lease is not None
        yield Place(bus, ledger, feed_of(bus, ledger, clock), lease)


def feed_of(bus: Bus, ledger: Ledger, clock: ManualClock) -> RegistryFeed:
    return RegistryFeed(bus, ledger, clock, partitions=PARTITIONS, decode=CODEC.decode, encode=CODEC.encode)


@pytest.fixture
async def place() -> AsyncIterator[Place]:
    async with working() as made:
        yield made


def payload(entry: Entry, *, deleted: bool = False) -> tuple[bytes, bytes]:
    value = CODEC.encode("reference.agency_changed", record_of(entry, deleted=deleted).model_dump())
    return entry.agency.id.encode(), value


async def test_a_record_becomes_the_registry_with_who_sent_it(place):
    await place.publish(payload(SO), partition=1, headers=[("ce_source", b"truc-vxp")])
    await place.settle()
    found = await StoredRegistry(place.ledger).look()
    assert found is not None
    assert found.version == "1"
    assert found.entries() == {"so": SO}
    (change,) = await place.ledger.read(lambda conn: registry.history(conn, ["so"]))
    assert (change.who, change.why, change.order_id) == ("truc-vxp", "", 0)


async def test_what_a_national_directory_says_beside_is_kept_with_the_change(place):
    said = {"directory_version": 41, "modified_at": datetime(2025, 6, 30, 17, tzinfo=UTC), "is_agency": True,
            "center_code": "H53"}  # fmt: skip
    record = record_of(SO).model_dump() | said
    await place.publish((b"so", CODEC.encode("reference.agency_changed", record)))
    await place.settle()
    (stored,) = await place.ledger.read(lambda conn: registry.changed_since(conn, 0, 10))
    kept = reference.Agency.model_validate(stored.record)
    assert {name: getattr(kept, name) for name in said} == said
    directory = Directory(41, said["modified_at"], True, "H53")
    entry = SO._replace(agency=replace(SO.agency, directory=directory))
    assert (await StoredRegistry(place.ledger).look()).entries() == {"so": entry}


async def test_an_order_goes_out_over_the_topic_before_it_is_in_the_registry_and_is_audited(place):
    order_id = await place.order(SO)
    assert await place.feed.turn(place.lease)
    assert (await place.result(order_id)).applied
    assert await place.names() == {}
    await place.settle()
    assert await place.names() == {"so": SO.agency.name}
    reader = await place.bus.reader("test")
    await reader.set({TopicPartition(AGENCY_TOPIC, 0): 0})
    ((record,),) = (await reader.next(10, 0)).values()
    told = dict(record.headers)
    assert (record.key, told[LGSP_WHO].decode(), told[LGSP_WHY].decode()) == (b"so", "Lê Thị Hoa", "NQ 202/2025/QH15")
    assert told[LGSP_ORDER] == str(order_id).encode()
    rows = await place.ledger.read(lambda conn: conn.execute(audit_table.select()).all())
    assert [(r.who, r.verb, r.target, r.why) for r in rows] == [
        ("Lê Thị Hoa", "change_agencies", "agencies", "NQ 202/2025/QH15")
    ]
    assert await place.ledger.read(audit.broken) is None


async def test_of_two_who_change_one_agency_the_second_is_told_so_even_before_the_first_has_arrived(place):
    first, second = await place.order(SO), await place.order(SO._replace(codes=()))
    await place.settle()
    assert (await place.result(first)).applied
    refused = await place.result(second)
    assert not refused.applied
    assert "somebody else meanwhile: so" in refused.text
    assert (await StoredRegistry(place.ledger).look()).entries() == {"so": SO}


async def test_an_order_that_makes_no_agency_is_refused_and_the_next_one_done(place):
    bad = await place.order(SO, records=[{"agency_id": "so", "name": "", "status": "ACTIVE"}])
    worse = await place.order(SO, records=[{"nothing": 1}])
    good = await place.order(SO)
    await place.settle()
    assert "name is empty" in (await place.result(bad)).text
    assert not (await place.result(worse)).applied
    assert (await place.result(good)).applied


async def test_a_removal_is_a_tombstone_whoever_sends_it_and_keeps_what_the_agency_was(place):
    other = SO._replace(agency=Agency("xa", "Xã Bến Lức", "commune"))
    await place.publish(payload(SO), payload(other), payload(SO, deleted=True), (b"xa", b""), (b"never", b""))
    await place.settle()
    assert await place.names() == {}
    found = await place.ledger.read(lambda conn: registry.stored(conn, ["so", "xa", "never"]))
    assert {name: (one.deleted, one.record["name"]) for name, one in found.items()} == {
        "so": (True, SO.agency.name),
        "xa": (True, "Xã Bến Lức"),
    }


@pytest.mark.parametrize(
    "record", [(b"so", b"not avro"), (b"other", payload(SO)[1]), (b"so", payload(SO)[1][:-3])], ids=str
)
async def test_what_cannot_be_applied_is_an_alert_and_holds_nothing_up(place, record):
    xa = Entry(Agency("xa", "Xã", "commune"))
    await place.publish(record, payload(xa))
    await place.settle()
    assert await place.names() == {"xa": "Xã"}
    assert await place.open_alerts() == [(REFUSED, record[0].decode())]
    await place.publish((record[0], payload(Entry(Agency(record[0].decode(), "Sửa", "commune")))[1]))
    await place.settle()
    assert await place.open_alerts() == []


async def test_a_schema_not_known_here_is_waited_for(place):
    await place.publish(payload(SO), (b"xa", b"\xc3\x01" + b"\x07" * 8 + b"later"), payload(SO._replace(codes=())))
    await place.settle()
    await place.settle()
    assert (await StoredRegistry(place.ledger).look()).entries() == {"so": SO}
    assert await place.open_alerts() == [(HALTED, AGENCY_TOPIC)]
    assert await place.ledger.read(registry.positions) == {0: 1}


async def test_a_topic_that_was_made_anew_stops_the_feed_with_an_alert(place):
    await place.publish(payload(SO), payload(SO._replace(codes=())))
    await place.settle()
    anew = MemoryBus(ManualClock(flows=True))
    await anew.create([TopicSpec(AGENCY_TOPIC, PARTITIONS)])
    feed = feed_of(anew, place.ledger, ManualClock(flows=True))
    assert not await feed.turn(place.lease)
    assert await place.open_alerts() == [(HALTED, AGENCY_TOPIC)]


async def test_an_owner_that_has_lost_the_lease_applies_and_answers_nothing(place):
    await place.ledger.write(lambda conn: leases.take(conn, LEASE, "another", place.lease.epoch))
    order_id = await place.order(SO)
    await place.feed.turn(place.lease)
    assert await place.result(order_id) is None
    await place.publish(payload(SO))
    await place.feed.turn(place.lease)
    assert (await place.ledger.read(registry.version), await place.ledger.read(registry.positions)) == (0, {})


@given(st.lists(entries(), min_size=1, max_size=4), st.integers(0, 3))
@settings(max_examples=15, deadline=None)
async def test_whatever_is_sent_and_however_often_the_registry_is_the_newest_of_each(states, restart):
    """Also when the reader begins anew, and when it is read by two who follow in steps of their own."""
    async with working() as place:
        slow, wanted = StoredRegistry(place.ledger), {}
        feed = place.feed
        for number, state in enumerate(states):
            wanted.update(state)
            await place.publish(*map(payload, state.values()), *map(payload, state.values()))
            if number == restart:
                await feed.rest()
            while await feed.turn(place.lease):
                await slow.look()
        found = await slow.look()
        assert (found.entries() if found is not None else {}) == wanted
        assert int(found.version if found is not None else 0) == await place.ledger.read(registry.version)
