"""A step as rows of the ledger, and stored rows as instances. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final

from router.ledger.instances import Changes, Stored
from router.procedures.decisions import waiting
from router.procedures.dues import agency_due, apology_owed, day_of, due_at
from router.procedures.effects import Step
from router.procedures.instance import Instance, LogLine, Move, from_json, to_json
from router.procedures.status import DONE, PAUSED, TERMINAL, Status

_CHANNELS: Final = {"DIRECT": "counter", "ONLINE": "online", "POSTAL": "postal"}
_LEVELS: Final = {"PARTIAL": "partial", "FULL": "full"}


def instance_of(stored: Stored) -> Instance:
    """The value of a stored row."""
    return replace(from_json(stored.state), version=stored.version)


def changes_of(
    key: bytes, before: Instance | None, wanted: Mapping[str, int], step: Step, level_of: Callable[[str], str]
) -> Changes:
    """What a step writes. ``wanted`` are the timers that stand in the ledger now."""
    after = step.instance
    version = (before.version if before is not None else 0) + 1
    return Changes(
        key=key,
        expected=version - 1,
        row={
            "procedure": after.procedure,
            "definition": after.definition,
            "version": version,
            "state": to_json(replace(after, version=version)),
            "opened_at": after.opened_at,
            "closed_at": after.closed_at or None,
            "end_state": after.end_state,
            "money_waits": any(map(waiting, after.finance.payments)),
        },
        events=[log_row(line) for line in step.log],
        timers_gone=wanted.keys() - step.timers.keys(),
        timers_set={name: due for name, due in step.timers.items() if wanted.get(name) != due},
        facts=facts_row(after, level_of) if after.dossier.code else None,
        moves=_moves(before, after),
    )


def facts_row(instance: Instance, level_of: Callable[[str], str]) -> dict[str, Any]:
    """The row that reports count."""
    known, due = instance.dossier, instance.due
    whole = due_at(due.whole)
    finished = known.finished_at or (instance.closed_at if _closed(instance) else 0)
    paused = instance.status if Status(instance.status) in PAUSED else None
    return {
        "code": known.code,
        "procedure": known.procedure,
        "agency": known.agency,
        "level": level_of(known.agency),
        "channel": _CHANNELS.get(known.channel, ""),
        "service_level": _LEVELS.get(known.level, ""),
        "status": instance.status,
        "received_at": known.received_at,
        "received_date": day_of(known.received_at).isoformat(),
        "accepted_at": known.accepted_at or None,
        "due_agency": agency_due(due) or None,
        "due_whole": whole or None,
        "due_date": day_of(whole).isoformat() if whole else None,
        "finished_at": finished or None,
        "finished_date": day_of(finished).isoformat() if finished else None,
        "returned_at": known.returned_at or None,
        "paused_since": due.paused_since or None,
        "paused_status": paused,
        "supplement_rounds": known.supplement_rounds,
        "overdue_detected_at": due.detected_at or None,
        "apology_at": None if apology_owed(due) else due.apology_at or None,
        "extended": due.extended,
        "integrity_warning": known.integrity_warning,
        "calendar": due.calendar,
        "sector": known.sector or None,
    }


def _closed(instance: Instance) -> bool:
    """Whether its procedure ended without a result and without a status that says so: it was stopped, replaced by
    another dossier, or recalled by the one it was opened for.
    """
    return bool(instance.end_state) and Status(instance.status) not in DONE | TERMINAL


def log_row(line: LogLine) -> dict[str, Any]:
    """A line of the log as it is stored, but for its key."""
    event = line.event
    return {
        "number": line.number,
        "source": event.source,
        "event_id": event.id,
        "event_type": event.type,
        "occurred_at": event.occurred_at,
        "received_at": event.received_at,
        "applied_at": line.applied_at,
        "verdict": line.verdict.value,
        "flags": list(line.flags),
        "facts": dict(event.facts),
    }


def _moves(before: Instance | None, after: Instance) -> list[dict[str, Any]]:
    """Moves of both due dates that are not stored yet."""
    rows: list[dict[str, Any]] = []
    for kind in ("agency", "whole"):
        old: tuple[Move, ...] = getattr(before.due, kind) if before is not None else ()
        new: tuple[Move, ...] = getattr(after.due, kind)
        rows += [
            {"kind": kind, "number": number, "at": move.at, "due": move.due, "why": move.why}
            for number, move in enumerate(new)
            if number >= len(old)
        ]
    return rows
