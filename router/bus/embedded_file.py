"""The embedded log's file: its tables, connections to it, and a copy of it taken while it grows."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from router.bus.local import Edges
from router.ports import Clock

#: Bytes of a page. Records of a kilobyte fill SQLite's own 4,096 badly: a quarter more CPU, and twice the waiting.
#: Only a new file takes it, and only before anything else is said about it.
PAGE: Final = "PRAGMA page_size=16384"

SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS topic (name TEXT PRIMARY KEY, partitions INTEGER NOT NULL, retention_ms INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS part (
  id INTEGER PRIMARY KEY, topic TEXT NOT NULL, partition INTEGER NOT NULL,
  earliest INTEGER NOT NULL DEFAULT 0, UNIQUE (topic, partition));
CREATE TABLE IF NOT EXISTS record (
  part INTEGER NOT NULL, offset INTEGER NOT NULL, timestamp INTEGER NOT NULL,
  key BLOB NOT NULL, headers BLOB NOT NULL, value BLOB NOT NULL, PRIMARY KEY (part, offset)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS committed (
  grp TEXT NOT NULL, part INTEGER NOT NULL, offset INTEGER NOT NULL, PRIMARY KEY (grp, part)) WITHOUT ROWID;
"""

SLICE: Final = 500  # rows of one turn of the loop in purge and backup
CHECKPOINT: Final = 2_000  # pages of WAL (32 MB) before they go to the file: pages changed often are written once


def connect(path: Path) -> sqlite3.Connection:
    """A connection whose commits survive power loss. May be used by any thread, one at a time."""
    db = sqlite3.connect(path, isolation_level=None, timeout=0, check_same_thread=False)
    db.execute(PAGE)
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "cache_size=-65536", f"wal_autocheckpoint={CHECKPOINT}"):
        db.execute(f"PRAGMA {pragma}")
    return db


async def copy_log(source: sqlite3.Connection, target: Path, ends: Mapping[int, Edges], clock: Clock) -> None:
    """Copy the partitions (by row id) up to their ``ends`` into the new file ``target``.

    Rows are copied rather than pages: the log only grows, so fixed ends make the copy one moment's state, and
    sqlite3's own backup would hold the loop until it is done. Nothing may be purged meanwhile.
    """
    copy = sqlite3.connect(target, isolation_level=None, timeout=0)
    try:
        copy.execute(PAGE)
        copy.executescript(SCHEMA)
        copy.execute("BEGIN")
        for table, columns in (("topic", 3), ("part", 4), ("committed", 3)):
            rows = source.execute(f"SELECT * FROM {table}").fetchall()
            copy.executemany(f"INSERT INTO {table} VALUES ({', '.join('?' * columns)})", rows)
        copy.execute("COMMIT")
        for part, edges in ends.items():
            for first in range(edges.earliest, edges.end, SLICE):
                _copy_slice(source, copy, part, first, min(first + SLICE, edges.end))
                await clock.sleep(0)
    finally:
        copy.close()


def _copy_slice(source: sqlite3.Connection, copy: sqlite3.Connection, part: int, first: int, end: int) -> None:
    rows = source.execute("SELECT * FROM record WHERE part = ? AND offset >= ? AND offset < ?", (part, first, end))
    copy.execute("BEGIN")
    copy.executemany("INSERT INTO record VALUES (?, ?, ?, ?, ?, ?)", rows)
    copy.execute("COMMIT")
