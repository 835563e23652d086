"""The ports: what the flow needs of a log, a store, a clock and a source of chance.

Each port has one behaviour suite that every adapter passes (``tests/<port>``); the docstring is the contract.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeVar
from uuid import UUID

from router.events import Fetched, Message, Polled, TopicPartition

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Connection

R = TypeVar("R")


class Clock(Protocol):
    """Three times. Nothing else in the flow may ask what time it is, or wait.

    ``monotonic`` (seconds) means something inside one process only. ``now`` is UTC wall time in microseconds since
    1970; stored due times use it. ``business`` is the instant by which deadlines are judged (aware, UTC); a demo or a
    test can move it.
    """

    def monotonic(self) -> float: ...
    def now(self) -> int: ...
    def business(self) -> datetime: ...
    async def sleep(self, seconds: float) -> None: ...


class Ids(Protocol):
    """Where ids and chance come from. ``jitter`` is uniform in [0, 1)."""

    def new(self) -> UUID: ...
    def jitter(self) -> float: ...


class TopicSpec(NamedTuple):
    """A topic as an installation needs it. ``retention_ms`` -1 keeps for ever; ``config`` holds further settings. With
    ``cleanup.policy`` ``compact`` at least the newest record of each key stays, whatever its age.
    """

    name: str
    partitions: int
    replication: int = 1
    retention_ms: int = 14 * 86_400_000
    config: Mapping[str, str] = {}


class TopicState(NamedTuple):
    """A topic as it is."""

    name: str
    partitions: int
    replication: int
    config: Mapping[str, str]


class Publisher(Protocol):
    """Hands messages to the log.

    ``publish`` returns when all messages are durable, with the offset of the first message of each partition. Messages
    of one partition become durable in the order handed over, across concurrent calls too (in the order of the calls).
    On failure it raises ``PublishFailed``: what is durable of a partition is a prefix, everything of that partition
    still in flight fails as well, and ``PublisherClosed`` meets whatever is handed over later, until ``reopen``
    returns. So nothing newer can overtake the failed part: the caller publishes that again first, or goes back to its
    last commit.
    """

    async def publish(self, batches: Mapping[TopicPartition, Sequence[Message]]) -> dict[TopicPartition, int]: ...
    async def reopen(self) -> None: ...
    async def close(self) -> None: ...


class Rebalance(Protocol):
    """What the owner of a subscription does around a rebalance. ``revoked`` may commit; it is awaited before the
    partitions go. After ``assigned`` the position of each partition is its last commit (or the earliest record).
    """

    async def revoked(self, partitions: Sequence[TopicPartition]) -> None: ...
    async def assigned(self, partitions: Sequence[TopicPartition]) -> None: ...


class Subscription(Protocol):
    """A member of a consumer group.

    ``poll`` gives records per partition, each list in offset order and without gaps; at most ``limit`` in all, waiting
    at most ``timeout`` seconds for the first. Around a rebalance a poll may hold records of the assignment before or
    after it: whoever drops them must ``seek`` back. ``commit`` takes the offset of the next record to read and raises
    ``BusUnavailable`` when the group has moved on (then nothing was committed). ``lag`` counts records not committed.
    """

    async def poll(self, limit: int, timeout: float) -> Mapping[TopicPartition, Sequence[Polled]]: ...
    async def commit(self, offsets: Mapping[TopicPartition, int]) -> None: ...
    async def seek(self, offsets: Mapping[TopicPartition, int]) -> None: ...
    async def lag(self) -> Mapping[TopicPartition, int]: ...
    def assignment(self) -> Iterable[TopicPartition]: ...
    async def close(self) -> None: ...


class Reader(Protocol):
    """Reads partitions by position, outside any group; the caller keeps the positions.

    ``set`` replaces the whole assignment: positions, and everything fetched before, are forgotten. ``pause`` names the
    partitions that ``next`` leaves out from now on (replacing the earlier list); their positions stay. ``next`` waits
    at most ``timeout`` seconds and raises ``PositionOutOfRange`` rather than jump. ``note`` tells the log how far the
    caller is, so that ordinary tools can show a lag under ``group``; it carries no promise.
    """

    async def set(self, positions: Mapping[TopicPartition, int]) -> None: ...
    def pause(self, partitions: Iterable[TopicPartition]) -> None: ...
    async def next(self, limit: int, timeout: float) -> Mapping[TopicPartition, Sequence[Fetched]]: ...
    async def earliest(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]: ...
    async def latest(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]: ...
    async def note(self, positions: Mapping[TopicPartition, int]) -> None: ...
    async def close(self) -> None: ...


class Bus(Protocol):
    """A durable log of topics with a fixed number of partitions.

    Key, value and headers come back byte for byte, in the order of publication per partition. What ``publish``
    acknowledged survives a crash of any one process (``memory``: as long as the object lives). Values up to 256 KiB.
    """

    async def open(self) -> None: ...
    async def close(self) -> None: ...
    async def create(self, topics: Sequence[TopicSpec]) -> None: ...  # those that exist are left alone
    async def grow(self, topics: Sequence[str], partitions: int) -> None: ...  # at least so many; records stay
    async def describe(self) -> dict[str, TopicState]: ...
    async def publisher(self) -> Publisher: ...
    async def subscribe(
        self, group: str, topics: Sequence[str], rebalance: Rebalance, *, member: str | None = None
    ) -> Subscription: ...
    async def reader(self, group: str) -> Reader: ...


class Ledger(Protocol):
    """One SQL database. Work is a plain function over a SQLAlchemy Core ``Connection`` (see ``router/ledger``).

    ``write`` runs it in one transaction and returns when that is durable. Raises ``LedgerUnavailable`` (nothing was
    written), ``CommitUnknown`` (read again), or what the work raised (rolled back). Deadlocks and serialization
    failures are retried inside, so work may run more than once and must have no effect but its rows. ``read`` sees
    committed rows only and never blocks a writer. Work of the flow stays short (SQLite runs it on the loop).
    """

    async def open(self) -> None: ...
    async def close(self) -> None: ...
    async def write(self, work: Callable[[Connection], R]) -> R: ...
    async def read(self, work: Callable[[Connection], R]) -> R: ...


class ObjectStore(Protocol):
    """Attachments and legal originals, by content. ``put`` is idempotent and durable when it returns the key;
    ``get`` raises ``ObjectError`` when the object is missing or no longer matches its SHA-256.
    """

    async def put(self, content: bytes) -> str: ...
    async def get(self, key: str) -> bytes: ...


class WriterSchema(NamedTuple):
    """The schema a payload was written with, as its JSON reads, and the full name of its record."""

    name: str
    schema: Mapping[str, Any]


class SchemaStore(Protocol):
    """Writer schemas by CRC-64-AVRO fingerprint (8 bytes, little endian) or by registry id. Answers from memory; raises
    ``UnknownSchema`` for what is not known (yet): asked again later, the answer may be another.
    """

    def by_fingerprint(self, fingerprint: bytes) -> WriterSchema: ...
    def by_id(self, schema_id: int) -> WriterSchema: ...
