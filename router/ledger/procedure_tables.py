"""The tables of procedures: instances, their event logs and timers, and the facts of dossiers that reports count.

Instants are µs since 1970, UTC, of *business* time where a law counts them (``due_…``, ``timer.due``). Local dates are
ISO text (``2025-08-15``) beside them, because the law counts dates.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import JSON, BigInteger, Boolean, Column, Index, Integer, LargeBinary, SmallInteger, Table, Text, text

from router.ledger.tables import metadata

MONEY_WAITS: Final = text("money_waits")

instance = Table(
    "instance",
    metadata,
    Column("key", LargeBinary, primary_key=True),  # of the dossier or document
    Column("procedure", Text, nullable=False),
    Column("definition", Integer, nullable=False),  # the version pinned at acceptance
    Column("version", Integer, nullable=False),  # of this row
    Column("state", JSON, nullable=False),
    Column("opened_at", BigInteger, nullable=False),
    Column("closed_at", BigInteger),
    Column("end_state", Text, nullable=False),  # empty while open
    Column("money_waits", Boolean, nullable=False, server_default=text("false")),  # for a person or for notices to come
)
Index("instance_money", instance.c.key, sqlite_where=MONEY_WAITS, postgresql_where=MONEY_WAITS)

instance_event = Table(
    "instance_event",
    metadata,
    Column("key", LargeBinary, primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("source", Text, nullable=False),
    Column("event_id", Text, nullable=False),
    Column("event_type", Text, nullable=False),
    Column("occurred_at", BigInteger, nullable=False),  # as the source claims
    Column("received_at", BigInteger, nullable=False),
    Column("applied_at", BigInteger, nullable=False),
    Column("verdict", Text, nullable=False),  # applied, early, late_ignored, illegal_transition, noted, undone
    Column("flags", JSON, nullable=False),
    Column("facts", JSON, nullable=False),  # what the engine read of the payload: no personal data
)

timer = Table(
    "timer",
    metadata,
    Column("key", LargeBinary, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("version", Integer, nullable=False),  # of the instance that set it
    Column("due", BigInteger, nullable=False),
    Index("timer_due", "due"),
)

dossier = Table(
    "dossier",
    metadata,
    Column("key", LargeBinary, primary_key=True),
    Column("code", Text, nullable=False),
    Column("procedure", Text, nullable=False),
    Column("agency", Text, nullable=False),
    Column("level", Text, nullable=False),  # central, province, district, commune
    Column("channel", Text, nullable=False),  # counter, online, postal
    Column("service_level", Text, nullable=False),  # partial, full
    Column("status", SmallInteger, nullable=False),  # 1..10
    Column("received_at", BigInteger, nullable=False),
    Column("received_date", Text, nullable=False),
    Column("accepted_at", BigInteger),
    Column("due_agency", BigInteger),
    Column("due_whole", BigInteger),
    Column("due_date", Text),  # of due_whole
    Column("finished_at", BigInteger),
    Column("finished_date", Text),
    Column("returned_at", BigInteger),
    Column("paused_since", BigInteger),
    Column("paused_status", SmallInteger),  # 5, 6 or 8 while paused
    Column("supplement_rounds", Integer, nullable=False),
    Column("overdue_detected_at", BigInteger),
    Column("apology_at", BigInteger),
    Column("extended", Boolean, nullable=False),
    Column("integrity_warning", Boolean, nullable=False),
    Column("calendar", Text, nullable=False),  # version of the calendar that counted the due dates
    Column("sector", Text),  # MaLinhVuc, as the one-stop states it
    Index("dossier_received", "received_date"),
    Index("dossier_finished", "finished_date"),
    Index("dossier_due", "due_date"),
    Index("dossier_code", "code"),
)

due_move = Table(
    "due_move",
    metadata,
    Column("key", LargeBinary, primary_key=True),
    Column("kind", Text, primary_key=True),  # agency, whole
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("at", BigInteger, nullable=False),
    Column("due", BigInteger, nullable=False),
    Column("why", Text, nullable=False),
)
