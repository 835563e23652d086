"""The inbound side of a connector: what a partner sends us, and how it becomes events."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from pydantic import BaseModel

DOSSIER_CODE = "dossier_code"  # MaHoSo, SoBienNhan and MA_HSO are one number space
DOCUMENT_ID = "document_id"  # edXML DocumentId


@dataclass(frozen=True, slots=True)
class Reference:
    """A number in a number space (``scheme``), for instance ``("notice", "TB-123/2025")``."""

    scheme: str
    value: str


@dataclass(frozen=True, slots=True)
class Emission:
    """One event that a partner's message means.

    ``subject`` is what the event is about: a dossier or document code, or a secondary reference (PCTT, notice, payment
    number) where the message has nothing else. ``mints`` is set by partners who may introduce a new code; events of the
    others wait until the code is known. ``owner`` is the applicant's identity: it is hashed with a key and used only
    to notice the same code with another owner. ``identity`` is the partner's own identity of the message (message id;
    file hash with the line's own identity; code + status + time); empty where the partner gives none.
    ``original`` are the partner's own bytes of this message (or of the line), by which repetitions are told from
    conflicts. ``references`` are further numbers that from now on mean the same dossier. ``passed`` are the systems a
    document has passed after its sender, by the OrganIds of its trace header.
    """

    type: str
    record: BaseModel
    subject: Reference
    operation: str
    time: datetime
    original: bytes = field(repr=False)
    identity: str = ""
    mints: bool = False
    owner: str = field(default="", repr=False)
    references: Sequence[Reference] = ()
    procedure: str = ""
    addressed_to: str = ""
    urgent: bool = False
    correlation_id: str = ""
    causation_id: str = ""
    passed: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A part of a partner's message that cannot be an event: a malformed row of a file, for instance.

    It becomes a dead letter ``poison`` that a person sees, with ``original`` as its body; the rest of the message is
    received. ``type`` is what it would have been. ``place`` names the part, ``vi`` and ``en`` say what is wrong,
    without the value. ``subject`` is what it is about, as far as that can be read. ``identity`` as for an emission.
    """

    type: str
    original: bytes = field(repr=False)
    place: str
    vi: str
    en: str
    operation: str
    time: datetime
    identity: str
    subject: Reference | None = None
    addressed_to: str = ""


@dataclass(frozen=True, slots=True)
class Request:
    """An inbound HTTP request, already authenticated and within the route's size. Header names are lower case."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    received: datetime


@dataclass(frozen=True, slots=True)
class Reply:
    """The answer to a partner, in the partner's own form."""

    status: int = 200
    body: bytes = b""
    content_type: str = "application/json; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Received:
    """What a request means, and the answer for when all of it is durable. No emissions: a question, only answered."""

    emissions: Sequence[Emission]
    reply: Reply
    unreadable: Sequence[Unreadable] = ()


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a request is not received: HTTP status, and the reason in Vietnamese and English."""

    status: int
    vi: str
    en: str


@dataclass(frozen=True, slots=True)
class Route:
    """A webhook below ``/in/<recipient>``.

    ``authenticate`` runs first, on headers and body, and raises ``Unauthenticated``; ``handle`` may raise
    ``BadRequest``; whatever is refused is told through ``refuse`` in the partner's own form. The answer of ``handle``
    is sent only after all its emissions are received.
    """

    method: str
    path: str
    authenticate: Callable[[Request], None]
    handle: Callable[[Request], Awaitable[Received]]
    refuse: Callable[[Refusal], Reply]
    max_bytes: int = 1_048_576


@dataclass(frozen=True, slots=True)
class Polled:
    """One pull: events, the cursor to save once they are received, and a confirmation to send to the partner then."""

    emissions: Sequence[Emission]
    cursor: str
    confirm: Callable[[], Awaitable[None]] | None = None
    more: bool = False
    unreadable: Sequence[Unreadable] = ()


@dataclass(frozen=True, slots=True)
class Poll:
    """A pulled source: ``fetch`` is called every ``every`` seconds with the saved cursor (empty at first)."""

    name: str
    every: float
    fetch: Callable[[str], Awaitable[Polled]]
