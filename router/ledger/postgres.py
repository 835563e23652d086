"""The ledger in PostgreSQL, through asyncpg."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, TypeVar

from sqlalchemy import URL, Connection
from sqlalchemy.exc import DBAPIError, StatementError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from router.errors import CommitUnknown, LedgerUnavailable
from router.ledger.faults import COLLIDED, LOST, sqlstate, to_json, translated
from router.ledger.migrations import revision
from router.ports import Clock

R = TypeVar("R")

RETRIES: Final = 5
PAUSE: Final = 0.005  # seconds before the first repetition of a transaction that collided; doubles
TRANSACTION_LIMIT: Final = 5.0  # seconds; no transaction outlives it
LOCK_LIMIT: Final = 0.5  # seconds
POOL: Final = 8


class PostgresLedger:
    """PostgreSQL. Sessions end by themselves when a process freezes, well before its leases could be taken over.

    A transaction is cut off after ``TRANSACTION_LIMIT`` on both sides: by the server per statement and while idle, by
    this process as a whole (a silent network never answers).
    """

    def __init__(self, url: URL, clock: Clock, lease_seconds: float) -> None:
        self._url, self._clock = url, clock
        self._settings = {
            "application_name": "lgsp-router",
            "idle_in_transaction_session_timeout": _ms(min(TRANSACTION_LIMIT, lease_seconds / 2)),
            "statement_timeout": _ms(TRANSACTION_LIMIT),
            "lock_timeout": _ms(LOCK_LIMIT),
            "synchronous_commit": "on",
            "tcp_keepalives_idle": "5",
            "tcp_keepalives_interval": "2",
            "tcp_keepalives_count": "3",
        }
        self._engine: AsyncEngine | None = None

    async def open(self) -> None:
        """Connect. Raises ``LedgerUnavailable``, or ``ConfigError`` when the tables are not this release's."""
        self._engine = create_async_engine(
            asyncpg_url(self._url),
            pool_size=POOL // 2,
            max_overflow=POOL // 2,
            connect_args={"server_settings": self._settings, "timeout": TRANSACTION_LIMIT},
            json_serializer=to_json,
            hide_parameters=True,
        )
        try:
            await self.read(revision.require_current)
        except BaseException as error:
            await self.close()
            if isinstance(error, LedgerUnavailable):
                raise away(self._url, str(error)) from None
            raise

    async def close(self) -> None:
        """Close the pool."""
        if self._engine is not None:
            await self._engine.dispose()
            self._engine = None

    async def write(self, work: Callable[[Connection], R]) -> R:
        """Run work in one transaction; deadlocks and serialization failures are tried again."""
        for turn in range(RETRIES):
            try:
                return await self._once(work)
            except DBAPIError as error:
                if sqlstate(error) not in COLLIDED:
                    raise translated(error) from None
            await self._clock.sleep(PAUSE * 2**turn)
        raise LedgerUnavailable("the transaction kept colliding with others")

    async def read(self, work: Callable[[Connection], R]) -> R:
        """Run work on what is committed."""
        try:
            async with asyncio.timeout(TRANSACTION_LIMIT), self._open().connect() as conn:
                return await conn.run_sync(work)
        except (StatementError, *LOST) as error:
            raise translated(error) from None

    async def _once(self, work: Callable[[Connection], R]) -> R:
        """One try. ``DBAPIError`` means that the server refused and rolled back."""
        committing = False
        try:
            async with asyncio.timeout(TRANSACTION_LIMIT), self._open().connect() as conn:
                await conn.begin()
                result = await conn.run_sync(work)
                committing = True
                await conn.commit()
                return result
        except (StatementError, *LOST) as error:
            if sqlstate(error) in COLLIDED:
                raise
            if committing:
                raise CommitUnknown("the connection went while the transaction was being committed") from None
            raise translated(error) from None
        except (OverflowError, UnicodeEncodeError) as error:
            raise translated(error) from None

    def _open(self) -> AsyncEngine:
        if self._engine is None:
            raise LedgerUnavailable("the ledger is not open")
        return self._engine


def asyncpg_url(url: URL) -> URL:
    """The URL as SQLAlchemy's asyncpg driver takes it: libpq's ``sslmode`` is called ``ssl`` there."""
    query = {"ssl" if name == "sslmode" else name: value for name, value in url.query.items()}
    return url.set(drivername="postgresql+asyncpg", query=query)


def away(url: URL, why: str) -> LedgerUnavailable:
    """A server that does not let us in, by host and next step."""
    place = f"PostgreSQL at {url.host or 'localhost'}:{url.port or 5432}"
    return LedgerUnavailable(f"{place} cannot be used ({why}): does it run there? see ledger.url and ledger.password")


def _ms(seconds: float) -> str:
    return str(int(seconds * 1000))
