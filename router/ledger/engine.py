"""The ledger's two engines: SQLite inline on the loop, PostgreSQL through asyncpg. Both run the same work."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

from sqlalchemy import URL, Connection, Engine, StaticPool, create_engine, make_url
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from router.errors import CommitUnknown, ConfigError, LedgerUnavailable, RowRefused
from router.ledger.migrations import revision
from router.ports import Clock

if TYPE_CHECKING:
    from router.ports import Ledger

R = TypeVar("R")

RETRIES: Final = 5
BUSY_PAUSE: Final = 0.005
BUSY_PATIENCE: Final = 5.0  # seconds a foreign writer may hold the file
TRANSACTION_LIMIT: Final = 5_000  # ms; no transaction outlives it
LOCK_LIMIT: Final = 500  # ms


class SqliteLedger:
    """One file (None: in memory), one writer connection, inline on the loop: work must be short.

    WAL with ``synchronous=FULL``: what ``write`` returned survives power loss. A foreign writer (an operator's order)
    is waited for through the clock, never by sleeping on the loop.
    """

    def __init__(self, path: Path | None, clock: Clock) -> None:
        self._path, self._clock = path, clock
        self._engines: list[Engine] = []
        self._writer: Connection | None = None
        self._reader: Connection | None = None

    async def open(self) -> None:
        """Open the file. Raises ``ConfigError`` when its tables are not this release's."""
        self._writer = self._connect(read_only=False)
        self._reader = self._connect(read_only=True) if self._path else self._writer
        revision.require_current(self._writer)
        self._writer.rollback()

    async def close(self) -> None:
        """Close the connections."""
        for connection in {id(c): c for c in (self._writer, self._reader) if c is not None}.values():
            connection.close()
        for engine in self._engines:
            engine.dispose()
        self._writer = self._reader = None
        self._engines.clear()

    async def write(self, work: Callable[[Connection], R]) -> R:
        """Run work in one immediate transaction."""
        conn = self._open(self._writer)
        deadline = self._clock.monotonic() + BUSY_PATIENCE
        while True:
            try:
                conn.exec_driver_sql("BEGIN IMMEDIATE")
                break
            except OperationalError as error:
                conn.rollback()
                if not _is_busy(error) or self._clock.monotonic() >= deadline:
                    raise LedgerUnavailable(_plain(error)) from None
            await self._clock.sleep(BUSY_PAUSE)
        try:
            result = work(conn)
            conn.commit()
        except BaseException as error:
            conn.rollback()
            raise _translated(error) from None
        return result

    async def read(self, work: Callable[[Connection], R]) -> R:
        """Run work on what is committed."""
        conn = self._open(self._reader)
        try:
            return work(conn)
        except DBAPIError as error:
            raise _translated(error) from None
        finally:
            conn.rollback()

    def _connect(self, *, read_only: bool) -> Connection:
        engine = create_engine("sqlite://", creator=lambda: self._raw(read_only=read_only), poolclass=StaticPool)
        self._engines.append(engine)
        return engine.connect().execution_options(isolation_level="AUTOCOMMIT")

    def _raw(self, *, read_only: bool) -> sqlite3.Connection:
        if self._path is None:
            return sqlite3.connect(":memory:", isolation_level=None)
        uri = f"{self._path.absolute().as_uri()}?mode={'ro' if read_only else 'rwc'}"
        connection = sqlite3.connect(uri, uri=True, isolation_level=None, timeout=0)
        if not read_only:
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=FULL")
        connection.execute("PRAGMA cache_size=-65536")
        return connection

    def _open(self, connection: Connection | None) -> Connection:
        if connection is None:
            raise LedgerUnavailable("the ledger is not open")
        return connection


class PostgresLedger:
    """PostgreSQL. Sessions end by themselves when a process freezes, well before its leases could be taken over."""

    def __init__(self, url: URL, clock: Clock, lease_seconds: float) -> None:
        self._url, self._clock = url.set(drivername="postgresql+asyncpg"), clock
        idle = int(min(TRANSACTION_LIMIT, lease_seconds * 1000 / 2))
        self._settings = {
            "application_name": "lgsp-router",
            "idle_in_transaction_session_timeout": str(idle),
            "statement_timeout": str(TRANSACTION_LIMIT),
            "lock_timeout": str(LOCK_LIMIT),
            "synchronous_commit": "on",
            "tcp_keepalives_idle": "5",
            "tcp_keepalives_interval": "2",
            "tcp_keepalives_count": "3",
        }
        self._engine: AsyncEngine | None = None

    async def open(self) -> None:
        """Connect. Raises ``LedgerUnavailable``, or ``ConfigError`` when the tables are not this release's."""
        self._engine = create_async_engine(
            self._url, pool_size=4, max_overflow=4, connect_args={"server_settings": self._settings, "timeout": 10}
        )
        try:
            await self.read(revision.require_current)
        except BaseException:
            await self.close()
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
                if _sqlstate(error) not in ("40001", "40P01") or turn + 1 == RETRIES:
                    raise _translated(error) from None
            await self._clock.sleep(BUSY_PAUSE * 2**turn)
        raise LedgerUnavailable("the transaction kept colliding")

    async def read(self, work: Callable[[Connection], R]) -> R:
        """Run work on what is committed."""
        try:
            async with self._open().connect() as conn:
                return await conn.run_sync(work)
        except (DBAPIError, OSError, TimeoutError) as error:
            raise _translated(error) from None

    async def _once(self, work: Callable[[Connection], R]) -> R:
        committing = False
        try:
            async with self._open().connect() as conn:
                await conn.begin()
                result = await conn.run_sync(work)
                committing = True
                await conn.commit()
                return result
        except (OSError, TimeoutError) as error:
            raise _lost(error, committing=committing) from None
        except DBAPIError as error:
            if error.connection_invalidated or committing:
                raise _lost(error, committing=committing) from None
            raise

    def _open(self) -> AsyncEngine:
        if self._engine is None:
            raise LedgerUnavailable("the ledger is not open")
        return self._engine


def open_ledger(url: str, clock: Clock, *, password: str | None = None, lease_seconds: float = 15.0) -> Ledger:
    """The ledger of a URL: ``sqlite:///path/ledger.db`` or ``postgresql://user@host:port/database``. Not opened yet."""
    parsed = make_url(url)
    if parsed.drivername == "sqlite":
        return SqliteLedger(Path(parsed.database) if parsed.database else None, clock)
    if parsed.drivername == "postgresql":
        return PostgresLedger(parsed.set(password=password) if password else parsed, clock, lease_seconds)
    raise ConfigError("unknown kind of ledger", key="ledger.url", expected="sqlite:///… or postgresql://…")


def _translated(error: BaseException) -> BaseException:
    """A driver's error as one of ours; the texts name no values of a row."""
    if not isinstance(error, DBAPIError):
        if isinstance(error, OSError | TimeoutError):
            return LedgerUnavailable(_plain(error))
        return RowRefused("a text cannot be stored") if isinstance(error, UnicodeEncodeError) else error
    state, kind = _sqlstate(error), type(_cause(error)).__name__
    if state.startswith("22") or kind == "DataError" or isinstance(error, IntegrityError):
        return RowRefused(f"refused by the database ({state or kind})")
    return LedgerUnavailable(_plain(error))


def _lost(error: BaseException, *, committing: bool) -> BaseException:
    if committing:
        return CommitUnknown("the connection went while the transaction was being committed")
    return LedgerUnavailable(_plain(error))


def _cause(error: DBAPIError) -> BaseException | None:
    original: BaseException | None = error.orig
    return original.__cause__ or original if original is not None else None


def _sqlstate(error: DBAPIError) -> str:
    return str(getattr(error.orig, "sqlstate", None) or "")


def _is_busy(error: OperationalError) -> bool:
    return isinstance(error.orig, sqlite3.OperationalError) and "locked" in str(error.orig)


def _plain(error: BaseException) -> str:
    """Kind and state of an error without the statement and its parameters."""
    if isinstance(error, DBAPIError):
        cause = _cause(error)
        return f"{type(cause).__name__} {_sqlstate(error) or cause}".strip()
    return f"{type(error).__name__}: {error}"
