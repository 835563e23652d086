"""The fence: a process that lost a shard can change nothing of it, however late it wakes up."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from sqlalchemy import make_url, select
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

from router.errors import LedgerUnavailable
from router.ledger import leases, store
from router.ledger.postgres import asyncpg_url
from router.ledger.rows import Lease, State, Transition
from router.ledger.tables import delivery, lease
from router.ports import Ledger
from router.sdk.testing.clock import ManualClock
from tests.ledger.harness import RECIPIENT, accept, arrival, opened

NAME = f"shard:{RECIPIENT}/0"
OTHER = f"shard:{RECIPIENT}/1"


@pytest.fixture
async def owned(ledger: Ledger) -> Ledger:
    """A ledger whose shard has one waiting delivery and an owner."""
    await accept(ledger, arrival(0))
    assert await take(ledger, 0) == Lease(NAME, 1)
    return ledger


async def take(ledger: Ledger, seen_epoch: int) -> Lease | None:
    return await ledger.write(lambda conn: leases.take(conn, NAME, "successor", seen_epoch))


async def test_the_fence_names_what_is_held_with_the_right_epoch(owned: Ledger) -> None:
    held = [Lease(NAME, 1), Lease(OTHER, 3), Lease("shard:nobody/0", 0)]
    assert await owned.write(lambda conn: store.fence(conn, held)) == {NAME}


async def test_a_fence_over_nothing_is_empty(owned: Ledger) -> None:
    assert await owned.write(lambda conn: store.fence(conn, [])) == set()


async def test_a_zombie_is_fenced_out_by_the_raised_epoch(owned: Ledger) -> None:
    await take(owned, 1)
    assert await owned.write(lambda conn: store.fence(conn, [Lease(NAME, 1)])) == set()
    assert await owned.write(lambda conn: store.fence(conn, [Lease(NAME, 2)])) == {NAME}


# What follows needs two sessions that are open at once, which SQLite does not have.


@pytest.fixture
async def shared(postgres_url: str) -> AsyncIterator[Ledger]:
    """A PostgreSQL ledger whose shard has one waiting delivery and an owner."""
    async with opened(postgres_url, ManualClock(flows=True)) as ledger:
        await ledger.write(lambda conn: store.register_shards(conn, RECIPIENT, 2))
        await accept(ledger, arrival(0))
        await take(ledger, 0)
        yield ledger


@asynccontextmanager
async def session(url: str) -> AsyncIterator[AsyncConnection]:
    """A transaction that the test steps through."""
    engine = create_async_engine(asyncpg_url(make_url(url)))
    async with engine.connect() as conn:
        yield conn
    await engine.dispose()


async def state_of(ledger: Ledger) -> str:
    return await ledger.read(lambda conn: conn.execute(select(delivery.c.state)).scalar_one())


DISCARDED = [Transition(1, 1, 1, State.DISCARDED)]


@pytest.mark.postgres
async def test_a_takeover_waits_while_the_owner_is_between_its_check_and_its_commit(
    shared: Ledger, postgres_url: str
) -> None:
    async with session(postgres_url) as owner:
        assert await owner.run_sync(store.fence, [Lease(NAME, 1)]) == {NAME}
        with pytest.raises(LedgerUnavailable, match="55P03"):
            await take(shared, 1)
        await owner.run_sync(store.apply, DISCARDED)
        await owner.commit()
    assert await take(shared, 1) == Lease(NAME, 2)
    assert await state_of(shared) == "discarded"


@pytest.mark.postgres
async def test_a_plain_read_is_no_fence(shared: Ledger, postgres_url: str) -> None:
    """The schedule that the lock prevents: checked, taken over by another, changed all the same."""
    async with session(postgres_url) as owner:
        plain = select(lease.c.name).where(lease.c.name == NAME, lease.c.epoch == 1)
        assert (await owner.execute(plain)).scalar() == NAME
        assert await take(shared, 1) == Lease(NAME, 2)
        await owner.run_sync(store.apply, DISCARDED)
        await owner.commit()
    assert await state_of(shared) == "discarded"


@pytest.mark.postgres
async def test_a_shard_locked_by_another_transaction_is_left_out_at_once(shared: Ledger, postgres_url: str) -> None:
    both = [Lease(OTHER, 0), Lease(NAME, 1)]
    async with session(postgres_url) as other:
        await other.run_sync(store.fence, [Lease(NAME, 1)])
        assert await shared.write(lambda conn: store.fence(conn, both)) == {OTHER}
    assert await shared.write(lambda conn: store.fence(conn, both)) == {NAME, OTHER}


@pytest.mark.postgres
async def test_a_zombies_fence_does_not_lock_its_successor_out(shared: Ledger, postgres_url: str) -> None:
    await take(shared, 1)
    async with session(postgres_url) as zombie:
        assert await zombie.run_sync(store.fence, [Lease(NAME, 1)]) == set()
        assert await shared.write(lambda conn: store.fence(conn, [Lease(NAME, 2)])) == {NAME}


@pytest.mark.postgres
async def test_a_frozen_owner_loses_its_session_and_its_successor_goes_on(shared: Ledger, postgres_url: str) -> None:
    command = [sys.executable, "-m", "tests.ledger.frozen_child", postgres_url, NAME, "1", "1.0"]
    frozen = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    assert frozen.stdout is not None
    try:
        assert await frozen.stdout.readline() == b"locked\n"
        taken = None
        while taken is None:
            try:
                taken = await take(shared, 1)
            except LedgerUnavailable:
                continue
        assert taken == Lease(NAME, 2)
    finally:
        frozen.send_signal(signal.SIGCONT)
        said, _ = await frozen.communicate()
    assert said == b"unavailable\n"
    assert await state_of(shared) == "waiting"
