"""The agency registry in the ledger: changes of the feed applied in their order, each raising the version by one.

Plain functions over a Core connection. Whoever applies holds the lease ``registry`` and fences first.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, Row, delete, func, insert, select

from router.errors import StalePosition
from router.ledger.lists import among
from router.ledger.registry_tables import agency, agency_change, in_force, registry_position
from router.ledger.tables import process
from router.ledger.upsert import put

LEASE: Final = "registry"


class Incoming(NamedTuple):
    """A change as it came over the feed. ``record`` is the Avro record as JSON; ``published_at`` is UTC µs."""

    agency: str
    record: Mapping[str, Any]
    deleted: bool
    who: str
    why: str
    order_id: int
    published_at: int


class Changed(NamedTuple):
    """A change as it was applied. Times are UTC µs."""

    version: int
    agency: str
    record: Mapping[str, Any]
    deleted: bool
    who: str
    why: str
    order_id: int
    published_at: int
    applied_at: int


class Stored(NamedTuple):
    """An agency as it stands, with the version of its last change."""

    agency: str
    version: int
    record: Mapping[str, Any]
    deleted: bool


class InForce(NamedTuple):
    """What a process routes by: the digest of its rules, the version of its registry, since when (UTC µs)."""

    process: str
    rules: str
    registry: str
    since: int


def version(conn: Connection) -> int:
    """How many changes were ever applied; 0: the registry is not kept here yet."""
    return int(conn.execute(select(func.coalesce(func.max(agency.c.version), 0))).scalar_one())


def changed_since(conn: Connection, after: int, limit: int) -> list[Stored]:
    """Agencies whose last change has a version above ``after``, by that version."""
    query = select(agency).where(agency.c.version > after).order_by(agency.c.version).limit(limit)
    return [_stored(row) for row in conn.execute(query)]


def stored(conn: Connection, ids: Collection[str]) -> dict[str, Stored]:
    """These agencies as they stand; unknown ones are left out."""
    return {row.id: _stored(row) for row in conn.execute(select(agency).where(among(conn, agency.c.id, ids)))}


def history(conn: Connection, ids: Collection[str]) -> list[Changed]:
    """All changes of these agencies, oldest first."""
    query = select(agency_change).where(among(conn, agency_change.c.agency, ids)).order_by(agency_change.c.version)
    return [_changed(row) for row in conn.execute(query)]


def applied_by(conn: Connection, order_id: int) -> list[int]:
    """The versions that the changes of an order have made so far."""
    query = select(agency_change.c.version).where(agency_change.c.order_id == order_id)
    return list(conn.execute(query.order_by(agency_change.c.version)).scalars())


def positions(conn: Connection) -> dict[int, int]:
    """By partition of the feed, the offset of the next record to apply."""
    return {row.partition: row.position for row in conn.execute(select(registry_position))}


def apply(
    conn: Connection, found: Sequence[Incoming], moves: Mapping[int, tuple[int, int]], *, now: int
) -> list[Incoming]:
    """Apply changes and move the positions (from, to) by partition; those that changed something.

    What says only what is known already raises no version. Raises ``StalePosition`` when somebody was quicker.
    """
    at = positions(conn)
    for partition, (before, after) in moves.items():
        if at.get(partition, 0) != before:
            raise StalePosition(f"the registry's feed stands at {partition}/{at.get(partition, 0)}, not {before}")
        put(conn, registry_position, {"partition": partition, "position": after})
    known = stored(conn, {one.agency for one in found})
    number, effective = version(conn), []
    for one in found:
        last = known.get(one.agency)
        if last is not None and (last.deleted, last.record) == (one.deleted, one.record):
            continue
        number += 1
        state = {"version": number, "deleted": one.deleted, "record": dict(one.record)}
        put(conn, agency, {"id": one.agency, **state})
        told = {"who": one.who, "why": one.why, "order_id": one.order_id, "published_at": one.published_at}
        conn.execute(insert(agency_change).values(agency=one.agency, applied_at=now, **state, **told))
        known[one.agency] = Stored(one.agency, number, one.record, one.deleted)
        effective.append(one)
    return effective


def put_in_force(conn: Connection, found: InForce) -> None:
    """Say what a process routes by from now on."""
    put(conn, in_force, found._asdict())


def clear_in_force(conn: Connection, owner: str) -> None:
    """A process has ended."""
    conn.execute(delete(in_force).where(in_force.c.process == owner))


def all_in_force(conn: Connection) -> list[InForce]:
    """What processes that have not ended route by."""
    query = select(in_force).join(process, process.c.id == in_force.c.process).order_by(in_force.c.since)
    return [InForce(*row) for row in conn.execute(query)]


def _stored(row: Row[Any]) -> Stored:
    return Stored(row.id, row.version, row.record, row.deleted)


def _changed(row: Row[Any]) -> Changed:
    return Changed(
        row.version, row.agency, row.record, row.deleted,
        row.who, row.why, row.order_id, row.published_at, row.applied_at,
    )  # fmt: skip
