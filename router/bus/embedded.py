"""The embedded log: one SQLite file in the data directory, for one process. Nothing to install.

WAL with ``synchronous=FULL``: what ``publish`` returned survives power loss. Publishes of one turn of the loop share a
transaction, so that hop, ingress and outbox share its flush.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from router.bus.checks import before, cut, refuse_closed
from router.bus.groups import Group
from router.bus.local import Edges, LocalReader, LocalSubscription, Record, subscribe
from router.errors import BusUnavailable, PublishFailed
from router.events import Message, TopicPartition
from router.framing import pack, unpack
from router.ports import Clock, Publisher, Reader, Rebalance, Subscription, TopicSpec, TopicState

_SCHEMA: Final = """
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


class _Part(NamedTuple):
    id: int
    partition: TopicPartition


class EmbeddedBus:
    """A log in ``path``. One process at a time: the caller holds the directory's lock."""

    def __init__(self, path: Path, clock: Clock) -> None:
        self._path, self._clock = path, clock
        self._db: sqlite3.Connection | None = None
        self._parts: dict[TopicPartition, int] = {}
        self._edges: dict[TopicPartition, Edges] = {}
        self._groups: dict[str, Group] = {}
        self._queue: list[tuple[Mapping[TopicPartition, Sequence[Message]], asyncio.Future[dict[TopicPartition, int]]]]
        self._queue = []
        self._flushing: asyncio.Task[None] | None = None
        self.appended = asyncio.Condition()

    async def open(self) -> None:
        """Open or make the file."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        db = sqlite3.connect(self._path, isolation_level=None, timeout=0)
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("PRAGMA synchronous=FULL")
        db.execute("PRAGMA cache_size=-65536")
        db.executescript(_SCHEMA)
        self._db = db
        self._load()

    async def close(self) -> None:
        """Finish what is being published and close the file."""
        if self._flushing is not None:
            await self._flushing
        if self._db is not None:
            self._db.close()
            self._db = None

    async def create(self, topics: Sequence[TopicSpec]) -> None:
        """Make topics that do not exist."""
        db = self._open_db()
        db.execute("BEGIN IMMEDIATE")
        for spec in topics:
            made = db.execute(
                "INSERT OR IGNORE INTO topic VALUES (?, ?, ?)", (spec.name, spec.partitions, spec.retention_ms)
            )
            if made.rowcount:
                rows = [(spec.name, number) for number in range(spec.partitions)]
                db.executemany("INSERT INTO part (topic, partition) VALUES (?, ?)", rows)
        db.execute("COMMIT")
        self._load()

    async def describe(self) -> dict[str, TopicState]:
        """The topics as they are."""
        rows = self._open_db().execute("SELECT name, partitions, retention_ms FROM topic ORDER BY name")
        return {name: TopicState(name, count, 1, {"retention.ms": str(kept)}) for name, count, kept in rows}

    async def publisher(self) -> Publisher:
        """A publisher; all of them share transactions."""
        return EmbeddedPublisher(self)

    async def subscribe(
        self,
        group: str,
        topics: Sequence[str],
        rebalance: Rebalance,
        *,
        member: str | None = None,
    ) -> Subscription:
        """Join a group of this process."""
        joined: LocalSubscription = await subscribe(self, self._groups, group, topics, rebalance)
        return joined

    async def reader(self, group: str) -> Reader:
        """A reader by position."""
        return LocalReader(self, group)

    # The log below subscriptions and readers

    def partitions(self, topics: Iterable[str]) -> list[TopicPartition]:
        """All partitions of these topics."""
        wanted = set(topics)
        return sorted(partition for partition in self._parts if partition.topic in wanted)

    def edges(self, partition: TopicPartition) -> Edges:
        """Where a partition begins and ends."""
        try:
            return self._edges[partition]
        except KeyError:
            raise BusUnavailable(f"no such partition: {partition.topic}/{partition.partition}") from None

    def fetch(self, partition: TopicPartition, offset: int, limit: int) -> list[Record]:
        """Records from ``offset`` on."""
        if offset >= self.edges(partition).end:
            return []
        rows = self._open_db().execute(
            "SELECT offset, timestamp, key, value, headers FROM record WHERE part = ? AND offset >= ? "
            "ORDER BY offset LIMIT ?",
            (self._parts[partition], offset, limit),
        )
        topic, number = partition
        return [Record(topic, number, at, time, key, value, unpack(headers)) for at, time, key, value, headers in rows]

    def committed(self, group: str) -> dict[TopicPartition, int]:
        """A group's commits."""
        by_id = {part: partition for partition, part in self._parts.items()}
        rows = self._open_db().execute("SELECT part, offset FROM committed WHERE grp = ?", (group,))
        return {by_id[part]: offset for part, offset in rows}

    async def store_commits(self, group: str, offsets: Mapping[TopicPartition, int]) -> None:
        """Keep commits durably."""
        rows = [(group, self._parts[partition], offset) for partition, offset in offsets.items()]
        db = self._open_db()
        db.execute("BEGIN IMMEDIATE")
        db.executemany("INSERT OR REPLACE INTO committed VALUES (?, ?, ?)", rows)
        db.execute("COMMIT")

    # Publishing

    async def append(self, batches: Mapping[TopicPartition, Sequence[Message]]) -> dict[TopicPartition, int]:
        """Append batches durably; the first offset of each. Raises ``PublishFailed``: then nothing of them is there."""
        if not batches:
            return {}
        done: asyncio.Future[dict[TopicPartition, int]] = asyncio.get_running_loop().create_future()
        self._queue.append((batches, done))
        if self._flushing is None:
            self._flushing = asyncio.create_task(self._flush())
        return await done

    async def _flush(self) -> None:
        while self._queue:
            batches, self._queue = self._queue, []
            self._write(batches)
            async with self.appended:
                self.appended.notify_all()
        self._flushing = None

    def _write(
        self,
        waiting: list[tuple[Mapping[TopicPartition, Sequence[Message]], asyncio.Future[dict[TopicPartition, int]]]],
    ) -> None:
        ends: dict[TopicPartition, int] = {}
        rows: list[tuple[int, int, int, bytes, bytes, bytes]] = []
        firsts: list[dict[TopicPartition, int]] = []
        now = self._clock.now() // 1000
        try:
            for batches, _ in waiting:
                first: dict[TopicPartition, int] = {}
                for partition, messages in batches.items():
                    part = self._parts[partition]
                    at = first[partition] = ends.get(partition, self._edges[partition].end)
                    rows += [
                        (part, at + n, now, key, pack(headers), value)
                        for n, (key, value, headers) in enumerate(messages)
                    ]
                    ends[partition] = at + len(messages)
                firsts.append(first)
            db = self._open_db()
            db.execute("BEGIN IMMEDIATE")
            try:
                db.executemany("INSERT INTO record VALUES (?, ?, ?, ?, ?, ?)", rows)
                db.execute("COMMIT")
            except sqlite3.Error:
                if db.in_transaction:
                    db.execute("ROLLBACK")
                raise
        except (sqlite3.Error, KeyError, BusUnavailable) as error:
            for batches, done in waiting:
                if not done.cancelled():
                    done.set_exception(PublishFailed(dict.fromkeys(batches, 0), f"{type(error).__name__}: {error}"))
            return
        for partition, end in ends.items():
            self._edges[partition] = self._edges[partition]._replace(end=end)
        for (_, done), first in zip(waiting, firsts, strict=True):
            if not done.cancelled():
                done.set_result(first)

    # Care

    async def purge(self, now: int, floor: Mapping[TopicPartition, int]) -> int:
        """Delete what is older than its topic's retention and passed by every group and by ``floor`` (the ledger's
        positions); how many records. ``now`` is UTC µs.
        """
        db = self._open_db()
        passed = self._passed(floor)
        deleted = 0
        db.execute("BEGIN IMMEDIATE")
        for partition, part in self._parts.items():
            kept = db.execute("SELECT retention_ms FROM topic WHERE name = ?", (partition.topic,)).fetchone()[0]
            if kept < 0:
                continue
            limit = passed.get(partition, 0)
            gone = db.execute(
                "DELETE FROM record WHERE part = ? AND offset < ? AND timestamp < ?", (part, limit, now // 1000 - kept)
            ).rowcount
            if gone:
                db.execute("UPDATE part SET earliest = earliest + ? WHERE id = ?", (gone, part))
                deleted += gone
        db.execute("COMMIT")
        self._load()
        return deleted

    async def backup(self, target: Path) -> None:
        """Copy the log to ``target``."""
        copy = sqlite3.connect(target)
        try:
            self._open_db().backup(copy)
        finally:
            copy.close()

    def _passed(self, floor: Mapping[TopicPartition, int]) -> dict[TopicPartition, int]:
        by_id = {part: partition for partition, part in self._parts.items()}
        passed = dict(floor)
        for part, offset in self._open_db().execute("SELECT part, min(offset) FROM committed GROUP BY part"):
            partition = by_id[part]
            passed[partition] = min(offset, passed.get(partition, offset))
        return passed

    def _load(self) -> None:
        db = self._open_db()
        rows = db.execute(
            "SELECT p.id, p.topic, p.partition, p.earliest, "
            "(SELECT max(r.offset) FROM record r WHERE r.part = p.id) FROM part p"
        ).fetchall()
        self._parts = {TopicPartition(topic, number): part for part, topic, number, _, _ in rows}
        for _, topic, number, earliest, last in rows:
            partition = TopicPartition(topic, number)
            known = self._edges.get(partition)
            end = last + 1 if last is not None else max(earliest, known.end if known else 0)
            self._edges[partition] = Edges(earliest, end)

    def _open_db(self) -> sqlite3.Connection:
        if self._db is None:
            raise BusUnavailable("the log is not open")
        return self._db


class EmbeddedPublisher:
    """Publishes into one embedded log. A failed transaction leaves nothing behind."""

    def __init__(self, bus: EmbeddedBus) -> None:
        self._bus = bus
        self._closed: set[TopicPartition] = set()

    async def publish(self, batches: Mapping[TopicPartition, Sequence[Message]]) -> dict[TopicPartition, int]:
        """Append durably; after a failure the partitions stay closed until ``reopen``."""
        refuse_closed(self._closed, batches)
        cuts = cut(batches)
        try:
            firsts = await self._bus.append(before(batches, cuts) if cuts else batches)
        except PublishFailed as error:
            self._closed |= error.durable.keys() | cuts.keys()
            raise
        if cuts:
            self._closed |= cuts.keys()
            raise PublishFailed(cuts, "a value is longer than 256 KiB")
        return firsts

    async def reopen(self) -> None:
        """Take messages for all partitions again."""
        self._closed.clear()

    async def close(self) -> None:
        """Nothing is held."""
