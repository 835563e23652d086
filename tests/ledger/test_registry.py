"""The registry in the ledger, on each kind: a version that rises, tombstones, history, one reader of the feed."""

from __future__ import annotations

import pytest

from router.errors import StalePosition
from router.ledger import leases, registry
from router.ledger.registry import Incoming, InForce
from tests.ledger.harness import NOW


def named(agency: str, name: str, *, deleted: bool = False, order_id: int = 0) -> Incoming:
    record = {"agency_id": agency, "name": name, "deleted": deleted}
    return Incoming(agency, record, deleted, "Lê Thị Hoa", "NQ 202/2025/QH15", order_id, NOW - 5)


async def applied(ledger, *found: Incoming, move: tuple[int, int], partition: int = 0) -> list[Incoming]:
    return await ledger.write(lambda conn: registry.apply(conn, found, {partition: move}, now=NOW))


async def test_every_change_raises_the_version_and_is_kept_with_who_and_why(bare):
    assert await bare.read(registry.version) == 0
    await applied(bare, named("so", "Sở TNMT"), named("xa", "Xã Bến Lức"), move=(0, 2))
    await applied(bare, named("so", "Sở NNMT", order_id=7), move=(2, 3))
    assert await bare.read(registry.version) == 3
    stored = await bare.read(lambda conn: registry.stored(conn, ["so", "xa", "none"]))
    assert {name: (one.version, one.record["name"]) for name, one in stored.items()} == {
        "so": (3, "Sở NNMT"),
        "xa": (2, "Xã Bến Lức"),
    }
    first, second = await bare.read(lambda conn: registry.history(conn, ["so"]))
    assert (first.version, first.record["name"], first.order_id) == (1, "Sở TNMT", 0)
    assert (second.version, second.who, second.why) == (3, "Lê Thị Hoa", "NQ 202/2025/QH15")
    assert (second.published_at, second.applied_at) == (NOW - 5, NOW)
    assert await bare.read(lambda conn: registry.applied_by(conn, 7)) == [3]


async def test_a_repetition_raises_nothing_and_moves_the_position(bare):
    await applied(bare, named("so", "Sở"), move=(0, 1))
    assert await applied(bare, named("so", "Sở"), named("so", "Sở"), move=(1, 3)) == []
    assert (await bare.read(registry.version), await bare.read(registry.positions)) == (1, {0: 3})


async def test_a_removed_agency_stays_as_its_tombstone_and_may_come_back(bare):
    await applied(bare, named("xa", "Xã"), named("xa", "Xã", deleted=True), move=(0, 2))
    (tombstone,) = await bare.read(lambda conn: registry.changed_since(conn, 0, 10))
    assert (tombstone.version, tombstone.deleted, tombstone.record["name"]) == (2, True, "Xã")
    await applied(bare, named("xa", "Xã mới"), move=(2, 3))
    assert [one.deleted for one in await bare.read(lambda conn: registry.history(conn, ["xa"]))] == [False, True, False]


async def test_what_changed_since_a_version_comes_in_pages_by_version(bare):
    await applied(bare, *(named(f"a{n}", "A") for n in range(5)), named("a0", "B"), move=(0, 6))
    page = await bare.read(lambda conn: registry.changed_since(conn, 2, 2))
    assert [(one.agency, one.version) for one in page] == [("a2", 3), ("a3", 4)]
    rest = await bare.read(lambda conn: registry.changed_since(conn, page[-1].version, 10))
    assert [(one.agency, one.version) for one in rest] == [("a4", 5), ("a0", 6)]


async def test_a_second_reader_of_the_feed_changes_nothing(bare):
    await applied(bare, named("so", "Sở"), move=(0, 1), partition=3)
    with pytest.raises(StalePosition, match="3/1, not 0"):
        await applied(bare, named("so", "other"), move=(0, 1), partition=3)
    assert await bare.read(registry.version) == 1


async def test_what_a_process_routes_by_is_seen_while_it_lives(bare):
    await bare.write(lambda conn: registry.put_in_force(conn, InForce("p1", "abc", "17", NOW)))
    assert await bare.read(registry.all_in_force) == []  # no process of this name beats
    await bare.write(lambda conn: leases.beat(conn, "p1", 1))
    await bare.write(lambda conn: registry.put_in_force(conn, InForce("p1", "abc", "18", NOW + 1)))
    assert await bare.read(registry.all_in_force) == [InForce("p1", "abc", "18", NOW + 1)]
    await bare.write(lambda conn: leases.forget(conn, "p1", now=9))
    await bare.write(lambda conn: leases.beat(conn, "p1", 2))
    assert await bare.read(registry.all_in_force) == []
