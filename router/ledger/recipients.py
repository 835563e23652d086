"""Whether recipients may be called: open, held or stopped, since when, why and by whom."""

from __future__ import annotations

from dataclasses import asdict
from typing import Final

from sqlalchemy import Connection, select

from router.ledger.rows import RecipientState
from router.ledger.tables import recipient
from router.ledger.upsert import put

_ALL: Final = select(recipient).order_by(recipient.c.recipient)


def set_recipient(conn: Connection, state: RecipientState) -> None:
    """Store a recipient's state."""
    put(conn, recipient, asdict(state))


def recipient_states(conn: Connection) -> list[RecipientState]:
    """The states that were ever set; a recipient without one is open."""
    rows = conn.execute(_ALL)
    return [RecipientState(r.recipient, r.status, r.since, r.reason, r.by) for r in rows]
