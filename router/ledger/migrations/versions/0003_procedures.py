"""Procedure instances, their timers and the dossier facts that reports count."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "instance",
        sa.Column("key", sa.LargeBinary(), primary_key=True),
        sa.Column("procedure", sa.Text(), nullable=False),
        sa.Column("definition", sa.Integer(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("state", sa.JSON(), nullable=False),
        sa.Column("opened_at", sa.BigInteger(), nullable=False),
        sa.Column("closed_at", sa.BigInteger()),
        sa.Column("end_state", sa.Text(), nullable=False),
    )
    op.create_table(
        "instance_event",
        sa.Column("key", sa.LargeBinary(), primary_key=True),
        sa.Column("number", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("event_id", sa.Text(), nullable=False),
        sa.Column("event_type", sa.Text(), nullable=False),
        sa.Column("occurred_at", sa.BigInteger(), nullable=False),
        sa.Column("received_at", sa.BigInteger(), nullable=False),
        sa.Column("applied_at", sa.BigInteger(), nullable=False),
        sa.Column("verdict", sa.Text(), nullable=False),
        sa.Column("flags", sa.JSON(), nullable=False),
        sa.Column("facts", sa.JSON(), nullable=False),
    )
    op.create_table(
        "timer",
        sa.Column("key", sa.LargeBinary(), primary_key=True),
        sa.Column("name", sa.Text(), primary_key=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("due", sa.BigInteger(), nullable=False),
    )
    op.create_table(
        "dossier",
        sa.Column("key", sa.LargeBinary(), primary_key=True),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("procedure", sa.Text(), nullable=False),
        sa.Column("agency", sa.Text(), nullable=False),
        sa.Column("level", sa.Text(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("service_level", sa.Text(), nullable=False),
        sa.Column("status", sa.SmallInteger(), nullable=False),
        sa.Column("received_at", sa.BigInteger(), nullable=False),
        sa.Column("received_date", sa.Text(), nullable=False),
        sa.Column("accepted_at", sa.BigInteger()),
        sa.Column("due_agency", sa.BigInteger()),
        sa.Column("due_whole", sa.BigInteger()),
        sa.Column("due_date", sa.Text()),
        sa.Column("finished_at", sa.BigInteger()),
        sa.Column("finished_date", sa.Text()),
        sa.Column("returned_at", sa.BigInteger()),
        sa.Column("paused_since", sa.BigInteger()),
        sa.Column("paused_status", sa.SmallInteger()),
        sa.Column("supplement_rounds", sa.Integer(), nullable=False),
        sa.Column("overdue_detected_at", sa.BigInteger()),
        sa.Column("apology_at", sa.BigInteger()),
        sa.Column("extended", sa.Boolean(), nullable=False),
        sa.Column("integrity_warning", sa.Boolean(), nullable=False),
        sa.Column("calendar", sa.Text(), nullable=False),
    )
    op.create_table(
        "due_move",
        sa.Column("key", sa.LargeBinary(), primary_key=True),
        sa.Column("kind", sa.Text(), primary_key=True),
        sa.Column("number", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("due", sa.BigInteger(), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
    )
    op.create_index("timer_due", "timer", ["due"])
    op.create_index("dossier_received", "dossier", ["received_date"])
    op.create_index("dossier_finished", "dossier", ["finished_date"])
    op.create_index("dossier_due", "dossier", ["due_date"])
    op.create_index("dossier_code", "dossier", ["code"])
