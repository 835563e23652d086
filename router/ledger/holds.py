"""What processes hold back at the moment, for operators to see. Nothing is decided by these rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import Connection, delete, select

from router.ledger.tables import hold, process
from router.ledger.upsert import put


class Hold(NamedTuple):
    """Why a process calls a recipient less than it could: ``down``, ``paused``, ``closed``, or memory is full
    (``saturated``, ``parked_full``). ``until`` (UTC µs) is the next probe, or the end; 0 where no time ends it.
    """

    recipient: str
    process: str
    kind: str
    since: int
    reason: str
    until: int


def put_holds(conn: Connection, owner: str, changed: Sequence[tuple[str, Hold | None]]) -> None:
    """Write what a process holds, or holds no more, by recipient."""
    for recipient, held in changed:
        if held is None:
            conn.execute(delete(hold).where(hold.c.recipient == recipient, hold.c.process == owner))
        else:
            put(conn, hold, held._asdict())


def current_holds(conn: Connection) -> list[Hold]:
    """All holds of processes that have not ended, by recipient."""
    rows = conn.execute(select(hold).join(process, process.c.id == hold.c.process).order_by(hold.c.recipient))
    return [Hold(*row) for row in rows]


def clear_holds(conn: Connection, owner: str) -> None:
    """A process has ended."""
    conn.execute(delete(hold).where(hold.c.process == owner))
