"""The ledger in one SQLite file, or in memory: its work is done inline on the loop, a file's commit beside it."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar

from sqlalchemy import Connection, Engine, StaticPool, create_engine
from sqlalchemy.exc import OperationalError

from router.aside import aside
from router.errors import LedgerUnavailable
from router.ledger.faults import is_busy, plain, to_json, translated
from router.ledger.migrations import revision
from router.ports import Clock

R = TypeVar("R")

BUSY_PAUSE: Final = 0.005
BUSY_PATIENCE: Final = 5.0  # seconds a foreign writer may hold the file
CHECKPOINT: Final = 8_000  # pages of WAL (32 MB) before they go to the file: pages changed often are written once


class SqliteLedger:
    """One file, one writer connection, inline on the loop: work must be short. ``path`` None is a ledger in memory,
    empty and with this release's tables at every opening.

    WAL with ``synchronous=FULL``: what ``write`` returned survives power loss. A file is committed beside the loop,
    which the disk does not hold up; one transaction at a time, and what is read meanwhile is the state before it. A
    foreign writer (an operator's order) is waited for through the clock, never by sleeping on the loop.
    """

    def __init__(self, path: Path | None, clock: Clock) -> None:
        self._path, self._clock = path, clock
        self._engines: list[Engine] = []
        self._writer: Connection | None = None
        self._reader: Connection | None = None
        self._turn = asyncio.Lock()

    async def open(self) -> None:
        """Open the file. Raises ``ConfigError`` when its tables are not this release's, ``LedgerUnavailable``."""
        try:
            self._writer = self._connect(read_only=False)
            self._reader = self._connect(read_only=True) if self._path else self._writer
            revision.require_current(self._writer)
            self._writer.rollback()
        except BaseException as error:
            await self.close()
            raise translated(error) from None

    async def close(self) -> None:
        """Close the connections when a commit under way has ended, the writer last: it alone can move what is left in
        the WAL into the file.
        """
        connections = {id(c): c for c in (self._reader, self._writer) if c is not None}
        self._writer = self._reader = None
        async with self._turn:
            for connection in connections.values():
                connection.close()
            for engine in reversed(self._engines):
                engine.dispose()
            self._engines.clear()

    async def write(self, work: Callable[[Connection], R]) -> R:
        """Run work in one immediate transaction."""
        async with self._turn:
            conn = await self._begun()
            try:
                result = work(conn)
                if self._path is None:
                    conn.commit()
                else:
                    await aside(conn.commit)
            except BaseException as error:
                conn.rollback()
                raise translated(error) from None
            return result

    async def read(self, work: Callable[[Connection], R]) -> R:
        """Run work on what is committed, all of it as of one moment."""
        conn = _open(self._reader)
        try:
            conn.exec_driver_sql("BEGIN")
            return work(conn)
        except Exception as error:
            raise translated(error) from None
        finally:
            conn.rollback()

    async def _begun(self) -> Connection:
        deadline = self._clock.monotonic() + BUSY_PATIENCE
        while True:
            conn = _open(self._writer)  # asked each time: it may be closed while this waits
            try:
                conn.exec_driver_sql("BEGIN IMMEDIATE")
            except OperationalError as error:
                conn.rollback()
                if not is_busy(error) or self._clock.monotonic() >= deadline:
                    raise LedgerUnavailable(plain(error)) from None
            else:
                return conn
            await self._clock.sleep(BUSY_PAUSE)

    def _connect(self, *, read_only: bool) -> Connection:
        engine = create_engine(
            "sqlite://",
            creator=lambda: self._raw(read_only=read_only),
            poolclass=StaticPool,
            json_serializer=to_json,
            hide_parameters=True,
        )
        self._engines.append(engine)
        return engine.connect().execution_options(isolation_level="AUTOCOMMIT")

    def _raw(self, *, read_only: bool) -> sqlite3.Connection:
        if self._path is None:
            connection = sqlite3.connect(":memory:", isolation_level=None)
            connection.deserialize(revision.blank())
            return connection
        uri = f"{self._path.absolute().as_uri()}?mode={'ro' if read_only else 'rw'}"
        connection = sqlite3.connect(uri, uri=True, isolation_level=None, timeout=0, check_same_thread=False)
        if not read_only:
            connection.execute(f"PRAGMA wal_autocheckpoint={CHECKPOINT}")
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=FULL")
        connection.execute("PRAGMA cache_size=-65536")
        return connection


def _open(connection: Connection | None) -> Connection:
    if connection is None:
        raise LedgerUnavailable("the ledger is not open")
    return connection
