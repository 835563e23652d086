"""Alerts as rows: raised, counted while they last, cleared."""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import ColumnElement, Connection, select, update

from router.ledger.tables import alert
from router.ledger.upsert import insert_one_new


class Alert(NamedTuple):
    """An open alert. Times are UTC µs; ``times`` says how often it was raised since it opened."""

    name: str
    subject: str
    detail: str
    raised: int
    last: int
    times: int


def raise_alert(conn: Connection, name: str, subject: str, detail: str, *, now: int) -> bool:
    """Raise an alert; True when it is new, False when it is open already (then counted)."""
    first = {"name": name, "subject": subject, "detail": detail, "raised": now, "last": now, "times": 1}
    if insert_one_new(conn, alert, first):
        return True
    conn.execute(update(alert).where(_is_open(name, subject)).values(last=now, detail=detail, times=alert.c.times + 1))
    return False


def clear_alert(conn: Connection, name: str, subject: str, *, now: int) -> bool:
    """Clear an alert; whether it was open."""
    return conn.execute(update(alert).where(_is_open(name, subject)).values(cleared=now)).rowcount > 0


def clear_of(conn: Connection, subject: str, *, now: int) -> None:
    """Clear all alerts about a subject that is gone: a process that has ended."""
    conn.execute(update(alert).where(alert.c.subject == subject, alert.c.cleared.is_(None)).values(cleared=now))


def open_alerts(conn: Connection) -> list[Alert]:
    """Open alerts, oldest first."""
    rows = conn.execute(select(alert).where(alert.c.cleared.is_(None)).order_by(alert.c.id))
    return [Alert(r.name, r.subject, r.detail, r.raised, r.last, r.times) for r in rows]


def _is_open(name: str, subject: str) -> ColumnElement[bool]:
    return (alert.c.name == name) & (alert.c.subject == subject) & alert.c.cleared.is_(None)
