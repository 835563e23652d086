"""The tables of the agency registry's change feed, and of what processes route by.

``agency`` is the registry as it stands, a removed agency kept as its tombstone; ``agency_change`` is all that ever
happened to it. Both hold the Avro record as JSON. The version counts changes: each has its own.
"""

from __future__ import annotations

from sqlalchemy import JSON, BigInteger, Boolean, Column, Index, Integer, Table, Text

from router.ledger.tables import metadata

agency = Table(
    "agency",
    metadata,
    Column("id", Text, primary_key=True),
    Column("version", BigInteger, nullable=False),  # of its last change
    Column("deleted", Boolean, nullable=False),
    Column("record", JSON, nullable=False),
)
Index("agency_version", agency.c.version, unique=True)

agency_change = Table(
    "agency_change",
    metadata,
    Column("version", BigInteger, primary_key=True, autoincrement=False),
    Column("agency", Text, nullable=False),
    Column("deleted", Boolean, nullable=False),
    Column("record", JSON, nullable=False),
    Column("who", Text, nullable=False),
    Column("why", Text, nullable=False),
    Column("order_id", BigInteger, nullable=False),  # 0: it came over the feed from elsewhere
    Column("published_at", BigInteger, nullable=False),
    Column("applied_at", BigInteger, nullable=False),
)
Index("agency_change_agency", agency_change.c.agency, agency_change.c.version)

registry_position = Table(
    "registry_position",
    metadata,
    Column("partition", Integer, primary_key=True, autoincrement=False),
    Column("position", BigInteger, nullable=False),
)

in_force = Table(
    "in_force",
    metadata,
    Column("process", Text, primary_key=True),
    Column("rules", Text, nullable=False),
    Column("registry", Text, nullable=False),
    Column("since", BigInteger, nullable=False),
)
