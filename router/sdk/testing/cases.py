"""Golden cases: what a connector sends for an event and makes of the answer, and what it makes of a partner's message.

They lie as JSON in a connector's folder ``cases``. One with an ``event`` is outbound, one with ``emissions`` inbound.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from importlib.resources import files
from typing import Annotated, Any
from urllib.parse import parse_qsl

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from router.codec import Codec, PackagedSchemas
from router.events import key_of
from router.sdk.event import Event
from router.sdk.inbound import Emission, Request
from router.sdk.outcomes import Outcome
from router.sdk.records import RECORDS, Record
from router.sdk.testing.simulator import Incoming
from schemas.catalogue import EVENT_TYPES


class Strict(BaseModel):
    """Frozen, and refuses unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class GivenEvent(Strict):
    """An event to deliver. ``data`` are the fields of its record."""

    type: str
    subject: str
    data: Mapping[str, Any]
    id: str = "0a6f2f0e-0001-5000-8000-000000000001"
    source: str = "golden"
    time: AwareDatetime = datetime(2025, 6, 16, 1, 30, tzinfo=UTC)
    procedure: str = ""
    addressed_to: str = ""

    def event(self) -> Event:
        """The event, its payload written and read in Avro as on the bus."""
        codec = _codec()
        record = record_type(self.type).model_validate(self.data)
        return Event(
            id=self.id,
            source=self.source,
            type=self.type,
            subject=self.subject,
            key=key_of("dossier_code", self.subject),
            time=self.time,
            procedure=self.procedure,
            addressed_to=self.addressed_to,
            payload=codec.encode(self.type, record.model_dump()),
            decoder=codec.decode,
        )


class ExpectedRequest(Strict):
    """What the partner gets: the whole JSON body (form fields as an object), and those headers that matter."""

    method: str
    path: str
    body: Any = None
    headers: Mapping[str, str] = Field(default_factory=dict)


class GivenAnswer(Strict):
    """What the partner says to it."""

    status: int = 200
    body: Any = None


class Expected(Strict):
    """What comes of it: the outcome, and where there is a receipt its code, message and reference."""

    outcome: Outcome
    code: str | None = None
    message: str | None = None
    reference: str | None = None
    reason: str | None = None


class Outbound(Strict):
    """An event, the request it becomes, the partner's answer and the outcome. No answer: the simulator's own."""

    name: str
    event: GivenEvent
    request: ExpectedRequest
    answer: GivenAnswer | None = None
    expect: Expected


class GivenRequest(Strict):
    """What a partner sends. ``path`` is the route's; credentials are added by the simulator's own."""

    method: str = "POST"
    path: str
    body: Any
    received: AwareDatetime = datetime(2025, 6, 16, 1, 30, tzinfo=UTC)

    def content(self) -> bytes:
        """The body's bytes: JSON, or a text as it stands."""
        return self.body.encode() if isinstance(self.body, str) else json.dumps(self.body, ensure_ascii=False).encode()

    def request(self, headers: Mapping[str, str]) -> Request:
        """The request as a route gets it."""
        lower = {name.lower(): value for name, value in headers.items()}
        return Request(self.method, self.path, {}, lower, self.content(), self.received)


class ExpectedEmission(Strict):
    """An event it means. ``record`` holds every field that is not at its default; the rest is compared if given."""

    type: str
    subject: tuple[str, str]
    record: Mapping[str, Any]
    time: AwareDatetime | None = None
    identity: str | None = None
    mints: bool = False
    owner: str | None = None
    procedure: str | None = None
    addressed_to: str | None = None
    urgent: bool = False
    references: tuple[tuple[str, str], ...] = ()
    passed: tuple[str, ...] = ()


class Inbound(Strict):
    """A partner's message, the events it means, and the answer for when they are received."""

    name: str
    request: GivenRequest
    emissions: tuple[ExpectedEmission, ...]
    reply: Any = None


class Cases(Strict):
    """The golden cases of a connector, in the order of their files."""

    outbound: Annotated[tuple[Outbound, ...], Field(repr=False)]
    inbound: Annotated[tuple[Inbound, ...], Field(repr=False)]

    @classmethod
    def load(cls, package: str) -> Cases:
        """Read ``cases/*.json`` of a connector's package. Raises pydantic's ``ValidationError`` for a wrong case."""
        folder = files(package) / "cases"
        found = [(e.name, json.loads(e.read_text("utf-8"))) for e in folder.iterdir() if e.name.endswith(".json")]
        values = [value for _, value in sorted(found, key=lambda pair: pair[0])]
        return cls(
            outbound=tuple(Outbound.model_validate(value) for value in values if "event" in value),
            inbound=tuple(Inbound.model_validate(value) for value in values if "event" not in value),
        )


def record_type(event_type: str) -> type[Record]:
    """The typed record of an event type. Raises ``KeyError`` for a type that is not in the catalogue."""
    return RECORDS[EVENT_TYPES[event_type]]


def body_of(request: Incoming) -> Any:
    """What a partner got, as a golden case writes it: JSON, else the fields of a form."""
    value = request.json()
    return value if value is not None else dict(parse_qsl(request.body.decode("utf-8", "replace")))


def seen(emission: Emission, expected: ExpectedEmission) -> ExpectedEmission:
    """An emission as a golden case writes it; what the case leaves open is left open."""
    return ExpectedEmission(
        type=emission.type,
        subject=(emission.subject.scheme, emission.subject.value),
        record=emission.record.model_dump(mode="json", exclude_defaults=True),
        time=emission.time if expected.time is not None else None,
        identity=emission.identity if expected.identity is not None else None,
        mints=emission.mints,
        owner=emission.owner if expected.owner is not None else None,
        procedure=emission.procedure if expected.procedure is not None else None,
        addressed_to=emission.addressed_to if expected.addressed_to is not None else None,
        urgent=emission.urgent,
        references=_pairs(emission),
        passed=tuple(emission.passed),
    )


@cache
def _codec() -> Codec:
    return Codec(PackagedSchemas())


def _pairs(emission: Emission) -> Sequence[tuple[str, str]]:
    return tuple((reference.scheme, reference.value) for reference in emission.references)
