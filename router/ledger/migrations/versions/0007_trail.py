"""Where a key's deliveries stand, orders by delivery, and a dossier's sector."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the table, the index and the column."""
    op.create_table(
        "trail",
        sa.Column("shard", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("block", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("prefixes", sa.LargeBinary(), nullable=False),
    )
    op.create_index("orders_delivery", "orders", ["shard", "seq"])
    op.add_column("dossier", sa.Column("sector", sa.Text()))
