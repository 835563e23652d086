"""Orders: what people and jobs want done. Placed by anybody, applied by the owner of the lease, answered here."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import Connection, insert, select, update

from router.errors import OrderRefused
from router.ledger import audit
from router.ledger.rows import Order, OrderResult, Verb
from router.ledger.tables import orders


def place(conn: Connection, order: Order, *, now: int) -> int:
    """Store an order; its id. Raises ``OrderRefused`` while another order on the same delivery waits."""
    if order.seq:
        same = select(orders.c.id, orders.c.who).where(
            orders.c.lease == order.lease, orders.c.seq == order.seq, orders.c.done.is_(None)
        )
        if (other := conn.execute(same).first()) is not None:
            raise OrderRefused(f"order {other.id} by {other.who} on this delivery is not done yet")
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
        .returning(orders.c.id)
    )
    return int(made.scalar_one())


def pending(conn: Connection, leases: Collection[str], limit: int) -> list[Order]:
    """Orders of these leases that are not done, oldest first."""
    query = select(orders).where(orders.c.lease.in_(leases), orders.c.done.is_(None)).order_by(orders.c.id)
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
        for r in conn.execute(query.limit(limit))
    ]


def finish(conn: Connection, order: Order, result: OrderResult, *, now: int) -> None:
    """Write the result, and the audit row."""
    conn.execute(
        update(orders).where(orders.c.id == order.id).values(done=now, applied=result.applied, result=result.text)
    )
    target = f"{order.lease.removeprefix('shard:')}/{order.seq}" if order.seq else order.recipient
    detail = {"order": order.id, "applied": result.applied, "result": result.text}
    audit.record(conn, now, who=order.who, verb=order.verb.value, target=target, why=order.why, detail=detail)


def result(conn: Connection, order_id: int) -> OrderResult | None:
    """What came of an order; None while it is not done."""
    row = conn.execute(select(orders).where(orders.c.id == order_id)).first()
    return OrderResult(row.applied, row.result) if row is not None and row.done is not None else None
