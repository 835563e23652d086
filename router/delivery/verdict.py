"""What an order does to a delivery: pure. Applied by the shard's owner in its own fenced transaction."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Mapping
from typing import Final, NamedTuple

from router.delivery.emissions import passed_on, put_back
from router.delivery.outcome import CHECK_UNANSWERED
from router.events import (
    CONTENT_TYPE,
    LGSP_DETAIL,
    LGSP_REASON,
    LGSP_REFERENCE,
    LONGEST_VALUE,
    POISON,
    REFERENCE_SEPARATOR,
    ROUTER,
    UNREADABLE,
    header,
)
from router.ledger.identity import Waiting
from router.ledger.rows import PARKED, Body, Delivery, Order, State, Transition, Verb

AVRO: Final = b"application/avro"
RESOLVE_PATIENCE: Final = 86_400 * 1_000_000  # µs an event waits for its dossier after a replay

#: What a person may do to a delivery, by the state it is in.
ALLOWED: Final[Mapping[Verb, frozenset[State]]] = {
    Verb.REPLAY: PARKED,
    Verb.SKIP: PARKED | {State.WAITING},
    Verb.DISCARD: PARKED | {State.WAITING},
    Verb.EXPIRE: PARKED | {State.WAITING},
    Verb.RESTORE: frozenset({State.SKIPPED, State.DISCARDED, State.EXPIRED}),
    Verb.REDIRECT: PARKED | {State.WAITING},
}
_TARGET: Final = {
    Verb.REDIRECT: State.SKIPPED,
    Verb.SKIP: State.SKIPPED,
    Verb.DISCARD: State.DISCARDED,
    Verb.EXPIRE: State.EXPIRED,
    Verb.RESTORE: State.DEAD,
    Verb.REPLAY: State.WAITING,
}


class Situation(NamedTuple):
    """What surrounds the delivery an order is about. ``later_out``: later events of the lane went out already."""

    recipient: str
    delivery: Delivery | None
    body: Body | None
    is_head: bool
    later_out: bool
    partition: int = -1


class Verdict(NamedTuple):
    """``transition`` is None for a refusal; ``body`` is an edited body to store first; ``resolve`` an event that goes
    to those that wait for their dossier; ``text`` says what happened.
    """

    transition: Transition | None
    text: str
    body: Body | None = None
    resolve: Waiting | None = None
    event_id: str = ""


def judge(order: Order, situation: Situation, *, now: int) -> Verdict:
    """Decide an order on a delivery."""
    delivery = situation.delivery
    refusal = _refusal(order, situation)
    if refusal or delivery is None:
        return Verdict(None, refusal or "no such delivery")
    body = _edited(order, situation.body)
    if refusal := _too_long(order, situation, body):
        return Verdict(None, refusal)
    change = Transition(
        shard=delivery.shard,
        seq=delivery.seq,
        version=delivery.version,
        state=_TARGET[order.verb],
        attempts=delivery.attempts,
        spent=0,
        first_at=None if order.verb is Verb.REPLAY else delivery.first_at,  # its age counts from the order on
        last_at=delivery.last_at,
        failure=delivery.failure,
        receipt=delivery.receipt,
        order_id=order.id,
    )
    if situation.recipient == ROUTER and order.verb is Verb.REPLAY:
        return _replayed_at_router(change, situation, body, now)
    if order.verb is Verb.REDIRECT:
        target = str(order.args["to"])
        change.receipt = {"code": "redirected", "to": target}
        if situation.body is not None:
            change.emissions = (passed_on(delivery, situation.body, target, situation.partition),)
        return Verdict(change, f"redirected to {target}")
    if order.verb is Verb.REPLAY and _may_be_taken(delivery):
        change.state, change.due = State.CALLING, now  # the partner is asked first
    return Verdict(change, f"{delivery.state} → {change.state}", body)


def _replayed_at_router(change: Transition, situation: Situation, body: Body | None, now: int) -> Verdict:
    """What the hop could not route goes to its own topic again; what had no dossier is resolved again."""
    delivery, sent = situation.delivery, body or situation.body
    assert delivery is not None
    assert sent is not None
    change.state = State.DELIVERED
    reference = header(sent.headers, LGSP_REFERENCE)
    if reference is None:
        change.receipt = {"code": "republished"}
        change.emissions = (put_back(delivery, sent),)
        return Verdict(change, "published again to its own topic", body)
    scheme, _, value = reference.decode().partition(REFERENCE_SEPARATOR)
    headers = [
        (name, AVRO if name == CONTENT_TYPE else value)
        for name, value in sent.headers
        if name not in (LGSP_REASON, LGSP_DETAIL)
    ]
    event = Waiting(
        0, scheme, value, delivery.source, delivery.event_type, Body(sent.value, headers), now + RESOLVE_PATIENCE
    )
    change.receipt = {"code": "resolved_again"}
    return Verdict(change, "waits for its dossier again", body, event, delivery.event_id)


def _refusal(order: Order, situation: Situation) -> str:
    delivery = situation.delivery
    if delivery is None:
        return "no such delivery"
    if order.expected_version is not None and order.expected_version != delivery.version:
        return f"it changed meanwhile: now {delivery.state}, version {delivery.version}; look again and repeat"
    if delivery.state not in ALLOWED.get(order.verb, frozenset()):
        return f"{order.verb} is not possible while it is {delivery.state}"
    out_of_order = bool(order.args.get("out_of_order"))
    if situation.recipient == ROUTER:
        return _unreadable(order, situation)
    if order.verb is Verb.REPLAY and not situation.is_head and not out_of_order:
        return "an older delivery of this dossier is unfinished: replay that first, or say --out-of-order"
    if order.verb is Verb.RESTORE and situation.later_out and not out_of_order:
        return "later events of this dossier went out already: say --out-of-order to send it behind them"
    return ""


def _too_long(order: Order, situation: Situation, edited: Body | None) -> str:
    """What is published must fit a message; other producers may have sent more than the router takes."""
    published = order.verb is Verb.REDIRECT or (order.verb is Verb.REPLAY and situation.recipient == ROUTER)
    sent = edited or (situation.body if published else None)
    if sent is None or len(sent.value) <= LONGEST_VALUE:
        return ""
    found = f"its body has {len(sent.value)} bytes, a message may have {LONGEST_VALUE}"
    return f"{found}: it cannot be redirected" if order.verb is Verb.REDIRECT else f"{found}: give a shorter one"


def _may_be_taken(delivery: Delivery) -> bool:
    """Whether the partner could not be asked whether it took it: then a replay asks again before anything is sent."""
    failure = delivery.failure
    return delivery.state is State.UNCERTAIN and failure is not None and failure.reason == CHECK_UNANSWERED


def _unreadable(order: Order, situation: Situation) -> str:
    """What a partner sent and nobody could read is not sent on as it is."""
    headers = situation.body.headers if situation.body else ()
    if order.verb is not Verb.REPLAY or header(headers, LGSP_REASON) != POISON.encode():
        return ""
    if (header(headers, LGSP_REFERENCE) or b"").startswith(f"{UNREADABLE}{REFERENCE_SEPARATOR}".encode()):
        return "it does not say which dossier it is about: discard it and have the partner send that part again"
    if order.args.get("body") is None:
        return "nobody can read it: give a corrected record with --body, or discard it"
    return ""


def _edited(order: Order, original: Body | None) -> Body | None:
    """The corrected body an order carries (base64 of a whole payload), with the original's headers."""
    encoded = order.args.get("body")
    if encoded is None or original is None:
        return None
    return Body(b64decode(encoded), original.headers)
