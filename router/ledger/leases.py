"""Leases and the beats of processes. No stored time is compared between clocks: a beat is a number that rises."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from sqlalchemy import Connection, bindparam, delete, select, update

from router.ledger.alerts import clear_of
from router.ledger.holds import clear_holds
from router.ledger.registry import clear_in_force
from router.ledger.rows import Lease
from router.ledger.tables import lease, process
from router.ledger.upsert import insert_new, put

_PROCESSES: Final = select(process)
_LEASES: Final = select(lease)
_TAKE: Final = update(lease).where(lease.c.name == bindparam("wanted"), lease.c.epoch == bindparam("seen"))


class ProcessRow(NamedTuple):
    """A process as stored: its last beat, and the kinds of leases it takes part in sharing."""

    beat: int
    roles: frozenset[str]


class LeaseRow(NamedTuple):
    """A lease as stored. ``clean``: its last owner had no call under way when it let go."""

    name: str
    owner: str | None
    epoch: int
    clean: bool


def ensure(conn: Connection, names: Iterable[str]) -> None:
    """Make the rows of leases that do not exist yet."""
    insert_new(conn, lease, [{"name": name, "epoch": 0, "clean": True} for name in sorted(names)])


def beat(conn: Connection, owner: str, number: int, roles: str = "") -> None:
    """Store a process's beat. ``roles`` joined by commas."""
    put(conn, process, {"id": owner, "beat": number, "roles": roles})


def processes(conn: Connection) -> dict[str, ProcessRow]:
    """Every process with its last beat."""
    rows = conn.execute(_PROCESSES)
    return {row.id: ProcessRow(row.beat, frozenset((row.roles or "").split(","))) for row in rows}


def bury(conn: Connection, owner: str, beat: int, *, now: int) -> None:
    """Remove a process's row, what it held back and its alerts, if its beat has not moved."""
    if conn.execute(delete(process).where(process.c.id == owner, process.c.beat == beat)).rowcount:
        clear_of(conn, owner, now=now)
        clear_holds(conn, owner)
        clear_in_force(conn, owner)


def leases(conn: Connection) -> dict[str, LeaseRow]:
    """All leases by name."""
    return {r.name: LeaseRow(r.name, r.owner, r.epoch, r.clean) for r in conn.execute(_LEASES)}


def take(
    conn: Connection, name: str, owner: str, seen_epoch: int, *, still: tuple[str, int] | None = None
) -> Lease | None:
    """Take a lease if it still has the epoch that was seen, raising it; None if somebody was quicker.

    ``still`` is the present owner with the beat at which it stands: if it has moved, nothing is taken. The row is
    locked, so that a beat under way comes wholly before or wholly behind.
    """
    if still is not None:
        moved = conn.execute(select(process.c.beat).where(process.c.id == still[0]).with_for_update()).scalar()
        if moved is not None and moved != still[1]:
            return None
    values = {"owner": owner, "epoch": seen_epoch + 1, "clean": False}
    taken = conn.execute(_TAKE, {"wanted": name, "seen": seen_epoch, **values})
    return Lease(name, seen_epoch + 1) if taken.rowcount == 1 else None


def release(conn: Connection, held: Sequence[Lease], *, clean: bool) -> None:
    """Let go of leases; those that another epoch owns are left alone."""
    for each in held:
        conn.execute(
            update(lease).where(lease.c.name == each.name, lease.c.epoch == each.epoch).values(owner=None, clean=clean)
        )


def forget(conn: Connection, owner: str, *, now: int) -> None:
    """A process has ended and owns nothing: its beat goes, what it held back and its alerts."""
    clear_of(conn, owner, now=now)
    clear_holds(conn, owner)
    clear_in_force(conn, owner)
    conn.execute(delete(process).where(process.c.id == owner))
