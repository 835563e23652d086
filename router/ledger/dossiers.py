"""Queries over the facts of dossiers: classes of a period, what is at risk."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from enum import StrEnum
from typing import Any, Final, NamedTuple

from sqlalchemy import ColumnElement, Connection, Select, and_, case, func, insert, or_, select

from router.ledger.procedure_tables import dossier

SOLVED: Final = (9, 10)
CLOSED: Final = (3, 7)
SUPPLEMENT: Final = 5
_DAY: Final = 86_400_000_000  # µs
_EAST: Final = 7 * 3_600_000_000  # of UTC; Vietnam has no summer time
CHANNELS: Final = ("online", "counter", "postal")


class By(StrEnum):
    """What a report groups by."""

    AGENCY = "agency"
    PROCEDURE = "procedure"
    LEVEL = "level"
    SECTOR = "sector"


class Scope(NamedTuple):
    """Which dossiers a report counts: those of these agencies, of this level; empty parts do not restrict."""

    agencies: tuple[str, ...] = ()
    level: str = ""


ALL: Final = Scope()


def add(conn: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert facts of many new dossiers (a migration from another system)."""
    conn.execute(insert(dossier), list(rows))


def counts(conn: Connection, by: By, first: date, last: date, today: date, scope: Scope = ALL) -> list[dict[str, Any]]:
    """Dossiers received from ``first`` to ``last`` (both included), by group. The classes compare local dates and are
    disjoint: with ``closed`` (refused, withdrawn, stopped for good or replaced) and ``without_due`` they add up to
    ``received``.
    """
    d = dossier.c
    solved, closed = d.status.in_(SOLVED), _closed()
    dated = d.due_date.is_not(None)
    pending = and_(~solved, ~closed)
    running = and_(pending, dated, d.status != SUPPLEMENT)
    classes: dict[str, ColumnElement[bool]] = {
        **_solved(solved),
        "pending": and_(running, ~passed(today)),
        "pending_overdue": and_(running, passed(today)),
        "waiting_supplement": and_(pending, dated, d.status == SUPPLEMENT),
        "without_due": and_(~closed, ~dated),
        "closed": closed,
        "paused": and_(pending, d.paused_since.is_not(None)),
        "counter": d.channel == "counter",
        "online": d.channel == "online",
        "postal": d.channel == "postal",
        "full": d.service_level == "full",
        "partial": d.service_level == "partial",
    }
    return _grouped(conn, by, "received", classes, d.received_date.between(first.isoformat(), last.isoformat()), scope)


def flows(conn: Connection, by: By, first: date, last: date, until: int, scope: Scope = ALL) -> list[dict[str, Any]]:
    """What the national form counts from ``first`` to ``last`` (both included): what was carried over and received,
    what was finished, and what was open at the end. ``until`` is the end of ``last`` (µs UTC).

    carried_over + online + counter + postal + other_channel = early + on_time + overdue + solved_without_due + closed
    + open_in_time + open_overdue + open_supplement + open_without_due, group by group.
    """
    d, begin, end = dossier.c, first.isoformat(), last.isoformat()
    inside = d.received_date >= begin
    finished = and_(d.finished_date.is_not(None), d.finished_date <= end)
    solved, closed = and_(finished, ~_closed()), and_(finished, _closed())
    dated, open_then = d.due_date.is_not(None), ~func.coalesce(finished, False)
    waiting = and_(open_then, d.paused_status == SUPPLEMENT, d.paused_since < until)
    waited = func.coalesce(waiting, False)
    classes: dict[str, ColumnElement[bool]] = {
        "carried_over": ~inside,
        **{channel: and_(inside, d.channel == channel) for channel in CHANNELS},
        "other_channel": and_(inside, d.channel.not_in(CHANNELS)),
        **_solved(solved),
        "solved_without_due": and_(solved, ~dated),
        "closed": closed,
        "open_in_time": and_(open_then, ~waited, dated, ~passed(last)),
        "open_overdue": and_(open_then, ~waited, dated, passed(last)),
        "open_supplement": waiting,
        "open_without_due": and_(open_then, ~waited, ~dated),
        "overdue_without_apology": and_(
            dated,
            d.apology_at.is_(None),
            or_(and_(solved, d.finished_date > d.due_date), and_(open_then, ~waited, passed(last))),
        ),
        "extended": d.extended,
    }
    concerned = and_(d.received_date <= end, or_(d.finished_date.is_(None), d.finished_date >= begin))
    return _grouped(conn, by, "concerned", classes, concerned, scope)


def _closed() -> ColumnElement[bool]:
    """Ended without a result: by its status, or by its procedure, which then tells when."""
    d = dossier.c
    return or_(d.status.in_(CLOSED), and_(d.status.not_in(SOLVED), d.finished_date.is_not(None)))


def agencies(conn: Connection) -> list[str]:
    """The agency codes that dossiers have."""
    return list(conn.execute(select(dossier.c.agency).distinct().order_by(dossier.c.agency)).scalars())


def at_risk(conn: Connection, until: date, limit: int, scope: Scope = ALL) -> list[Mapping[str, Any]]:
    """Open dossiers due on a day or before, and overdue ones without an apology; by agency, the oldest date first.

    A dossier that waits for others (paused) is among them only if its date had passed before the pause.
    """
    d = dossier.c
    open_ones = and_(d.status.not_in(SOLVED), ~_closed(), d.due_date.is_not(None))
    late = or_(passed(until + timedelta(days=1)), and_(d.overdue_detected_at.is_not(None), d.apology_at.is_(None)))
    query = _inside(select(dossier).where(open_ones, late), scope)
    return [dict(row._mapping) for row in conn.execute(query.order_by(d.agency, d.due_date, d.code).limit(limit))]


def passed(today: date) -> ColumnElement[bool]:
    """Whether the due date has passed by ``today``. While a dossier is paused its time stands still, and its date moves
    only when the pause ends: then the day on which the pause began is the last that counts.
    """
    d = dossier.c
    before_the_pause = or_(d.paused_since.is_(None), _day(d.due_whole) < _day(d.paused_since))
    return and_(d.due_date < today.isoformat(), before_the_pause)


def _day(at: ColumnElement[int]) -> ColumnElement[int]:
    """The local day of an instant, as a number."""
    return (at + _EAST) // _DAY


def _solved(solved: ColumnElement[bool]) -> dict[str, ColumnElement[bool]]:
    """Solved early, on time, overdue: local dates, never hours."""
    d = dossier.c
    dated = d.due_date.is_not(None)
    return {
        "early": and_(solved, dated, d.finished_date < d.due_date),
        "on_time": and_(solved, dated, d.finished_date == d.due_date),
        "overdue": and_(solved, dated, d.finished_date > d.due_date),
    }


def _grouped(
    conn: Connection,
    by: By,
    all_of: str,
    classes: Mapping[str, ColumnElement[bool]],
    which: ColumnElement[bool],
    scope: Scope,
) -> list[dict[str, Any]]:
    column = func.coalesce(dossier.c[by.value], "")
    counted = [func.coalesce(func.sum(case((met, 1), else_=0)), 0).label(name) for name, met in classes.items()]
    query = _inside(select(column.label("group"), func.count().label(all_of), *counted).where(which), scope)
    return [dict(row._mapping) for row in conn.execute(query.group_by(column).order_by(column))]


def _inside(query: Select[Any], scope: Scope) -> Select[Any]:
    if scope.level:
        query = query.where(dossier.c.level == scope.level)
    return query.where(dossier.c.agency.in_(scope.agencies)) if scope.agencies else query
