"""What an installation was made with, and cannot change by a setting."""

from __future__ import annotations

from sqlalchemy import Connection, select

from router.ledger.tables import installation
from router.ledger.upsert import insert_new, put
from router.refusals import refused

PARTITIONS = "partitions"


def require_partitions(conn: Connection, partitions: int) -> None:
    """Record the partition count at the first start; refuse another one later (order per key hangs on it)."""
    insert_new(conn, installation, [{"name": PARTITIONS, "value": str(partitions)}])
    known = conn.execute(select(installation.c.value).where(installation.c.name == PARTITIONS)).scalar_one()
    if int(known) != partitions:
        raise refused("partitions", key="bus.partitions", form=known, found=known)


def mark(conn: Connection, name: str, value: str) -> None:
    """Note how far something is that is done once for the whole installation."""
    put(conn, installation, {"name": name, "value": value})


def marked(conn: Connection, name: str) -> str | None:
    """What was noted; None: nothing yet."""
    return conn.execute(select(installation.c.value).where(installation.c.name == name)).scalar()
