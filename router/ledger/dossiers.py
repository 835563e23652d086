"""Queries over the facts of dossiers: classes of a period, what is at risk."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, and_, case, func, insert, or_, select

from router.ledger.procedure_tables import dossier

SOLVED: Final = (9, 10)
CLOSED: Final = (3, 7)
SUPPLEMENT: Final = 5


class By(StrEnum):
    """What a report groups by."""

    AGENCY = "agency"
    PROCEDURE = "procedure"
    LEVEL = "level"


def add(conn: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert facts of many new dossiers (a migration from another system)."""
    conn.execute(insert(dossier), list(rows))


def counts(conn: Connection, by: By, first: date, last: date, today: date) -> list[Mapping[str, Any]]:
    """Dossiers received from ``first`` to ``last`` (both included), by group. The classes compare local dates and are
    disjoint: with ``closed`` (refused, withdrawn) and ``without_due`` they add up to ``received``.
    """
    d = dossier.c
    solved, closed = d.status.in_(SOLVED), d.status.in_(CLOSED)
    dated = d.due_date.is_not(None)
    pending = and_(~solved, ~closed)
    waiting = and_(pending, dated, d.status == SUPPLEMENT)
    running = and_(pending, dated, d.status != SUPPLEMENT)
    classes: dict[str, ColumnElement[bool]] = {
        "early": and_(solved, dated, d.finished_date < d.due_date),
        "on_time": and_(solved, dated, d.finished_date == d.due_date),
        "overdue": and_(solved, dated, d.finished_date > d.due_date),
        "pending": and_(running, d.due_date >= today.isoformat()),
        "pending_overdue": and_(running, d.due_date < today.isoformat()),
        "waiting_supplement": waiting,
        "without_due": and_(~closed, ~dated),
        "closed": closed,
        "paused": and_(pending, d.paused_since.is_not(None)),
        "counter": d.channel == "counter",
        "online": d.channel == "online",
        "postal": d.channel == "postal",
        "full": d.service_level == "full",
        "partial": d.service_level == "partial",
    }
    column = d[by.value]
    query = (
        select(column.label("group"), func.count().label("received"), *(_count(name, c) for name, c in classes.items()))
        .where(d.received_date.between(first.isoformat(), last.isoformat()))
        .group_by(column)
        .order_by(column)
    )
    return [dict(row._mapping) for row in conn.execute(query)]


def at_risk(conn: Connection, until: date, limit: int) -> list[Mapping[str, Any]]:
    """Open dossiers due on a day or before, and overdue ones without an apology; by agency, the oldest date first."""
    d = dossier.c
    open_ones = and_(d.status.not_in((*SOLVED, *CLOSED)), d.due_date.is_not(None))
    late = or_(d.due_date <= until.isoformat(), and_(d.overdue_detected_at.is_not(None), d.apology_at.is_(None)))
    query = select(dossier).where(open_ones, late).order_by(d.agency, d.due_date, d.code).limit(limit)
    return [dict(row._mapping) for row in conn.execute(query)]


def _count(name: str, condition: ColumnElement[bool]) -> ColumnElement[int]:
    return func.coalesce(func.sum(case((condition, 1), else_=0)), 0).label(name)
