"""The table that says in which blocks of a shard a key occurs."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Integer, LargeBinary, Table

from router.ledger.tables import metadata

trail = Table(
    "trail",
    metadata,
    Column("shard", Integer, primary_key=True, autoincrement=False),
    Column("block", BigInteger, primary_key=True, autoincrement=False),  # seqs from block * 1,024 on
    Column("prefixes", LargeBinary, nullable=False),  # the first four bytes of each key in it, side by side
)
