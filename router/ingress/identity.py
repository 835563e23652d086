"""Who an inbound message is about: keys, ids and waiting, decided in the ledger for a few messages at once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING, Final, NamedTuple
from uuid import UUID

from router.events import (
    CE_ID,
    LGSP_DIGEST,
    LGSP_REASON,
    ROUTER,
    Header,
    Message,
    header,
    input_topic_of,
    key_of,
    topic_of,
)
from router.ingress.envelope import Draft, event_id, is_document, owner_hash, tied, untied
from router.ledger import identity as table
from router.ledger import outbox
from router.ledger.rows import Body
from router.sdk.inbound import DOCUMENT_ID, DOSSIER_CODE, Emission, Reference

if TYPE_CHECKING:
    from sqlalchemy import Connection

MINTING: Final = frozenset({DOSSIER_CODE, DOCUMENT_ID})
WAITING_LEASE: Final = "waiting"
OWNER_CONFLICT: Final = "owner_conflict"
UNKNOWN_DOSSIER: Final = "unknown_dossier"


class Outgoing(NamedTuple):
    """A message to publish, and the topic it belongs on."""

    topic: str
    message: Message


@dataclass(frozen=True, slots=True)
class Windows:
    """Seconds from the manifest: repetition of a content, and waiting for a dossier."""

    repeat: float
    wait: float


@dataclass(frozen=True, slots=True)
class Sender:
    """Whose messages these are. ``owner_key`` is the secret of the applicants' keyed hashes."""

    source: str
    windows: Windows
    owner_key: bytes
    traceparent: str = ""


def lock_all(conn: Connection, drafts: Iterable[Draft]) -> None:
    """Hold every reference these messages name until the end of the transaction, in one order for all processes."""
    named = {(r.scheme, r.value) for d in drafts for r in (d.emission.subject, *d.emission.references)}
    for scheme, value in sorted(named):
        table.lock_reference(conn, scheme, value)


def identify(conn: Connection, sender: Sender, drafts: Sequence[Draft], *, now: int) -> list[Outgoing]:
    """The messages to publish, in order; what has to wait for its dossier is stored and left out.

    The references are locked already (``lock_all``).
    """
    placed = [_place(conn, sender, draft, now) for draft in drafts]
    return [outgoing for outgoing in placed if outgoing is not None]


def stand_in(reference: Reference) -> UUID:
    """The key of what cannot be tied to a dossier: by its reference, so that it keeps its own order."""
    return key_of(f"unresolved:{reference.scheme}", reference.value)


def code_for(conn: Connection, reference: Reference, key: UUID) -> str:
    """The textual code people know the dossier or document by; the reference itself if there is none."""
    if reference.scheme in MINTING:
        return reference.value
    return table.code_of(conn, key, MINTING) or reference.value


def class_of(conn: Connection, event_type: str, key: UUID, *, urgent: bool) -> bool:
    """A document's class is its first event's; a dossier is never urgent."""
    return is_document(event_type) and table.pin_urgent(conn, key, urgent)


def _place(conn: Connection, sender: Sender, draft: Draft, now: int) -> Outgoing | None:
    emission, subject = draft.emission, draft.emission.subject
    headers = untied(sender.source, draft, _event_id(conn, sender, draft, now), sender.traceparent)
    known = table.resolve(conn, subject.scheme, subject.value)
    key = known
    if emission.mints and subject.scheme in MINTING:
        key = _claim(conn, sender, emission, now)
        if key is None:
            message = (stand_in(subject).bytes, draft.payload, [*headers, (LGSP_REASON, OWNER_CONFLICT.encode())])
            return Outgoing(topic_of(ROUTER), message)
    if key is None or (known is not None and _has_older(conn, subject, key)):
        _wait(conn, sender, draft, headers, now)
        return None
    for reference in emission.references:
        table.link(conn, reference.scheme, reference.value, key, issuer=sender.source, now=now)
    urgent = class_of(conn, emission.type, key, urgent=emission.urgent)
    ready = tied(headers, key, code_for(conn, subject, key), urgent=urgent)
    return Outgoing(input_topic_of(emission.type), (key.bytes, draft.payload, ready))


def _event_id(conn: Connection, sender: Sender, draft: Draft, now: int) -> str:
    """Occurrences are counted by the reference as the partner wrote it: an id does not change when the reference
    becomes known, or means another dossier later.
    """
    emission = draft.emission
    if emission.identity:
        return event_id(sender.source, draft, 0)
    occurrence = table.occurrence_of(
        conn,
        stand_in(emission.subject),
        f"{sender.source}/{emission.operation}",
        draft.digest,
        window=int(sender.windows.repeat * 1e6),
        now=now,
    )
    return event_id(sender.source, draft, occurrence)


def _claim(conn: Connection, sender: Sender, emission: Emission, now: int) -> UUID | None:
    """The code's key; None when the code is another owner's."""
    scheme, value = emission.subject.scheme, emission.subject.value
    owner = owner_hash(emission.owner, sender.owner_key)
    if owner is None and table.is_disputed(conn, scheme, value, issuer=sender.source):
        return None
    claim = table.claim(conn, scheme, value, issuer=sender.source, owner=owner, now=now)
    return None if claim.conflict else claim.key


def _has_older(conn: Connection, subject: Reference, key: UUID) -> bool:
    """Whether older events of the reference wait, or are released but not published yet.

    Asked in this order: a release in between moves them from the first place to the second.
    """
    waiting = table.is_waited_for(conn, subject.scheme, subject.value)
    return waiting or outbox.holds(conn, WAITING_LEASE, key.bytes)


def _wait(conn: Connection, sender: Sender, draft: Draft, headers: list[Header], now: int) -> None:
    """Store an event until its reference is known. One that waits already is the same only if its bytes are too."""
    subject = draft.emission.subject
    same = blake2b((header(headers, CE_ID) or b"") + (header(headers, LGSP_DIGEST) or b""), digest_size=16).digest()
    expires = now + int(sender.windows.wait * 1e6)
    body = Body(draft.payload, headers)
    event = table.Waiting(0, subject.scheme, subject.value, sender.source, draft.emission.type, body, expires)
    table.wait(conn, event, same, now=now)
