"""Instances in which money waits by an index; dossiers that their procedures closed, as closed in reports."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

PAGE = 500
VIETNAM = timezone(timedelta(hours=7))
ENDED_BY_STATUS = (3, 7, 9, 10)

instance = sa.table(
    "instance",
    sa.column("key", sa.LargeBinary),
    sa.column("state", sa.JSON),
    sa.column("closed_at", sa.BigInteger),
    sa.column("end_state", sa.Text),
    sa.column("money_waits", sa.Boolean),
)
dossier = sa.table(
    "dossier",
    sa.column("key", sa.LargeBinary),
    sa.column("status", sa.SmallInteger),
    sa.column("finished_at", sa.BigInteger),
    sa.column("finished_date", sa.Text),
)


def upgrade() -> None:
    """Add the column and its index; then bring the rows that are there, in pages."""
    op.add_column("instance", sa.Column("money_waits", sa.Boolean(), nullable=False, server_default=sa.text("false")))
    conn = op.get_bind()
    _mark_money(conn)
    _close(conn)
    waits = sa.text("money_waits")
    op.create_index("instance_money", "instance", ["key"], sqlite_where=waits, postgresql_where=waits)


def _mark_money(conn: sa.Connection) -> None:
    paid = instance.c.state["finance"]["payments"].as_string() != "[]"
    mark = sa.update(instance).where(instance.c.key == sa.bindparam("at")).values(money_waits=True)
    for page in _pages(conn, sa.select(instance.c.key, instance.c.state).where(paid), instance.c.key):
        found = [{"at": row.key} for row in page if any(map(_waits, row.state["finance"]["payments"]))]
        if found:
            conn.execute(mark, found)


def _waits(payment: Sequence[Any]) -> bool:
    """Whether a payment is suspended (its seventh value) or carried over (its tenth)."""
    return any(payment[6:7]) or any(payment[9:10])


def _close(conn: sa.Connection) -> None:
    """A dossier whose procedure ended without a result and without a status that says so is finished then."""
    query = (
        sa.select(instance.c.key, instance.c.closed_at)
        .join(dossier, dossier.c.key == instance.c.key)
        .where(instance.c.end_state != "", instance.c.closed_at.is_not(None))
        .where(dossier.c.finished_at.is_(None), dossier.c.status.not_in(ENDED_BY_STATUS))
    )
    close = (
        sa.update(dossier)
        .where(dossier.c.key == sa.bindparam("at"))
        .values(finished_at=sa.bindparam("instant"), finished_date=sa.bindparam("day"))
    )
    for page in _pages(conn, query, instance.c.key):
        conn.execute(close, [_finished(row.key, row.closed_at) for row in page])


def _finished(key: bytes, instant: int) -> dict[str, Any]:
    day = datetime.fromtimestamp(instant / 1e6, UTC).astimezone(VIETNAM).date()
    return {"at": key, "instant": instant, "day": day.isoformat()}


def _pages(conn: sa.Connection, query: sa.Select[Any], key: sa.ColumnElement[Any]) -> Iterator[Sequence[sa.Row[Any]]]:
    """Rows in the order of their keys, a page at a time."""
    after = b""
    while page := conn.execute(query.where(key > after).order_by(key).limit(PAGE)).all():
        yield page
        after = page[-1].key
