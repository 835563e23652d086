"""Orders: what people and jobs want done. Placed by anybody, applied by the owner of the lease, answered here."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import lru_cache
from typing import Any, Final

from sqlalchemy import Connection, Select, bindparam, select, update
from sqlalchemy.dialects import postgresql, sqlite

from router.errors import OrderRefused
from router.ledger import audit
from router.ledger.lists import among_given
from router.ledger.rows import Order, OrderResult, Verb
from router.ledger.tables import OUTSTANDING, orders

_ONE: Final = select(orders).where(orders.c.id == bindparam("number"))


def place(conn: Connection, order: Order, *, now: int) -> int:
    """Store an order; its id. Raises ``OrderRefused`` while another order on the same delivery waits."""
    insert = postgresql.insert if conn.dialect.name == "postgresql" else sqlite.insert
    made = conn.execute(
        insert(orders)
        .values(
            lease=order.lease,
            verb=order.verb.value,
            who=order.who,
            why=order.why,
            shard=order.shard,
            seq=order.seq,
            recipient=order.recipient,
            expected_version=order.expected_version,
            args=dict(order.args),
            created=now,
        )
        .on_conflict_do_nothing()
        .returning(orders.c.id)
    ).scalar()
    if made is not None:
        return int(made)
    same = select(orders.c.id, orders.c.who).where(
        orders.c.shard == order.shard, orders.c.seq == order.seq, OUTSTANDING
    )
    other = conn.execute(same).first()
    whose = f"order {other.id} by {other.who}" if other is not None else "another order"
    raise OrderRefused(f"{whose} on this delivery is not done yet")


def pending(conn: Connection, leases: Collection[str], limit: int) -> list[Order]:
    """Orders of these leases that are not done, oldest first."""
    rows = conn.execute(_pending(conn.dialect.name), {"leases": list(leases), "most": limit})
    return [
        Order(
            lease=r.lease,
            verb=Verb(r.verb),
            who=r.who,
            why=r.why,
            shard=r.shard,
            seq=r.seq,
            recipient=r.recipient,
            expected_version=r.expected_version,
            args=r.args,
            id=r.id,
            created=r.created,
        )
        for r in rows
    ]


def remember(conn: Connection, order: Order, args: Mapping[str, Any]) -> None:
    """Store how far a walk through a shard has come; the order stays outstanding."""
    conn.execute(update(orders).where(orders.c.id == order.id).values(args=dict(args)))


def finish(conn: Connection, order: Order, result: OrderResult, *, now: int) -> None:
    """Write the result, and the audit row: its target is the delivery, what ``args.target`` names, or the recipient."""
    conn.execute(
        update(orders).where(orders.c.id == order.id).values(done=now, applied=result.applied, result=result.text)
    )
    target = (
        f"{order.lease.removeprefix('shard:')}/{order.seq}"
        if order.seq
        else str(order.args.get("target") or order.recipient)
    )
    detail = {"order": order.id, "applied": result.applied, "result": result.text}
    audit.record(conn, now, who=order.who, verb=order.verb.value, target=target, why=order.why, detail=detail)


def result(conn: Connection, order_id: int) -> OrderResult | None:
    """What came of an order; None while it is not done."""
    row = conn.execute(_ONE, {"number": order_id}).first()
    return OrderResult(row.applied, row.result) if row is not None and row.done is not None else None


@lru_cache
def _pending(dialect: str) -> Select[Any]:
    query = select(orders).where(among_given(dialect, orders.c.lease, "leases"), OUTSTANDING)
    return query.order_by(orders.c.id).limit(bindparam("most"))
