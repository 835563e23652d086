"""A person's decision about money, applied to its instance inside the owner's transaction."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from router.events import CE_DOSSIER, CE_PROCEDURE, derived_id
from router.ledger import identity, instances, outbox
from router.ledger.rows import Order, OrderResult, Shard, Verb
from router.masking import mask
from router.procedures import decisions, emissions
from router.procedures.dues import Clockwork
from router.procedures.effects import Step
from router.procedures.emissions import Origin
from router.procedures.engine import step
from router.procedures.instance import Event, Instance
from router.procedures.library import Library
from router.procedures.raised import tell
from router.procedures.rows import changes_of, instance_of
from router.procedures.timetable import standing
from router.procedures.verdict import Verdict

if TYPE_CHECKING:
    from sqlalchemy import Connection

OPERATOR: Final = "operator"
_KIND: Final = {Verb.RELEASE_MONEY: decisions.RELEASED, Verb.REFUND_MONEY: decisions.REFUNDED}
_FACTS: Final = ("reference", "notice", "amount", "expected")


def decide(
    conn: Connection, shard: Shard, order: Order, library: Library, clockwork: Clockwork,
    encode: Callable[[str, Mapping[str, Any]], bytes], level_of: Callable[[str], str], at: int, now: int,
) -> OrderResult:  # fmt: skip
    """Carry it out, or say why not. ``order.args``: ``key`` (hexadecimal) and the facts of a decision. ``at`` is
    business time, ``now`` the machine's (µs UTC).
    """
    key = bytes.fromhex(str(order.args["key"]))
    stored = instances.load(conn, [key]).get(key)
    if stored is None:
        return OrderResult(False, "nothing is known of this dossier")
    before = instance_of(stored)
    definition = library.pinned(before.procedure, before.definition)
    facts = {"order": order.id} | {name: order.args[name] for name in _FACTS if order.args.get(name)}
    event = Event(_KIND[order.verb], OPERATOR, derived_id("order", order.id), at, now, facts)
    made = step(definition, before, event, clockwork, at)
    if made.log[0].verdict is not Verdict.APPLIED:
        return OrderResult(False, mask(", ".join(made.log[0].flags)))
    rows = instances.standing_timers(conn, [key]).get(key, {})
    known = standing(before, definition, clockwork, rows, at)
    instances.write(conn, [changes_of(key, before, known, made, level_of)])
    _send(conn, shard, order, key, before, made, encode, at)
    tell(conn, made.alerts, now)
    return OrderResult(True, _said(made, facts))


def _send(
    conn: Connection, shard: Shard, order: Order, key: bytes, instance: Instance, made: Step,
    encode: Callable[[str, Mapping[str, Any]], bytes], at: int,
) -> None:  # fmt: skip
    if not made.emissions:
        return
    code, procedure = instance.dossier.code, instance.dossier.procedure
    headers = [(CE_DOSSIER, str(UUID(bytes=key)).encode()), (CE_PROCEDURE, procedure.encode())]
    origin = Origin(key, code, ("order", order.id), derived_id("order", order.id), headers)
    urgent = identity.urgent_among(conn, {emissions.target_of(origin, emit) for emit in made.emissions})
    when = datetime.fromtimestamp(at / 1e6, UTC)
    sent = [
        emissions.emitted(shard, origin, number, emit, encode, when, urgent)
        for number, emit in enumerate(made.emissions)
    ]
    outbox.add(conn, shard.lease, sent)


def _said(made: Step, facts: Mapping[str, Any]) -> str:
    back = sum(emit.record["amount"] for emit in made.emissions if emit.type == "payment.refund_requested")
    finance = made.instance.finance
    if number := facts.get("notice"):
        notice = finance.notice(str(number))
        rest = finance.open(notice) if notice is not None else 0
        return f"released to notice {mask(str(number))}, {rest} đồng of it still open, {back} đồng to be refunded"
    return f"{back} đồng to be refunded"
