"""What instances send, as outbox rows: events on their own key, signals to others, refused events to a person. Pure."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from router.events import (
    CE_ADDRESSED_TO,
    CE_CAUSATION_ID,
    CE_CORRELATION_ID,
    CE_DOSSIER,
    CE_ID,
    CE_PRIORITY,
    CE_PROCEDURE,
    CE_SOURCE,
    CE_SPECVERSION,
    CE_SUBJECT,
    CE_TIME,
    CE_TYPE,
    LGSP_DETAIL,
    LGSP_ORIGIN,
    LGSP_REASON,
    ROUTER,
    URGENT,
    Header,
    derived_id,
    header,
    input_topic_of,
    topic_of,
)
from router.ledger.instances import DueTimer
from router.ledger.local import LocalWork
from router.ledger.rows import Body, Emission, Shard
from router.procedures.effects import Emit, Refused
from router.procedures.signals import TIMER_DUE

SOURCE: Final = "procedures"
ILLEGAL: Final = "illegal_transition"
_KEPT: Final = (CE_DOSSIER, CE_PROCEDURE, CE_CORRELATION_ID)


class Original(NamedTuple):
    """A delivery's bytes, and its offset on ``lgsp.to.procedures``."""

    offset: int
    body: Body


class Origin(NamedTuple):
    """What an emission comes of, a delivery or an order: the key and subject (a code) of its dossier, the parts of the
    emissions' ids, the id of what caused it, and its headers.
    """

    key: bytes
    subject: str
    named: tuple[object, ...]
    cause: str
    headers: Sequence[Header]


def origin_of(work: LocalWork) -> Origin:
    """The origin of what a delivery leads to."""
    delivery = work.delivery
    named = ("procedures", work.shard.partition, delivery.seq, delivery.version)
    return Origin(delivery.key, delivery.subject, named, delivery.event_id, work.body.headers)


def emitted(
    shard: Shard, origin: Origin, number: int, emit: Emit, encode: Callable[[str, Mapping[str, Any]], bytes],
    at: datetime, urgent: Collection[bytes],
) -> Emission:  # fmt: skip
    """An emission of a step. Its id follows from its origin, with the version, and the number: the same when computed
    again. It has the class of the key it goes to (one of ``urgent``), not that of what caused it: else one lane would
    be two, and its events overtake each other.
    """
    own_id = derived_id(*origin.named, number)
    headers: list[Header] = [
        *_head(own_id, emit.type, origin.subject, at),
        (CE_CAUSATION_ID, origin.cause.encode()),
    ]
    headers += [(name, value) for name in _KEPT if (value := header(origin.headers, name)) is not None]
    headers += _class(target_of(origin, emit) in urgent)
    if emit.addressed_to:
        headers.append((CE_ADDRESSED_TO, emit.addressed_to.encode()))
    payload = encode(emit.type, emit.record)
    if emit.key:  # to another instance: the way back to this recipient that is allowed
        return Emission(topic_of(SOURCE), -1, target_of(origin, emit), payload, headers)
    return Emission(input_topic_of(emit.type), shard.partition, origin.key, payload, headers)


def target_of(origin: Origin, emit: Emit) -> bytes:
    """The key an emission goes to."""
    return UUID(emit.key).bytes if emit.key else origin.key


def timer_event(timer: DueTimer, payload: bytes, at: datetime, *, urgent: bool) -> Emission:
    """A timer that came due, as an event on its instance's key and of its class."""
    own_id = derived_id("timer", timer.key.hex(), timer.name, timer.version, timer.due)
    headers = [*_head(own_id, TIMER_DUE, "", at), *_class(urgent)]
    return Emission(topic_of(SOURCE), -1, timer.key, payload, headers)


def dead_letter(shard: Shard, key: bytes, refused: Refused, original: Original) -> Emission:
    """A refused event for a person to look at. It has an id of its own, so that its replay comes back here and is
    judged by what is known then; other recipients had the original and never see it.
    """
    own_id = derived_id("illegal", refused.event.source, refused.event.id)
    headers = [(name, own_id.encode() if name == CE_ID else value) for name, value in original.body.headers]
    headers = [pair for pair in headers if pair[0] not in (LGSP_REASON, LGSP_DETAIL, LGSP_ORIGIN)]
    headers += [
        (LGSP_REASON, ILLEGAL.encode()),
        (LGSP_DETAIL, refused.why.encode()),
        (LGSP_ORIGIN, f"{topic_of(SOURCE)}/{shard.partition}/{original.offset}".encode()),
    ]
    return Emission(topic_of(ROUTER), shard.partition, key, original.body.value, headers)


def _class(urgent: bool) -> list[Header]:
    return [(CE_PRIORITY, URGENT)] if urgent else []


def _head(own_id: str, event_type: str, subject: str, at: datetime) -> list[Header]:
    return [
        (CE_SPECVERSION, b"1.0"),
        (CE_ID, own_id.encode()),
        (CE_SOURCE, SOURCE.encode()),
        (CE_TYPE, event_type.encode()),
        (CE_SUBJECT, subject.encode()),
        (CE_TIME, at.isoformat().encode()),
    ]
