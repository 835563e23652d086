"""The tables of replays: a frozen list of dead letters each, and what came of every item."""

from __future__ import annotations

from typing import Final

from sqlalchemy import JSON, BigInteger, Boolean, Column, Float, Index, Integer, LargeBinary, Table, Text, text

from router.ledger.tables import Serial, metadata

#: Items that a replay still has in hand. Queries must repeat it word for word.
IN_HAND: Final = text("state IN ('waiting','ordered')")

replay = Table(
    "replay",
    metadata,
    Column("id", Serial, primary_key=True),
    Column("state", Text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("who", Text, nullable=False),
    Column("why", Text, nullable=False),
    Column("wanted", JSON, nullable=False),
    Column("rate", Float, nullable=False),
    Column("canary", JSON, nullable=False),
    Column("out_of_order", Boolean, nullable=False),
    Column("items", Integer, nullable=False),
    Column("created", BigInteger, nullable=False),
    Column("started", BigInteger),
    Column("ended", BigInteger),
    Column("note", Text, nullable=False),
)

replay_item = Table(
    "replay_item",
    metadata,
    Column("replay", BigInteger, primary_key=True, autoincrement=False),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("shard", Integer, nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("key", LargeBinary, nullable=False),
    Column("name", Text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("cause", Text, nullable=False),
    Column("safe", Boolean, nullable=False),
    Column("findings", JSON, nullable=False),
    Column("state", Text, nullable=False),
    Column("order_id", BigInteger, nullable=False),
    Column("result", Text, nullable=False),
)
Index(
    "replay_item_in_hand",
    replay_item.c.shard,
    replay_item.c.seq,
    unique=True,
    sqlite_where=IN_HAND,
    postgresql_where=IN_HAND,
)
