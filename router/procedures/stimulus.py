"""What a delivery is to the engine: an event, and the instance with the definition that it is judged by. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from router.events import CE_ADDRESSED_TO, CE_TIME, is_document, text_header
from router.ledger.local import LocalWork
from router.procedures import dues
from router.procedures.definition import Definition
from router.procedures.engine import opened, repinned
from router.procedures.facts import facts_of
from router.procedures.instance import Event, Instance
from router.procedures.library import Library


def event_of(work: LocalWork, decode: Callable[[bytes], Mapping[str, Any]]) -> Event:
    """The event of a delivery. Raises what ``decode`` raises for a payload that cannot be read."""
    delivery, headers = work.delivery, work.body.headers
    facts = facts_of(delivery.event_type, decode(work.body.value), text_header(headers, CE_ADDRESSED_TO))
    occurred = _micros(text_header(headers, CE_TIME), delivery.accepted_at)
    return Event(
        delivery.event_type, delivery.source, delivery.event_id, occurred, delivery.accepted_at, facts,
        work.shard.id, delivery.seq,
    )  # fmt: skip


def pinned(
    library: Library, event: Event, before: Instance | None, procedure: str, key: str, now: int
) -> tuple[Definition, Instance]:
    """The definition an instance runs by: pinned by the day of acceptance, until then chosen by what is known. The
    instance is ``before``, or a new one. ``procedure`` is the code in the event's headers, ``now`` business time (µs
    UTC).
    """
    known = library.pinned(before.procedure, before.definition) if before is not None else None
    if before is not None and known is not None:
        settled = before.dossier.accepted_at or before.end_state
        if settled or known.subject == "document":
            return known, before
    day = dues.day_of(int(event.facts.get("accepted_at") or min(event.occurred_at, now)))
    signal = event.type.startswith("procedure.")
    by = library.subject_of(str(event.facts.get("definition", ""))) if signal else ""
    if known is None and (is_document(event.type) or by == "document"):
        definition = library.for_document(day)
    else:
        stated = event.facts.get("procedure") or (before.dossier.procedure if before else "")
        other = "" if signal else procedure  # a signal carries the code of the dossier that sends it
        definition = library.for_dossier(str(stated or other), day)
    if before is None:
        return definition, opened(definition, now, key)
    return definition, before if definition is known else repinned(definition, before)


def _micros(text: str, otherwise: int) -> int:
    """An RFC 3339 instant as µs UTC."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return otherwise
    return dues.micros(at if at.tzinfo is not None else at.replace(tzinfo=UTC))
