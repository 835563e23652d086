"""The agency registry's change feed, and what processes route by."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "agency",
        sa.Column("id", sa.Text(), primary_key=True),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("deleted", sa.Boolean(), nullable=False),
        sa.Column("record", sa.JSON(), nullable=False),
    )
    op.create_index("agency_version", "agency", ["version"], unique=True)
    op.create_table(
        "agency_change",
        sa.Column("version", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("agency", sa.Text(), nullable=False),
        sa.Column("deleted", sa.Boolean(), nullable=False),
        sa.Column("record", sa.JSON(), nullable=False),
        sa.Column("who", sa.Text(), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("order_id", sa.BigInteger(), nullable=False),
        sa.Column("published_at", sa.BigInteger(), nullable=False),
        sa.Column("applied_at", sa.BigInteger(), nullable=False),
    )
    op.create_index("agency_change_agency", "agency_change", ["agency", "version"])
    op.create_table(
        "registry_position",
        sa.Column("partition", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
    )
    op.create_table(
        "in_force",
        sa.Column("process", sa.Text(), primary_key=True),
        sa.Column("rules", sa.Text(), nullable=False),
        sa.Column("registry", sa.Text(), nullable=False),
        sa.Column("since", sa.BigInteger(), nullable=False),
    )
