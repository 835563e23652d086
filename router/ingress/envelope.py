"""From an emission to a bus message: payload, id, headers. Pure: the same message always gives the same id."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC
from hashlib import blake2b, sha256
from hmac import digest as hmac_digest
from typing import Any, Final, NamedTuple
from uuid import UUID

from pydantic import BaseModel

from router.errors import BadRequest, CodecError, TooLarge
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
    CE_TRACEPARENT,
    CE_TYPE,
    CONTENT_TYPE,
    LGSP_DETAIL,
    LGSP_DIGEST,
    LGSP_LINK,
    LGSP_REASON,
    LGSP_REFERENCE,
    POISON,
    REFERENCE_SEPARATOR,
    UNREADABLE,
    URGENT,
    Header,
    Headers,
    derived_id,
    is_document,
)
from router.sdk.inbound import DOCUMENT_ID, DOSSIER_CODE, Emission, Reference, Unreadable

AVRO: Final = b"application/avro"
OCTETS: Final = b"application/octet-stream"
LONGEST_PAYLOAD: Final = 262_144  # bytes; attachments travel by claim check
#: Characters. A MaHoSo is opaque and has at most 50; an edXML DocumentId is OrganId (35), date (10) and a number with
#: its notation, which nobody bounds. What else names something goes into headers and indexes, too.
LONGEST_CODE: Final = {DOSSIER_CODE: 50, DOCUMENT_ID: 200}
LONGEST_TEXT: Final = 1_000
_UNSOUND: Final = re.compile("[\x00-\x1f\x7f\ud800-\udfff]")
_UNTIED: Final = frozenset({CE_DOSSIER, CE_PRIORITY, CE_SUBJECT, LGSP_LINK, LGSP_REFERENCE})

Encode = Callable[[str, Mapping[str, Any]], bytes]


class _Nothing(BaseModel):
    """The record of what has none."""


class Draft(NamedTuple):
    """An emission ready to be identified. ``digest`` hashes the partner's own bytes; ``ordinal`` counts the events
    that one message identity of the partner means. ``fault`` says what is wrong with a part that cannot be read: then
    the payload is the partner's own bytes.
    """

    emission: Emission
    payload: bytes
    digest: bytes
    ordinal: int
    fault: str = ""


def drafts_of(emissions: Sequence[Emission], encode: Encode) -> list[Draft]:
    """The emissions of one request, encoded. Raises ``BadRequest`` for what cannot be an event, ``TooLarge`` for a
    payload above 256 KiB.
    """
    drafts: list[Draft] = []
    meanings: dict[tuple[str, str], list[tuple[str, Reference]]] = {}
    for emission in emissions:
        _require_sound(emission)
        payload = _encoded(emission, encode)
        meaning = (emission.type, emission.subject)
        meant = meanings.setdefault((emission.operation, emission.identity), [])
        if meaning not in meant:
            meant.append(meaning)
        ordinal = meant.index(meaning) if emission.identity else 0
        drafts.append(Draft(emission, payload, _hash(emission.original or payload), ordinal))
    return drafts


def unreadable_drafts(parts: Sequence[Unreadable]) -> list[Draft]:
    """Parts of a request that nobody can read, on their way to a person. Raises ``BadRequest``, ``TooLarge``."""
    drafts: list[Draft] = []
    for part in parts:
        subject = part.subject or Reference(UNREADABLE, part.identity)
        emission = Emission(
            type=part.type,
            record=_Nothing(),
            subject=subject,
            operation=f"{part.operation}/unreadable",
            time=part.time,
            original=part.original,
            identity=part.identity,
            addressed_to=part.addressed_to,
        )
        _require_sound(emission)
        if len(part.original) > LONGEST_PAYLOAD:
            raise TooLarge("Một phần của bản tin vượt quá 256 KiB", "a part of the message is above 256 KiB")
        drafts.append(Draft(emission, part.original, _hash(part.original), 0, f"{part.place}: {part.en}"))
    return drafts


def faulty(headers: Headers, fault: str) -> list[Header]:
    """The headers of a part that cannot be read: its bytes are the partner's, and the reason goes with it."""
    made = [(name, OCTETS if name == CONTENT_TYPE else value) for name, value in headers]
    return [*made, (LGSP_REASON, POISON.encode()), (LGSP_DETAIL, fault.encode())]


def owner_hash(owner: str, key: bytes) -> bytes | None:
    """The applicant's identity as a keyed hash: the space of 12-digit ids can be enumerated, a plain hash reversed."""
    owner = owner.strip()
    return hmac_digest(key, owner.encode(), sha256)[:16] if owner and key else None


