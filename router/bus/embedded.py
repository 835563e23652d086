"""The embedded log: one SQLite file in the data directory, for one process. Nothing to install.

WAL with ``synchronous=FULL``: what ``publish`` returned survives power loss. Publishes of one turn of the loop, and
those that come while the disk is being waited for, share a transaction: hop, ingress and outbox share its flush.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final, TypeAlias

from router.aside import aside
from router.bus.embedded_file import SCHEMA, SLICE, connect, copy_log
from router.bus.groups import Group
from router.bus.local import Edges, LocalReader, LocalSubscription, Record, subscribe
from router.bus.local_publisher import LocalPublisher
from router.errors import BusUnavailable, PublishFailed
from router.events import Message, TopicPartition
from router.framing import pack, unpack
from router.ports import Clock, Publisher, Reader, Rebalance, Subscription, TopicSpec, TopicState

#: Timestamp aside, what a row holds: key, headers as one blob, value.
_Row: TypeAlias = tuple[bytes, bytes, bytes]
_Firsts: TypeAlias = dict[TopicPartition, int]
_Waiting: TypeAlias = tuple[dict[TopicPartition, list[_Row]], "asyncio.Future[_Firsts]"]

KEPT: Final = -1  # a retention: for ever
#: How long a transaction waits for a foreign writer, in steps of ``_BUSY_PAUSE`` seconds.
_BUSY_TRIES: Final = 200
_BUSY_PAUSE: Final = 0.01


class EmbeddedBus:
    """A log in ``path``. One process at a time: the caller holds the directory's lock."""

    def __init__(self, path: Path, clock: Clock) -> None:
        self._path, self._clock = path, clock
        self._db: sqlite3.Connection | None = None
        self._reader: sqlite3.Connection | None = None  # a connection is deaf while it commits
        self._writing = asyncio.Lock()
        self._parts: dict[TopicPartition, int] = {}
        self._edges: dict[TopicPartition, Edges] = {}
        self._groups: dict[str, Group] = {}
        self._queue: list[_Waiting] = []
        self._flushing: asyncio.Task[None] | None = None
        self._care = asyncio.Lock()  # purge and backup exclude each other
        self.appended = asyncio.Condition()

    async def open(self) -> None:
        """Open or make the file."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._db = connect(self._path)
        self._db.executescript(SCHEMA)
        self._reader = connect(self._path)
        self._load()

    async def close(self) -> None:
        """Finish what is being published and close the file."""
        if self._flushing is not None:
            await self._flushing
        async with self._writing:
            for connection in (self._reader, self._db):
                if connection is not None:
                    connection.close()
            self._db = self._reader = None

    async def create(self, topics: Sequence[TopicSpec]) -> None:
        """Make topics that do not exist. One to be compacted is kept whole instead: it holds few records."""
        async with self._transaction() as db:
            for spec in topics:
                kept = KEPT if spec.config.get("cleanup.policy") == "compact" else spec.retention_ms
                made = db.execute("INSERT OR IGNORE INTO topic VALUES (?, ?, ?)", (spec.name, spec.partitions, kept))
                if made.rowcount:
                    rows = [(spec.name, number) for number in range(spec.partitions)]
                    db.executemany("INSERT INTO part (topic, partition) VALUES (?, ?)", rows)
        self._load()

    async def grow(self, topics: Sequence[str], partitions: int) -> None:
        """Give these topics at least so many partitions."""
        known = await self.describe()
        async with self._transaction() as db:
            for name in topics:
                rows = [(name, number) for number in range(known[name].partitions, partitions)]
                db.executemany("INSERT INTO part (topic, partition) VALUES (?, ?)", rows)
                db.execute("UPDATE topic SET partitions = max(partitions, ?) WHERE name = ?", (partitions, name))
        self._load()

    async def describe(self) -> dict[str, TopicState]:
        """The topics as they are."""
        rows = _open(self._reader).execute("SELECT name, partitions, retention_ms FROM topic ORDER BY name")
        return {name: TopicState(name, count, 1, {"retention.ms": str(kept)}) for name, count, kept in rows}

    async def publisher(self) -> Publisher:
        """A publisher; all of them share transactions."""
        return LocalPublisher(self.append)

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
        rows = _open(self._reader).execute(
            "SELECT offset, timestamp, key, value, headers FROM record WHERE part = ? AND offset >= ? "
            "ORDER BY offset LIMIT ?",
            (self._parts[partition], offset, limit),
        )
        topic, number = partition
        return [Record(topic, number, at, time, key, value, unpack(headers)) for at, time, key, value, headers in rows]

    def committed(self, group: str) -> dict[TopicPartition, int]:
        """A group's commits."""
        by_id = {part: partition for partition, part in self._parts.items()}
        rows = _open(self._reader).execute("SELECT part, offset FROM committed WHERE grp = ?", (group,))
        return {by_id[part]: offset for part, offset in rows}

    async def store_commits(self, group: str, offsets: Mapping[TopicPartition, int]) -> None:
        """Keep commits durably."""
        rows = [(group, self._id(partition), offset) for partition, offset in offsets.items()]
        async with self._transaction() as db:
            db.executemany("INSERT OR REPLACE INTO committed VALUES (?, ?, ?)", rows)

    # Publishing

    async def append(self, batches: Mapping[TopicPartition, Sequence[Message]]) -> dict[TopicPartition, int]:
        """Append batches durably; the first offset of each. Raises ``PublishFailed``: then nothing of them is there."""
        for partition in batches:
            self._id(partition)
        if not any(batches.values()):
            return {partition: self._edges[partition].end for partition in batches}
        packed = {
            partition: [(key, pack(headers), value) for key, value, headers in messages]
            for partition, messages in batches.items()
        }
        done: asyncio.Future[_Firsts] = asyncio.get_running_loop().create_future()
        self._queue.append((packed, done))
        if self._flushing is None:
            self._flushing = asyncio.create_task(self._flush())
        return await done

    async def _flush(self) -> None:
        while self._queue:
            waiting, self._queue = self._queue, []
            await self._write(waiting)
            async with self.appended:
                self.appended.notify_all()
        self._flushing = None

    async def _write(self, waiting: list[_Waiting]) -> None:
        rows, firsts, ends = self._placed(batches for batches, _ in waiting)
        try:
            async with self._transaction() as db:
                db.executemany("INSERT INTO record VALUES (?, ?, ?, ?, ?, ?)", rows)
        except (sqlite3.Error, BusUnavailable) as error:
            for batches, done in waiting:
                if not done.cancelled():
                    done.set_exception(PublishFailed(dict.fromkeys(batches, 0), f"{type(error).__name__}: {error}"))
            return
        for partition, end in ends.items():
            self._edges[partition] = self._edges[partition]._replace(end=end)
        for (_, done), first in zip(waiting, firsts, strict=True):
            if not done.cancelled():
                done.set_result(first)

    def _placed(
        self, waiting: Iterable[dict[TopicPartition, list[_Row]]]
    ) -> tuple[list[tuple[int, int, int, bytes, bytes, bytes]], list[_Firsts], _Firsts]:
        """Rows with their offsets, the first offsets of each batch, and where the partitions end afterwards."""
        ends: _Firsts = {}
        rows: list[tuple[int, int, int, bytes, bytes, bytes]] = []
        firsts: list[_Firsts] = []
        now = self._clock.now() // 1000
        for batches in waiting:
            first: _Firsts = {}
            for partition, messages in batches.items():
                part = self._parts[partition]
                at = first[partition] = ends.get(partition, self._edges[partition].end)
                rows += [(part, at + n, now, *row) for n, row in enumerate(messages)]
                ends[partition] = at + len(messages)
            firsts.append(first)
        return rows, firsts, ends

    # Care

    async def purge(self, now: int, floor: Mapping[TopicPartition, int]) -> int:
        """Delete what is older than its topic's retention and passed by every group and by ``floor`` (the ledger's
        positions); how many records. ``now`` is UTC µs. A partition that nobody has passed keeps everything.
        """
        deleted = 0
        async with self._care:
            kept = dict(_open(self._reader).execute("SELECT name, retention_ms FROM topic").fetchall())
            passed = self._passed(floor)
            for partition, part in list(self._parts.items()):
                if kept[partition.topic] >= 0 and (limit := passed.get(partition, 0)):
                    oldest = now // 1000 - kept[partition.topic]
                    while gone := await self._delete(partition, part, limit, oldest):
                        deleted += gone
        return deleted

    async def _delete(self, partition: TopicPartition, part: int, limit: int, oldest: int) -> int:
        """Delete one slice from the front of a partition; never a record behind one that stays."""
        edges = self._edges[partition]
        upto = min(limit, edges.end, edges.earliest + SLICE)
        async with self._transaction() as db:
            young = db.execute(
                "SELECT min(offset) FROM record WHERE part = ? AND offset < ? AND timestamp >= ?", (part, upto, oldest)
            ).fetchone()[0]
            upto = upto if young is None else young
            if upto > edges.earliest:
                db.execute("DELETE FROM record WHERE part = ? AND offset < ?", (part, upto))
                db.execute("UPDATE part SET earliest = ? WHERE id = ?", (upto, part))
        earliest = max(edges.earliest, upto)
        self._edges[partition] = self._edges[partition]._replace(earliest=earliest)
        await self._clock.sleep(0)
        return earliest - edges.earliest

    async def backup(self, target: Path) -> None:
        """Copy the log as it is now to the new file ``target``, in slices, while it is being written."""
        async with self._care:
            ends = {part: self._edges[partition] for partition, part in self._parts.items()}
            await copy_log(_open(self._reader), target, ends, self._clock)

    @asynccontextmanager
    async def _transaction(self) -> AsyncIterator[sqlite3.Connection]:
        """One write transaction at a time, committed beside the loop. ``BusUnavailable``: a foreign writer stays."""
        async with self._writing:
            db = await self._begun()
            try:
                yield db
                await aside(db.commit)
            finally:
                if db.in_transaction:
                    db.execute("ROLLBACK")

    async def _begun(self) -> sqlite3.Connection:
        for _ in range(_BUSY_TRIES):
            db = _open(self._db)  # asked each time: it may be closed while this waits
            try:
                db.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
                    raise
            else:
                return db
            await self._clock.sleep(_BUSY_PAUSE)
        raise BusUnavailable("another process keeps writing to the log")

    def _id(self, partition: TopicPartition) -> int:
        try:
            return self._parts[partition]
        except KeyError:
            raise BusUnavailable(f"no such partition: {partition[0]}/{partition[1]}") from None

    def _passed(self, floor: Mapping[TopicPartition, int]) -> dict[TopicPartition, int]:
        by_id = {part: partition for partition, part in self._parts.items()}
        passed = dict(floor)
        for part, offset in _open(self._reader).execute("SELECT part, min(offset) FROM committed GROUP BY part"):
            partition = by_id[part]
            passed[partition] = min(offset, passed.get(partition, offset))
        return passed

    def _load(self) -> None:
        db = _open(self._reader)
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


def _open(connection: sqlite3.Connection | None) -> sqlite3.Connection:
    if connection is None:
        raise BusUnavailable("the log is not open")
    return connection
