"""Whether recipients may be called: open, held or stopped, since when, why and by whom."""

from __future__ import annotations

from sqlalchemy import Connection, delete, insert, select

from router.ledger.rows import RecipientState
from router.ledger.tables import recipient


def set_recipient(conn: Connection, state: RecipientState) -> None:
    """Store a recipient's state."""
    conn.execute(delete(recipient).where(recipient.c.recipient == state.recipient))
    conn.execute(
        insert(recipient).values(
            recipient=state.recipient, status=state.status, since=state.since, reason=state.reason, by=state.by
        )
    )


def recipient_states(conn: Connection) -> list[RecipientState]:
    """The states that were ever set; a recipient without one is open."""
    rows = conn.execute(select(recipient).order_by(recipient.c.recipient))
    return [RecipientState(r.recipient, r.status, r.since, r.reason, r.by) for r in rows]
