"""Applying orders inside the owner's fenced transaction: on recipients and on deliveries."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from router.delivery import owners
from router.delivery.accept import identity_of
from router.delivery.verdict import Situation, judge
from router.events import CE_ID, derived_id, topic_of
from router.ledger import alerts, conflicts, identity, orders, outbox, recipients, store
from router.ledger.local import LocalRecipient
from router.ledger.rows import Emission, Order, OrderResult, RecipientState, Shard, Verb

if TYPE_CHECKING:
    from sqlalchemy import Connection

#: What an order on a recipient makes of it.
STATUS_OF: Final = {Verb.STOP: "stopped", Verb.HOLD: "held", Verb.RESUME: "open"}

#: What only a local recipient can do.
OF_LOCALS: Final = frozenset({Verb.RECALCULATE, Verb.RELEASE_MONEY, Verb.REFUND_MONEY})


def apply_order(
    conn: Connection, shard: Shard | None, order: Order, now: int, local: Mapping[str, LocalRecipient]
) -> OrderResult | None:
    """Do what an order asks and store the answer; None while a walk through a whole shard has more pages to go."""
    result: OrderResult | None
    if order.verb in STATUS_OF:
        result = _on_recipient(conn, order, now)
    elif shard is None:
        result = OrderResult(False, f"{order.verb} needs a shard")
    elif order.verb in OF_LOCALS:
        owner = local.get(shard.recipient)
        result = owner.order(conn, shard, order, now) if owner else OrderResult(False, f"{shard.recipient} has none")
    elif order.verb in (Verb.TAKE_CONFLICT, Verb.DROP_CONFLICT):
        result = _on_conflict(conn, shard, order, now)
    else:
        result = _on_delivery(conn, shard, order, now)
    if result is not None:
        orders.finish(conn, order, result, now=now)
    return result


def _on_recipient(conn: Connection, order: Order, now: int) -> OrderResult:
    status = STATUS_OF[order.verb]
    recipients.set_recipient(conn, RecipientState(order.recipient, status, now, order.why, order.who))
    if order.verb is Verb.RESUME:
        alerts.clear_alert(conn, "recipient_stopped", order.recipient, now=now)
    return OrderResult(True, f"{order.recipient} is {status}")


def _on_delivery(conn: Connection, shard: Shard, order: Order, now: int) -> OrderResult:
    situation = _situation(conn, shard, order)
    verdict = judge(order, situation, now=now)
    if verdict.body is not None:
        store.edit(conn, shard.id, order.seq, verdict.body, now=now)
    if verdict.transition is not None:
        store.apply(conn, [verdict.transition])
        if verdict.resolve is not None:
            same = identity_of(verdict.resolve.source.encode(), verdict.event_id.encode())
            identity.wait(conn, verdict.resolve, same, now=now)
        if situation.delivery is not None:
            owners.decided(conn, shard, situation.delivery.failure, now=now)
    return OrderResult(verdict.transition is not None, verdict.text)


def _on_conflict(conn: Connection, shard: Shard, order: Order, now: int) -> OrderResult:
    """A decision about bytes that came under an id that is taken: an event of its own, or nothing."""
    found = conflicts.take(conn, shard.id, int(order.args["conflict"]))
    if found is None:
        return OrderResult(False, "there is no such conflict here any more")
    if not conflicts.counted(conn).get(shard.recipient):
        alerts.clear_alert(conn, conflicts.ALERT, shard.recipient, now=now)
    if order.verb is Verb.DROP_CONFLICT:
        return OrderResult(True, "dropped: the first bytes stand")
    own_id = derived_id("conflict", found.source, found.event_id, str(order.args["conflict"]))
    headers = [(name, own_id.encode() if name == CE_ID else value) for name, value in found.body.headers]
    outbox.add(
        conn, shard.lease, [Emission(topic_of(shard.recipient), shard.partition, found.key, found.body.value, headers)]
    )
    return OrderResult(True, f"goes out as event {own_id}")


def _situation(conn: Connection, shard: Shard, order: Order) -> Situation:
    delivery = store.one(conn, shard.id, order.seq)
    if delivery is None:
        return Situation(shard.recipient, None, None, is_head=False, later_out=False)
    oldest = store.lane(conn, shard.id, delivery.key, 0, 1)
    return Situation(
        shard.recipient,
        delivery,
        store.bodies(conn, shard.id, [order.seq]).get(order.seq),
        is_head=bool(oldest) and oldest[0].seq == order.seq,
        later_out=order.verb is Verb.RESTORE and store.later_out(conn, shard.id, delivery.key, order.seq),
        partition=shard.partition,
    )
