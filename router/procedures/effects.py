"""What a step of the engine gives: values only, turned into rows and records by the local recipient."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from router.procedures.instance import Event, Instance, LogLine


class Emit(NamedTuple):
    """An event to send. ``record`` is the payload. ``key`` is another instance's key (a UUID as text) for signals
    between instances, else empty: the event is about this one and goes where the routes send it.
    """

    type: str
    record: Mapping[str, Any]
    key: str = ""
    addressed_to: str = ""


class Alert(NamedTuple):
    """An alert to raise, or to clear."""

    name: str
    subject: str
    detail: str
    raised: bool = True


class Refused(NamedTuple):
    """An event that becomes a dead letter ``illegal_transition``."""

    event: Event
    why: str


@dataclass(slots=True)
class Step:
    """All that one stimulus led to. ``timers`` are those that are wanted from now on."""

    instance: Instance
    log: list[LogLine] = field(default_factory=list)
    timers: dict[str, int] = field(default_factory=dict)
    emissions: list[Emit] = field(default_factory=list)
    alerts: list[Alert] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)
