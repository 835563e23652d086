"""Replays: frozen lists of dead letters and what came of each item."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

#: An id that counts up. SQLite counts only columns of type INTEGER.
SERIAL = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
IN_HAND = sa.text("state IN ('waiting','ordered')")


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "replay",
        sa.Column("id", SERIAL, primary_key=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("who", sa.Text(), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("wanted", sa.JSON(), nullable=False),
        sa.Column("rate", sa.Float(), nullable=False),
        sa.Column("canary", sa.JSON(), nullable=False),
        sa.Column("out_of_order", sa.Boolean(), nullable=False),
        sa.Column("items", sa.Integer(), nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column("started", sa.BigInteger()),
        sa.Column("ended", sa.BigInteger()),
        sa.Column("note", sa.Text(), nullable=False),
    )
    op.create_table(
        "replay_item",
        sa.Column("replay", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("number", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("shard", sa.Integer(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("key", sa.LargeBinary(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("cause", sa.Text(), nullable=False),
        sa.Column("safe", sa.Boolean(), nullable=False),
        sa.Column("findings", sa.JSON(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("order_id", sa.BigInteger(), nullable=False),
        sa.Column("result", sa.Text(), nullable=False),
    )
    op.create_index(
        "replay_item_in_hand",
        "replay_item",
        ["shard", "seq"],
        unique=True,
        sqlite_where=IN_HAND,
        postgresql_where=IN_HAND,
    )
