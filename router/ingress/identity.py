"""Who an inbound message is about: keys, ids and waiting, decided in the ledger for a few messages at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING, Final, NamedTuple
from uuid import UUID

from router.events import (
    CE_ID,
    LGSP_REASON,
    OWNER_CONFLICT,
    ROUTER,
    Header,
    Message,
    header,
    input_topic_of,
    is_document,
    key_of,
    topic_of,
)
from router.ingress.envelope import Draft, event_id, faulty, owner_hash, tied, untied
from router.ledger import identity as table
from router.ledger.known import Known
from router.ledger.rows import Body
from router.sdk.inbound import DOCUMENT_ID, DOSSIER_CODE, Emission, Reference

if TYPE_CHECKING:
    from sqlalchemy import Connection

MINTING: Final = frozenset({DOSSIER_CODE, DOCUMENT_ID})
WAITING_LEASE: Final = "waiting"
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


def identify(conn: Connection, requests: Sequence[tuple[Sender, Sequence[Draft]]], *, now: int) -> list[list[Outgoing]]:
    """The messages to publish for each request, in order; what has to wait for its dossier is stored and left out."""
    names = {_name(r) for _, drafts in requests for d in drafts for r in (d.emission.subject, *d.emission.references)}
    table.lock_references(conn, names)
    known = Known(conn, names, WAITING_LEASE)
    made: list[list[Outgoing]] = []
    for sender, drafts in requests:
        placed = [Identification(conn, known, sender, now).place(draft) for draft in drafts]
        made.append([outgoing for outgoing in placed if outgoing is not None])
    return made


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


@dataclass(frozen=True, slots=True)
class Identification:
    """One request's messages on their way to a topic, or to the waiting table."""

    conn: Connection
    known: Known
    sender: Sender
    now: int

    def place(self, draft: Draft) -> Outgoing | None:
        """The message to publish; None when it is stored to wait.

        The message that introduces a code goes ahead of those that wait for it: they are about what it brings.
        """
        emission, subject = draft.emission, draft.emission.subject
        headers = untied(self.sender.source, draft, self._event_id(draft), self.sender.traceparent)
        before = key = self.known.key(_name(subject))
        if draft.fault:
            place = (key or stand_in(subject)).bytes
            return Outgoing(topic_of(ROUTER), (place, draft.payload, faulty(headers, draft.fault)))
        if emission.mints and subject.scheme in MINTING:
            key = self._claim(emission)
            if key is None:
                reason = (LGSP_REASON, OWNER_CONFLICT.encode())
                return Outgoing(topic_of(ROUTER), (stand_in(subject).bytes, draft.payload, [*headers, reason]))
        if key is None or (before is not None and self.known.has_older(_name(subject), key)):
            self._wait(draft, headers)
            return None
        for reference in emission.references:
            self.known.link(_name(reference), key, issuer=self.sender.source, now=self.now)
        urgent = class_of(self.conn, emission.type, key, urgent=emission.urgent)
        ready = tied(headers, key, code_for(self.conn, subject, key), urgent=urgent)
        return Outgoing(input_topic_of(emission.type), (key.bytes, draft.payload, ready))

    def _event_id(self, draft: Draft) -> str:
        """Occurrences are counted by the reference as the partner wrote it: an id does not change when the reference
        becomes known, or means another dossier later.
        """
        emission, source = draft.emission, self.sender.source
        if emission.identity:
            return event_id(source, draft, 0)
        counted, operation = stand_in(emission.subject), f"{source}/{emission.operation}"
        window = int(self.sender.windows.repeat * 1e6)
        number = table.occurrence_of(self.conn, counted, operation, draft.digest, window=window, now=self.now)
        return event_id(source, draft, number)

    def _claim(self, emission: Emission) -> UUID | None:
        """The code's key; None when the code is another owner's."""
        name, source = _name(emission.subject), self.sender.source
        owner = owner_hash(emission.owner, self.sender.owner_key)
        if owner is None and self.known.is_disputed(name, issuer=source):
            return None
        claim = self.known.claim(name, issuer=source, owner=owner, now=self.now)
        return None if claim.conflict else claim.key

    def _wait(self, draft: Draft, headers: list[Header]) -> None:
        """Store an event until its reference is known. One that waits already is the same only if its bytes are too."""
        subject, source = draft.emission.subject, self.sender.source
        same = blake2b((header(headers, CE_ID) or b"") + draft.digest, digest_size=16).digest()
        expires = self.now + int(self.sender.windows.wait * 1e6)
        body = Body(draft.payload, headers)
        event = table.Waiting(0, subject.scheme, subject.value, source, draft.emission.type, body, expires)
        self.known.wait(event, same, now=self.now)


def _name(reference: Reference) -> tuple[str, str]:
    return reference.scheme, reference.value
