"""Removing what is old and finished, in short transactions; copying the files of the embedded runtime.

A purge is single-handed: it runs under the lease ``purge``, which every transaction of it locks. What an operator
restores meanwhile stays: rows are locked before they go, and a row that another transaction holds is left for the next
purge.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple, TypeAlias, TypeVar

from sqlalchemy import Connection, Select, delete, func, or_, select

from router.errors import LeaseLost
from router.ledger import audit, store, trail
from router.ledger.installation import mark, marked
from router.ledger.rows import FINISHED, Lease
from router.ledger.tables import UNFINISHED, attempt, body, delivery, seen
from router.ports import Ledger
from router.refusals import refused

R = TypeVar("R")

LEASE: Final = "purge"
CUT: Final = "recognition cut to month"
PAGE: Final = 500
RECOGNITION_PAGE: Final = 5_000

#: Keeps the lease and gives it; awaited before each transaction. Raises ``LedgerError`` (``LeaseLost``).
Turn: TypeAlias = Callable[[], Awaitable[Lease]]


async def counted(ledger: Ledger, *, before: int) -> dict[str, int]:
    """How many deliveries ``purge`` would remove; nothing is removed."""

    def count(conn: Connection) -> int:
        old = [_old(place.id, before).subquery() for place in store.shards(conn)]
        return sum(conn.execute(select(func.count()).select_from(one)).scalar_one() for one in old)

    return {"deliveries": await ledger.read(count)}


async def announce(ledger: Ledger, *, before: int, now: int, who: str, why: str) -> None:
    """Write to the audit table who is about to purge, and why."""

    def write(conn: Connection) -> None:
        audit.record(conn, now, who=who, verb="purge", target="ledger", why=why, detail={"before": before})

    await ledger.write(write)


async def purge(
    ledger: Ledger, turn: Turn, *, before: int, now: int, window: int, identity_of: Callable[[bytes, bytes], bytes]
) -> dict[str, int]:
    """Remove deliveries that were finished before ``before``, and the recognition of months that ended ``window`` ago
    (all in UTC µs). Recognition of an event stays while any recipient has not finished it: it may be published again,
    to all of them. ``identity_of`` source and id. Raises ``LedgerError``.
    """
    removed = {"deliveries": 0, "recognition": 0}
    places = await ledger.read(store.shards)
    for place in places:
        while gone := await _write(ledger, turn, partial(_deliveries, shard_id=place.id, before=before)):
            removed["deliveries"] += gone
        await _write(ledger, turn, partial(trail.forget, shard_id=place.id))
    month = (now - window) // store.MONTH
    if month <= int(await ledger.read(partial(marked, name=CUT)) or 0):
        return removed  # that month is cut: nothing to look through until the next one ends
    needed: set[bytes] = set()
    for place in places:
        needed |= await _unfinished(ledger, place.id, identity_of)
    kept = 0
    for place in places:
        cut = await _recognition(ledger, turn, place.id, month, needed)
        removed["recognition"] += cut.removed
        kept += cut.kept
    if not kept:
        await _write(ledger, turn, partial(mark, name=CUT, value=str(month)))
    return removed


async def _write(ledger: Ledger, turn: Turn, work: Callable[[Connection], R]) -> R:
    """Work under the lease."""
    lease = await turn()

    def fenced(conn: Connection) -> R:
        if lease.name not in store.fence(conn, [lease]):
            raise LeaseLost("another purge has begun")
        return work(conn)

    return await ledger.write(fenced)


def copy_sqlite(source: Path, target: Path) -> None:
    """A consistent copy of a SQLite file that may be in use. Raises ``ConfigError``."""
    if not source.exists():
        raise refused("not_there", file=str(source))
    origin, copy = sqlite3.connect(source), sqlite3.connect(target)
    try:
        origin.backup(copy)
    finally:
        origin.close()
        copy.close()


def _deliveries(conn: Connection, shard_id: int, before: int) -> int:
    """Remove one page. Locked first, and looked at again under the lock: an order that restores one of them comes
    wholly before, and it stays, or wholly behind, and finds it gone.
    """
    old = _old(shard_id, before).order_by(delivery.c.seq).limit(PAGE).with_for_update(skip_locked=True)
    seqs = list(conn.execute(old).scalars())
    for table in (attempt, body, delivery):
        conn.execute(delete(table).where(table.c.shard == shard_id, table.c.seq.in_(seqs)))
    return len(seqs)


def _old(shard_id: int, before: int) -> Select[tuple[int]]:
    finished = [state.value for state in FINISHED]
    # One that was skipped before any attempt has no last one.
    ended = func.coalesce(delivery.c.last_at, delivery.c.accepted_at)
    return select(delivery.c.seq).where(
        delivery.c.shard == shard_id, delivery.c.state.in_(finished), delivery.c.accepted_at < before, ended < before
    )


async def _unfinished(ledger: Ledger, shard_id: int, identity_of: Callable[[bytes, bytes], bytes]) -> set[bytes]:
    """Identities of what a shard has not finished, page by page through the index of the unfinished."""
    found: set[bytes] = set()
    after = 0
    while page := await ledger.read(partial(_unfinished_page, shard_id=shard_id, after=after)):
        found.update(identity_of(source.encode(), event_id.encode()) for _, source, event_id in page)
        after = page[-1][0]
    return found


def _unfinished_page(conn: Connection, shard_id: int, after: int) -> list[tuple[int, str, str]]:
    columns = (delivery.c.seq, delivery.c.source, delivery.c.event_id)
    # The sum keeps planners from walking the primary key in order, through all that is finished.
    query = select(*columns).where(delivery.c.shard == shard_id, delivery.c.seq + 0 > after, UNFINISHED)
    rows = conn.execute(query.order_by(delivery.c.seq + 0).limit(RECOGNITION_PAGE))
    return [(row.seq, row.source, row.event_id) for row in rows]


class _Cut(NamedTuple):
    """How many rows of old months went and how many stayed; the identity behind which the next page begins."""

    removed: int = 0
    kept: int = 0
    last: bytes | None = b""


async def _recognition(ledger: Ledger, turn: Turn, shard_id: int, month: int, needed: set[bytes]) -> _Cut:
    """Cut a shard's recognition to ``month``, page by page; of younger rows nothing leaves the database."""
    total = page = _Cut()
    while page.last is not None:
        step = partial(_cut, shard_id=shard_id, month=month, after=page.last, needed=needed)
        page = await _write(ledger, turn, step)
        total = _Cut(total.removed + page.removed, total.kept + page.kept)
    return total


def _cut(conn: Connection, shard_id: int, month: int, after: bytes, needed: set[bytes]) -> _Cut:
    behind = select(seen.c.identity).where(seen.c.shard == shard_id, seen.c.identity > after)
    last = conn.execute(behind.order_by(seen.c.identity).offset(RECOGNITION_PAGE - 1).limit(1)).scalar()
    page = behind.where(seen.c.month < month)
    if last is not None:
        page = page.where(seen.c.identity <= last)
    # One without an id of its own is known by its place: its own row tells whether it is finished.
    own = page.outerjoin(delivery, (delivery.c.shard == seen.c.shard) & (delivery.c.seq == seen.c.seq))
    finished = [state.value for state in FINISHED]
    free = own.where(or_(delivery.c.state.is_(None), delivery.c.state.in_(finished)))
    old = conn.execute(select(func.count()).select_from(page.subquery())).scalar_one()
    gone = [bytes(identity) for identity in conn.execute(free).scalars() if bytes(identity) not in needed]
    for start in range(0, len(gone), PAGE):
        part = seen.c.identity.in_(gone[start : start + PAGE])
        conn.execute(delete(seen).where(seen.c.shard == shard_id, part))
    return _Cut(len(gone), old - len(gone), None if last is None else bytes(last))
