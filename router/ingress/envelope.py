"""From an emission to a bus message: id, headers, payload. Pure."""

from __future__ import annotations

from datetime import UTC
from hashlib import blake2b, sha256
from hmac import digest as hmac_digest
from typing import Final

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
    CONTENT_TYPE,
    LGSP_DIGEST,
    URGENT,
    Header,
    derived_id,
)
from router.sdk.inbound import DOSSIER_CODE, Emission

AVRO: Final = b"application/avro"


def content_hash(emission: Emission) -> bytes:
    """What tells one message from another where the partner gives no identity: type and the partner's own bytes."""
    return blake2b(emission.type.encode() + b"\x00" + emission.original, digest_size=16).digest()


def owner_hash(owner: str, key: bytes) -> bytes | None:
    """The applicant's identity as a keyed hash: the space of 12-digit ids can be enumerated, a plain hash reversed."""
    return hmac_digest(key, owner.encode(), sha256)[:16] if owner and key else None


def event_id(source: str, emission: Emission, occurrence: int | None) -> str:
    """The deterministic id: from the partner's own identity, else from content and occurrence."""
    if occurrence is None:
        return derived_id(source, emission.type, emission.operation, emission.identity)
    subject = emission.subject
    return derived_id(
        source,
        emission.type,
        emission.operation,
        subject.scheme,
        subject.value,
        content_hash(emission).hex(),
        occurrence,
    )


def headers(source: str, emission: Emission, identity: str, *, urgent: bool) -> list[Header]:
    """CloudEvents attributes in binary mode. Parts that are not given are left out."""
    subject = emission.subject
    made: list[Header] = [
        (CE_SPECVERSION, b"1.0"),
        (CE_ID, identity.encode()),
        (CE_SOURCE, source.encode()),
        (CE_TYPE, emission.type.encode()),
        (CE_SUBJECT, subject.value.encode()),
        (CE_TIME, emission.time.astimezone(UTC).isoformat(timespec="microseconds").encode()),
        (CONTENT_TYPE, AVRO),
        (LGSP_DIGEST, blake2b(emission.original, digest_size=16).digest()),
    ]
    optional = {
        CE_DOSSIER: subject.value if subject.scheme == DOSSIER_CODE else "",
        CE_PROCEDURE: emission.procedure,
        CE_ADDRESSED_TO: emission.addressed_to,
        CE_CORRELATION_ID: emission.correlation_id,
        CE_CAUSATION_ID: emission.causation_id,
    }
    made += [(name, value.encode()) for name, value in optional.items() if value]
    if urgent:
        made.append((CE_PRIORITY, URGENT))
    return made
