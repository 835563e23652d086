"""Recorded histories played again with today's definitions and engine: what a release would judge otherwise. Pure.

A history is one instance's log: a JSON object with ``procedure``, ``definition``, ``events`` (as logged, in order) and
``end_state``. Timers are events of the log like all others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from router.procedures.definition import Definition
from router.procedures.dues import Clockwork
from router.procedures.engine import opened, step
from router.procedures.instance import Event
from router.procedures.library import Library


class Difference(NamedTuple):
    """Something that comes out otherwise than it was recorded."""

    history: str
    number: int  # of the log line; -1: the end
    event: str
    recorded: str
    now: str


@dataclass(frozen=True, slots=True)
class History:
    """A recorded run."""

    name: str
    procedure: str
    definition: int
    end_state: str
    lines: Sequence[Mapping[str, Any]]

    @classmethod
    def read(cls, name: str, values: Mapping[str, Any]) -> History:
        """From JSON values. Raises ``KeyError`` for a part that is missing."""
        return cls(name, values["procedure"], values["definition"], values["end_state"], values["events"])


def compare(history: History, library: Library, clockwork: Clockwork, *, newest: bool = False) -> list[Difference]:
    """Play a history and compare verdicts and end. ``newest``: under the newest version instead of the pinned one.

    Raises ``KeyError`` if this release does not know the definition.
    """
    versions = [version for name, version in library.definitions if name == history.procedure]
    definition = library.pinned(history.procedure, max(versions) if newest and versions else history.definition)
    verdicts, end_state = _played(history, definition, clockwork)
    found = [
        Difference(history.name, line["number"], line["event_type"], line["verdict"], now)
        for line in history.lines
        if (now := verdicts.get(line["number"], "(no line)")) != line["verdict"]
    ]
    if end_state != history.end_state:
        found.append(Difference(history.name, -1, "", history.end_state or "open", end_state or "open"))
    return found


def _played(history: History, definition: Definition, clockwork: Clockwork) -> tuple[dict[int, str], str]:
    """The verdicts by number of log line, and the end. Lines that one stimulus made are not given in again."""
    instance = opened(definition, history.lines[0]["applied_at"] if history.lines else 0)
    verdicts: dict[int, str] = {}
    seen: set[tuple[str, str]] = set()
    for line in history.lines:
        name = (line["source"], line["event_id"])
        if line["number"] in verdicts or name in seen:
            continue
        times = (line["occurred_at"], line["received_at"])
        event = Event(line["event_type"], line["source"], line["event_id"], *times, line["facts"])
        result = step(definition, instance, event, clockwork, line["applied_at"])
        seen |= {(each.event.source, each.event.id) for each in result.log}
        verdicts |= {each.number: each.verdict.value for each in result.log}
        instance = result.instance
    return verdicts, instance.end_state
