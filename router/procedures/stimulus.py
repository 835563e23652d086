"""What a delivery is to the engine: an event, and the instance with the definition that it is judged by. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from router.events import CE_ADDRESSED_TO, CE_TIME, text_header
from router.ledger.local import LocalWork
from router.ledger.rows import Shard
from router.procedures import dues
from router.procedures.definition import Definition
from router.procedures.engine import opened
from router.procedures.facts import facts_of
from router.procedures.instance import Event, Instance
from router.procedures.library import Library
from router.procedures.status import Status


def event_of(shard: Shard, work: LocalWork, decode: Callable[[bytes], Mapping[str, Any]]) -> Event:
    """The event of a delivery. Raises what ``decode`` raises for a payload that cannot be read."""
    delivery, headers = work.delivery, work.body.headers
    facts = facts_of(delivery.event_type, decode(work.body.value), text_header(headers, CE_ADDRESSED_TO))
    occurred = _micros(text_header(headers, CE_TIME), delivery.accepted_at)
    return Event(
        delivery.event_type, delivery.source, delivery.event_id, occurred, delivery.accepted_at, facts,
        shard.id, delivery.seq,
    )  # fmt: skip


def pinned(
    library: Library, event: Event, before: Instance | None, procedure: str, key: str, now: int
) -> tuple[Definition, Instance]:
    """The definition an instance runs by: chosen by what is known until acceptance, pinned from then on. The instance
    is ``before``, or a new one. ``procedure`` is the code in the event's headers, ``now`` business time (µs UTC).
    """
    day = dues.day_of(now)
    if event.type.startswith("document.") or (before is not None and before.procedure == "official_document"):
        definition = library.for_document(day)
        fresh = before is None
    else:
        code = str(event.facts.get("procedure") or procedure or (before.dossier.procedure if before else ""))
        definition = library.for_dossier(code, day)
        fresh = before is None or (before.status <= Status.SUBMITTED and not before.passed)
    if before is not None and not fresh:
        return library.pinned(before.procedure, before.definition), before
    if before is None:
        return definition, opened(definition, now, key)
    begun = opened(definition, before.opened_at, key)
    kept = replace(
        before,
        procedure=begun.procedure,
        definition=begun.definition,
        tokens=begun.tokens,
        variables=begun.variables,
    )
    return definition, kept


def _micros(text: str, otherwise: int) -> int:
    """An RFC 3339 instant as µs UTC."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return otherwise
    return dues.micros(at if at.tzinfo is not None else at.replace(tzinfo=UTC))
