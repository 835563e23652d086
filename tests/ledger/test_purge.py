"""A purge among others: orders that restore, a second purge, a month that is cut already."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from sqlalchemy import make_url, select, text
from sqlalchemy.ext.asyncio import create_async_engine

from router.delivery.single import single_handed
from router.errors import LeaseLost, OrderRefused
from router.ledger import leases, purge, store
from router.ledger.postgres import asyncpg_url
from router.ledger.rows import Lease, State, Transition
from router.ledger.tables import seen
from router.sdk.testing.clock import ManualClock
from tests.ledger.harness import DAY, NOW, RECIPIENT, SECOND, accept, arrival, change, delivery, opened, purged

LENGTH = 15.0
BLOCKED = text("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'")


@pytest.mark.postgres
async def test_what_is_restored_while_a_purge_is_under_way_stays_whole(postgres_url: str) -> None:
    engine = create_async_engine(asyncpg_url(make_url(postgres_url)))
    async with opened(postgres_url, ManualClock(flows=True)) as ledger:
        await ledger.write(lambda conn: store.register_shards(conn, RECIPIENT, 1))
        await accept(ledger, arrival(0), arrival(1))
        for seq in (1, 2):
            await change(ledger, seq, State.DISCARDED, last_at=NOW)
        async with engine.connect() as owner, engine.connect() as looking:
            await owner.run_sync(store.apply, [Transition(1, 1, 2, State.DEAD, last_at=NOW)])
            purging = asyncio.create_task(purged(ledger, before=NOW + DAY))
            while not purging.done() and not (await looking.execute(BLOCKED)).scalar_one():
                await asyncio.sleep(0)
                await looking.rollback()
            await owner.commit()
            assert (await purging)["deliveries"] == 1
        assert (await delivery(ledger, 1)).state is State.DEAD
        assert (await ledger.read(lambda conn: store.bodies(conn, 1, [1, 2]))).keys() == {1}
    await engine.dispose()


async def test_a_purge_that_lost_its_lease_removes_nothing_more(ledger) -> None:
    await accept(ledger, arrival(0))
    await change(ledger, 1, State.DELIVERED, last_at=NOW)

    async def turn() -> Lease:
        return Lease(purge.LEASE, 1)

    await ledger.write(lambda conn: leases.ensure(conn, [purge.LEASE]))
    await ledger.write(lambda conn: leases.take(conn, purge.LEASE, "first", 0))
    await ledger.write(lambda conn: leases.take(conn, purge.LEASE, "second", 1))
    with pytest.raises(LeaseLost):
        await purge.purge(ledger, turn, before=NOW + DAY, now=NOW + DAY, window=0, identity_of=lambda s, e: s + e)
    assert (await delivery(ledger, 1)).state is State.DELIVERED


async def test_a_month_that_is_cut_is_not_looked_through_again(ledger, monkeypatch) -> None:
    await accept(ledger, arrival(0))
    await change(ledger, 1, State.DELIVERED, last_at=NOW)
    later = (NOW // store.MONTH + 2) * store.MONTH
    assert await purged(ledger, before=later, window=0) == {"deliveries": 1, "recognition": 1}
    await accept(ledger, arrival(1), now=later)
    with monkeypatch.context() as nothing_read:
        nothing_read.setattr(purge, "_recognition", None)
        await purged(ledger, before=later + store.MONTH - SECOND, window=0)
    await change(ledger, 2, State.DELIVERED, last_at=later)
    assert (await purged(ledger, before=later + 2 * store.MONTH, window=0))["recognition"] == 1
    assert await ledger.read(lambda conn: conn.execute(select(seen.c.seq)).all()) == []


class Passing(ManualClock):
    """Time passes by sleeping, and whoever goes on beating does so at each pause."""

    def __init__(self) -> None:
        super().__init__(flows=True)
        self.beating: list[Callable[[], Awaitable[object]]] = []

    async def sleep(self, seconds: float) -> None:
        for beat in self.beating:
            await beat()
        await super().sleep(seconds)


def alone(ledger, clock, process):
    return single_handed(ledger, clock, process, purge.LEASE, lease_seconds=LENGTH)


async def test_of_two_purges_at_once_the_second_is_refused_and_may_come_afterwards(bare) -> None:
    clock = Passing()
    async with alone(bare, clock, "first") as first:
        held = await first()
        clock.beating = [first]
        with pytest.raises(OrderRefused, match="another purge"):
            async with alone(bare, clock, "second"):
                pass
        assert await first() == held
    async with alone(bare, clock, "third") as third:
        assert (await third()).epoch == held.epoch + 1


async def test_a_purge_that_was_killed_is_waited_for_and_its_lease_taken(bare) -> None:
    clock = Passing()
    killed = await alone(bare, clock, "first").__aenter__()
    held = await killed()
    async with alone(bare, clock, "second") as second:
        assert (await second()).epoch == held.epoch + 1
    with pytest.raises(LeaseLost):
        await killed()