def event_id(source: str, draft: Draft, occurrence: int) -> str:
    """The deterministic id: from the partner's own identity of the message, else from content and ``occurrence``."""
    emission, subject = draft.emission, draft.emission.subject
    if emission.identity:
        more = (draft.ordinal,) if draft.ordinal else ()
        return derived_id("message", source, emission.operation, emission.identity, *more)
    content = draft.digest.hex()
    return derived_id(
        "content", source, emission.operation, emission.type, subject.scheme, subject.value, content, occurrence
    )


def untied(source: str, draft: Draft, identity: str, traceparent: str = "") -> list[Header]:
    """Headers of an event that is not tied to its dossier yet: its reference and its links stand in for the key.

    Only documents have a class: a dossier's lane is always ordinary, or its events would go out in two lanes.
    """
    emission = draft.emission
    made: list[Header] = [
        (CE_SPECVERSION, b"1.0"),
        (CE_ID, identity.encode()),
        (CE_SOURCE, source.encode()),
        (CE_TYPE, emission.type.encode()),
        (CE_SUBJECT, emission.subject.value.encode()),
        (CE_TIME, emission.time.astimezone(UTC).isoformat(timespec="microseconds").encode()),
        (CONTENT_TYPE, AVRO),
        (LGSP_DIGEST, draft.digest),
        (LGSP_REFERENCE, reference_bytes(emission.subject)),
    ]
    optional = {
        CE_PROCEDURE: emission.procedure,
        CE_ADDRESSED_TO: emission.addressed_to,
        CE_CORRELATION_ID: emission.correlation_id,
        CE_CAUSATION_ID: emission.causation_id,
        CE_TRACEPARENT: traceparent,
    }
    made += [(name, value.encode()) for name, value in optional.items() if value]
    made += [(LGSP_LINK, reference_bytes(reference)) for reference in emission.references]
    if emission.urgent and is_document(emission.type):
        made.append((CE_PRIORITY, URGENT))
    return made


def tied(headers: Headers, key: UUID, code: str, *, urgent: bool) -> list[Header]:
    """The same headers once the dossier or document is known: its id, its textual code, its class."""
    made = [pair for pair in headers if pair[0] not in _UNTIED]
    made += [(CE_SUBJECT, code.encode()), (CE_DOSSIER, str(key).encode())]
    if urgent:
        made.append((CE_PRIORITY, URGENT))
    return made


def reference_bytes(reference: Reference) -> bytes:
    """A reference as a header's value."""
    return f"{reference.scheme}{REFERENCE_SEPARATOR}{reference.value}".encode()


def read_reference(value: bytes) -> Reference:
    """The reference of a header made by ``reference_bytes``."""
    scheme, _, number = value.decode().partition(REFERENCE_SEPARATOR)
    return Reference(scheme, number)


def _require_sound(emission: Emission) -> None:
    """Refuses at the door what no header or ledger row could hold, the same way on every engine."""
    if not emission.subject.value or emission.time.tzinfo is None:
        raise BadRequest("Thiếu mã hồ sơ hoặc thời điểm", "a message without a code, or without a zoned time")
    numbers = [part for r in (emission.subject, *emission.references) for part in (r.scheme, r.value)]
    others = (emission.identity, emission.procedure, emission.addressed_to)
    for text in (*numbers, *others, emission.correlation_id, emission.causation_id):
        if _UNSOUND.search(text):
            raise BadRequest("Mã có ký tự điều khiển", "a code with control characters")
        if len(text) > LONGEST_TEXT:
            raise BadRequest(f"Mã dài quá {LONGEST_TEXT} ký tự", f"a code of more than {LONGEST_TEXT} characters")
    for reference in (emission.subject, *emission.references):
        longest = LONGEST_CODE.get(reference.scheme, LONGEST_TEXT)
        if len(reference.value) > longest:
            vi = f"Mã {reference.scheme} dài quá {longest} ký tự"
            raise BadRequest(vi, f"a {reference.scheme} of more than {longest} characters")


def _encoded(emission: Emission, encode: Encode) -> bytes:
    try:
        payload = encode(emission.type, emission.record.model_dump())
    except CodecError as error:
        text = f"{emission.type}: the record breaks its contract"
        raise BadRequest("Dữ liệu không đúng định dạng", text) from error
    if len(payload) > LONGEST_PAYLOAD:
        raise TooLarge("Bản ghi vượt quá 256 KiB; hãy gửi tệp đính kèm riêng", "the record is above 256 KiB")
    return payload


def _hash(content: bytes) -> bytes:
    return blake2b(content, digest_size=16).digest()
