"""The tables of the ledger. One definition for SQLite and PostgreSQL; migrations are proven against it.

A delivery's state row, its body and its attempts are apart: the state row is what the flow rewrites. Rows are found by
(shard, seq); a partial index over the unfinished serves the lanes. Nothing is indexed by due or update time.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    text,
)

metadata: Final = MetaData()

#: An id that counts up. SQLite counts only columns of type INTEGER.
Serial: Final = BigInteger().with_variant(Integer, "sqlite")

#: Conditions of partial indexes. Queries must repeat them word for word: with bound values no planner sees the match.
UNFINISHED: Final = text("state IN ('waiting','calling','dead','uncertain')")
PARKED: Final = text("state IN ('dead','uncertain')")
OUTSTANDING: Final = text("done IS NULL")

process = Table(
    "process",
    metadata,
    Column("id", Text, primary_key=True),
    Column("beat", BigInteger, nullable=False),
    Column("roles", Text),  # joined by commas
)

lease = Table(
    "lease",
    metadata,
    Column("name", Text, primary_key=True),
    Column("owner", Text),
    Column("epoch", BigInteger, nullable=False, server_default="0"),
    Column("clean", Boolean, nullable=False),
)

shard = Table(
    "shard",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("recipient", Text, nullable=False),
    Column("partition", Integer, nullable=False),
    Column("position", BigInteger, nullable=False),
    Column("next_seq", BigInteger, nullable=False),
    Column("fingerprint", LargeBinary, nullable=False),
    UniqueConstraint("recipient", "partition"),
)

delivery = Table(
    "delivery",
    metadata,
    Column("shard", Integer, primary_key=True, autoincrement=False),
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("key", LargeBinary, nullable=False),
    Column("state", Text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("urgent", Boolean, nullable=False),
    Column("source", Text, nullable=False),
    Column("event_id", Text, nullable=False),
    Column("event_type", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("offset", BigInteger, nullable=False),
    Column("accepted_at", BigInteger, nullable=False),
    Column("due", BigInteger),
    Column("attempts", Integer, nullable=False),
    Column("spent", Integer, nullable=False),
    Column("first_at", BigInteger),
    Column("last_at", BigInteger),
    Column("edited", Boolean, nullable=False),
    Column("failure", JSON(none_as_null=True)),
    Column("cause", Text),
    Column("receipt", JSON(none_as_null=True)),
    Column("order_id", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)
Index(
    "delivery_lane",
    delivery.c.shard,
    delivery.c.key,
    delivery.c.seq,
    sqlite_where=UNFINISHED,
    postgresql_where=UNFINISHED,
)
Index(
    "delivery_dead",
    delivery.c.cause,
    delivery.c.shard,
    delivery.c.seq,
    sqlite_where=PARKED,
    postgresql_where=PARKED,
)

body = Table(
    "body",
    metadata,
    Column("shard", Integer, primary_key=True, autoincrement=False),
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("edition", SmallInteger, primary_key=True, autoincrement=False),  # 0 as accepted, then one per edit
    Column("headers", LargeBinary, nullable=False),
    Column("value", LargeBinary, nullable=False),
    Column("stored_at", BigInteger, nullable=False),
)

attempt = Table(
    "attempt",
    metadata,
    Column("id", Serial, primary_key=True),
    Column("shard", Integer, nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("number", Integer, nullable=False),
    Column("started", BigInteger, nullable=False),
    Column("ended", BigInteger, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("partner_code", Text, nullable=False),
    Column("message", Text, nullable=False),
    Column("order_id", BigInteger, nullable=False),
    Index("attempt_delivery", "shard", "seq"),
)

seen = Table(
    "seen",
    metadata,
    Column("shard", Integer, primary_key=True, autoincrement=False),
    Column("identity", LargeBinary, primary_key=True),
    Column("digest", LargeBinary, nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("month", Integer, nullable=False),  # months since January 1970
    sqlite_with_rowid=False,
)

conflict = Table(
    "conflict",
    metadata,
    Column("id", Serial, primary_key=True),
    Column("shard", Integer, nullable=False),
    Column("seq", BigInteger, nullable=False),  # the delivery that has this identity
    Column("offset", BigInteger, nullable=False),
    Column("source", Text, nullable=False),
    Column("event_id", Text, nullable=False),
    Column("event_type", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("digest", LargeBinary, nullable=False),
    Column("headers", LargeBinary, nullable=False),
    Column("value", LargeBinary, nullable=False),
    Column("seen_at", BigInteger, nullable=False),
    UniqueConstraint("shard", "seq", "digest"),
)

orders = Table(
    "orders",
    metadata,
    Column("id", Serial, primary_key=True),
    Column("lease", Text, nullable=False),
    Column("verb", Text, nullable=False),
    Column("who", Text, nullable=False),
    Column("why", Text, nullable=False),
    Column("shard", Integer, nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("recipient", Text, nullable=False),
    Column("expected_version", Integer),
    Column("args", JSON, nullable=False),
    Column("created", BigInteger, nullable=False),
    Column("done", BigInteger),
    Column("applied", Boolean),
    Column("result", Text),
)
Index(
    "orders_pending",
    orders.c.lease,
    orders.c.id,
    sqlite_where=OUTSTANDING,
    postgresql_where=OUTSTANDING,
)
Index("orders_delivery", orders.c.shard, orders.c.seq)
Index(
    "orders_outstanding",
    orders.c.shard,
    orders.c.seq,
    unique=True,
    sqlite_where=text("done IS NULL AND seq > 0"),
    postgresql_where=text("done IS NULL AND seq > 0"),
)

outbox = Table(
    "outbox",
    metadata,
    Column("id", Serial, primary_key=True),
    Column("lease", Text, nullable=False),
    Column("topic", Text, nullable=False),
    Column("partition", Integer, nullable=False),
    Column("key", LargeBinary, nullable=False),
    Column("headers", LargeBinary, nullable=False),
    Column("value", LargeBinary, nullable=False),
    Index("outbox_lease", "lease", "id"),
)

audit = Table(
    "audit",
    metadata,
    Column("id", Serial, primary_key=True),
    Column("at", BigInteger, nullable=False),
    Column("who", Text, nullable=False),
    Column("verb", Text, nullable=False),
    Column("target", Text, nullable=False),
    Column("why", Text, nullable=False),
    Column("detail", JSON, nullable=False),
    Column("hash", LargeBinary, nullable=False),
)

alert = Table(
    "alert",
    metadata,
    Column("id", Serial, primary_key=True),
    Column("name", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("detail", Text, nullable=False),
    Column("raised", BigInteger, nullable=False),
    Column("last", BigInteger, nullable=False),
    Column("times", Integer, nullable=False),
    Column("cleared", BigInteger),
)
Index(
    "alert_open",
    alert.c.name,
    alert.c.subject,
    unique=True,
    sqlite_where=text("cleared IS NULL"),
    postgresql_where=text("cleared IS NULL"),
)

recipient = Table(
    "recipient",
    metadata,
    Column("recipient", Text, primary_key=True),
    Column("status", Text, nullable=False),
    Column("since", BigInteger, nullable=False),
    Column("reason", Text, nullable=False),
    Column("by", Text, nullable=False),
)

hold = Table(
    "hold",
    metadata,
    Column("recipient", Text, primary_key=True),
    Column("process", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("since", BigInteger, nullable=False),
    Column("reason", Text, nullable=False),
    Column("until", BigInteger, nullable=False),
)

alias = Table(
    "alias",
    metadata,
    Column("scheme", Text, primary_key=True),
    Column("value", Text, primary_key=True),
    Column("key", LargeBinary, nullable=False),
    Column("issuer", Text, nullable=False),
    Column("owner", LargeBinary),
    Column("claimed_at", BigInteger, nullable=False),
    Index("alias_key", "key"),
)

key_link = Table(
    "key_link",
    metadata,
    Column("younger", LargeBinary, primary_key=True),
    Column("older", LargeBinary, nullable=False),
    Column("linked_at", BigInteger, nullable=False),
)

alias_conflict = Table(
    "alias_conflict",
    metadata,
    Column("id", Serial, primary_key=True),
    Column("scheme", Text, nullable=False),
    Column("value", Text, nullable=False),
    Column("key", LargeBinary, nullable=False),
    Column("issuer", Text, nullable=False),
    Column("owner", LargeBinary),
    Column("seen_at", BigInteger, nullable=False),
)

waiting = Table(
    "waiting",
    metadata,
    Column("id", Serial, primary_key=True),
    Column("scheme", Text, nullable=False),
    Column("value", Text, nullable=False),
    Column("identity", LargeBinary, nullable=False),
    Column("source", Text, nullable=False),
    Column("event_type", Text, nullable=False),
    Column("headers", LargeBinary, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("expires", BigInteger, nullable=False),
    Column("stored_at", BigInteger, nullable=False),
    UniqueConstraint("scheme", "value", "identity"),
)

occurrence = Table(
    "occurrence",
    metadata,
    Column("key", LargeBinary, primary_key=True),
    Column("operation", Text, primary_key=True),
    Column("content", LargeBinary, nullable=False),
    Column("number", Integer, nullable=False),
    Column("last", BigInteger, nullable=False),
)

pinned = Table(
    "pinned",
    metadata,
    Column("key", LargeBinary, primary_key=True),
    Column("urgent", Boolean, nullable=False),
)

cursor = Table(
    "cursor",
    metadata,
    Column("source", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("value", Text, nullable=False),
)

installation = Table(
    "installation",
    metadata,
    Column("name", Text, primary_key=True),
    Column("value", Text, nullable=False),
)
