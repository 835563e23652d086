"""Bringing a ledger to this release's tables, over a plain connection of its own."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import create_engine, make_url
from sqlalchemy.exc import DBAPIError

from router.ledger.faults import plain
from router.ledger.migrations import revision


async def migrate_ledger(url: str, password: str | None) -> str:
    """Run all migrations that are missing; the revision reached. Raises ``LedgerUnavailable``."""
    parsed = make_url(url)
    if parsed.drivername == "sqlite":
        if parsed.database:
            Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
        engine = create_engine(parsed)
        try:
            with engine.begin() as conn:
                return revision.upgrade(conn)
        finally:
            engine.dispose()
    from sqlalchemy.ext.asyncio import create_async_engine

    from router.ledger.postgres import away

    remote = create_async_engine(parsed.set(drivername="postgresql+asyncpg", password=password or parsed.password))
    try:
        async with remote.begin() as conn:
            return await conn.run_sync(revision.upgrade)
    except (DBAPIError, OSError) as error:
        raise away(parsed, plain(error)) from None
    finally:
        await remote.dispose()
