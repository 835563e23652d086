"""Who an inbound message is about: keys, ids and waiting, decided for one request in one ledger transaction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple
from uuid import UUID

from router.events import LGSP_REASON, ROUTER, Message, key_of, topic_of
from router.ingress.envelope import content_hash, event_id, headers, owner_hash
from router.ledger import identity as table
from router.ledger.rows import Body
from router.sdk.inbound import DOCUMENT_ID, DOSSIER_CODE, Emission, Reference

if TYPE_CHECKING:
    from sqlalchemy import Connection

MINTING: Final = frozenset({DOSSIER_CODE, DOCUMENT_ID})


class Encoded(NamedTuple):
    """An emission with its payload."""

    emission: Emission
    payload: bytes


class Outgoing(NamedTuple):
    """A message to publish; ``topic`` is None for the input topic of its type."""

    topic: str | None
    event_type: str
    message: Message


@dataclass(frozen=True, slots=True)
class Windows:
    """Seconds from the manifest: repetition of a content, and waiting for a dossier."""

    repeat: float
    wait: float


def identify(
    conn: Connection, source: str, encoded: Sequence[Encoded], windows: Windows, owner_key: bytes, *, now: int
) -> list[Outgoing]:
    """The messages to publish, in order; what has to wait for its dossier is stored and left out."""
    outgoing: list[Outgoing] = []
    for item in encoded:
        made = _one(conn, source, item, windows, owner_key, now=now)
        if made is not None:
            outgoing.append(made)
    return outgoing


def _one(
    conn: Connection, source: str, item: Encoded, windows: Windows, owner_key: bytes, *, now: int
) -> Outgoing | None:
    emission, subject = item.emission, item.emission.subject
    table.lock_reference(conn, subject.scheme, subject.value)
    if emission.mints and subject.scheme in MINTING:
        owner = owner_hash(emission.owner, owner_key)
        claim = table.claim(conn, subject.scheme, subject.value, issuer=source, owner=owner, now=now)
        if claim.conflict:
            return _to_router(conn, source, item, windows, "owner_conflict", now=now)
        key: UUID | None = claim.key
    else:
        key = table.resolve(conn, subject.scheme, subject.value)
    if key is None or table.is_waited_for(conn, subject.scheme, subject.value):
        _store(conn, source, item, windows, now=now)
        return None
    for reference in emission.references:
        table.link(conn, reference.scheme, reference.value, key, issuer=source, now=now)
    made = _headers(conn, source, emission, key, windows, now=now)
    return Outgoing(None, emission.type, (key.bytes, item.payload, made))


def stand_in(reference: Reference) -> UUID:
    """The key of what cannot be tied to a dossier: by its reference, so that it keeps its own order."""
    return key_of(f"unresolved:{reference.scheme}", reference.value)


def _headers(
    conn: Connection, source: str, emission: Emission, key: UUID, windows: Windows, *, now: int
) -> list[tuple[str, bytes]]:
    occurrence = None
    if not emission.identity:
        occurrence = table.occurrence_of(
            conn, key, emission.operation, content_hash(emission), window=int(windows.repeat * 1e6), now=now
        )
    urgent = emission.urgent
    if emission.type.startswith("document."):
        urgent = table.pin_urgent(conn, key, emission.urgent)
    return headers(source, emission, event_id(source, emission, occurrence), urgent=urgent)


def _store(conn: Connection, source: str, item: Encoded, windows: Windows, *, now: int) -> None:
    emission, subject = item.emission, item.emission.subject
    made = _headers(conn, source, emission, stand_in(subject), windows, now=now)
    expires = now + int(windows.wait * 1e6)
    event = table.Waiting(0, subject.scheme, subject.value, source, emission.type, Body(item.payload, made), expires)
    table.wait(conn, event, content_hash(emission), now=now)


def _to_router(conn: Connection, source: str, item: Encoded, windows: Windows, reason: str, *, now: int) -> Outgoing:
    emission = item.emission
    key = stand_in(emission.subject)
    made = _headers(conn, source, emission, key, windows, now=now)
    return Outgoing(topic_of(ROUTER), emission.type, (key.bytes, item.payload, [*made, (LGSP_REASON, reason.encode())]))
