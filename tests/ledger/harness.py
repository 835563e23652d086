"""A ledger of each kind with one recipient's shards, and short names for what tests put into it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from hashlib import blake2b
from pathlib import Path
from typing import Any

from router.ledger import leases, purge, store
from router.ledger.engine import SqliteLedger, open_ledger
from router.ledger.migrations import revision
from router.ledger.rows import (
    Accepted,
    Arrival,
    Attempt,
    Body,
    Delivery,
    Emission,
    Failure,
    Lease,
    Shard,
    State,
    Transition,
)
from router.ports import Clock, Ledger
from router.sdk.testing.clock import ManualClock

RECIPIENT = "tax-h39"
PARTITIONS = 2
NOW = 1_750_000_000_000_000
SECOND = 1_000_000
DAY = 86_400 * SECOND
WINDOW = 90 * DAY
HEADERS = (("ce_id", b"1"), ("ce_source", b"one-stop-h39"), ("lgsp_digest", b"\x00\xff" * 8))


@asynccontextmanager
async def opened(url: str, clock: Clock, lease_seconds: float = 15.0) -> AsyncIterator[Ledger]:
    """An existing ledger, open for the length of the block."""
    ledger = open_ledger(url, clock, lease_seconds=lease_seconds)
    await ledger.open()
    try:
        yield ledger
    finally:
        await ledger.close()


@asynccontextmanager
async def in_memory() -> AsyncIterator[Ledger]:
    """A new ledger in memory."""
    ledger = SqliteLedger(None, ManualClock(flows=True))
    await ledger.open()
    try:
        yield ledger
    finally:
        await ledger.close()


def new_file(folder: Path) -> str:
    """The URL of a SQLite file with tables, new and without a row if there is none yet."""
    path = folder / "ledger.db"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        path.write_bytes(revision.blank())
    return f"sqlite:///{path}"


def arrival(number: int, **changes: Any) -> Arrival:
    """An event at offset ``number``; its identity and digest follow from ``event_id`` and ``body``."""
    event_id = changes.pop("event_id", f"event-{number}")
    body = changes.pop("body", Body(b"bytes of " + event_id.encode(errors="replace"), HEADERS))
    values: dict[str, Any] = {
        "offset": number,
        "key": b"dossier-A".ljust(16, b"."),
        "identity": hashed(event_id.encode(errors="replace")),
        "digest": hashed(body.value),
        "source": "one-stop-h39",
        "event_id": event_id,
        "event_type": "dossier.accepted",
        "subject": "H39.16-250616-0001",
        "urgent": False,
        "body": body,
    }
    return Arrival(**(values | changes))


def key(name: str) -> bytes:
    """The key of a lane."""
    return f"dossier-{name}".encode().ljust(16, b".")


def hashed(data: bytes) -> bytes:
    return blake2b(data, digest_size=16).digest()


async def shard(ledger: Ledger, partition: int = 0, recipient: str = RECIPIENT) -> Shard:
    """A shard as stored now."""
    return next(s for s in await ledger.read(lambda c: store.shards(c, [recipient])) if s.partition == partition)


async def accept(
    ledger: Ledger, *arrivals: Arrival, partition: int = 0, recipient: str = RECIPIENT, now: int = NOW
) -> list[Accepted]:
    """Accept arrivals at a shard's stored position, which then stands behind the last of them."""
    place = await shard(ledger, partition, recipient)
    position = max((a.offset + 1 for a in arrivals), default=place.position)
    return await ledger.write(
        lambda conn: store.accept(conn, place, max(position, place.position), b"print", arrivals, now=now)
    )


async def delivery(ledger: Ledger, seq: int, partition: int = 0, recipient: str = RECIPIENT) -> Delivery:
    """A state row, which is there."""
    place = await shard(ledger, partition, recipient)
    found = await ledger.read(lambda conn: store.one(conn, place.id, seq))
    assert found is not None
    return found


async def change(ledger: Ledger, seq: int, state: State, **changes: Any) -> Transition:
    """Bring a delivery from the version it has to a state."""
    partition, recipient = changes.pop("partition", 0), changes.pop("recipient", RECIPIENT)
    now = await delivery(ledger, seq, partition, recipient)
    made = Transition(now.shard, seq, now.version, state, **changes)
    await ledger.write(lambda conn: store.apply(conn, [made]))
    return made


async def purged(ledger: Ledger, *, before: int, window: int = WINDOW) -> dict[str, int]:
    """Purge what was finished before a moment, which is also now, under the lease."""

    def take(conn: Any) -> Lease | None:
        leases.ensure(conn, [purge.LEASE])
        return leases.take(conn, purge.LEASE, "operator", leases.leases(conn)[purge.LEASE].epoch)

    lease = await ledger.write(take)
    assert lease is not None

    async def turn() -> Lease:
        return lease

    def identity_of(_source: bytes, event_id: bytes) -> bytes:
        return hashed(event_id)

    return await purge.purge(ledger, turn, before=before, now=before, window=window, identity_of=identity_of)


def failure(reason: str = "bad_request", **changes: Any) -> Failure:
    values = {"outcome": "invalid", "partner_code": "TAX-04", "message": "thiếu số tờ bản đồ", "cause": "c1"}
    return Failure(**{**values, "reason": reason, **changes})


def attempt(number: int = 1, **changes: Any) -> Attempt:
    return Attempt(**{"number": number, "started": NOW, "ended": NOW + SECOND, "outcome": "transient", **changes})


def emission(number: int, **changes: Any) -> Emission:
    values = {
        "topic": "lgsp.dossier", "partition": -1, "key": key("A"), "value": f"v{number}".encode(), "headers": HEADERS,
    }  # fmt: skip
    return Emission(**(values | changes))
