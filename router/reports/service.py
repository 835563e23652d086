"""Reports as functions of one service, for the command line and for a console."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any, Final

from router.ledger import dossiers, query
from router.ledger.dossiers import By
from router.ports import Clock, Ledger
from router.procedures.dues import local
from router.reports.period import Period
from router.sdk.dates import local_date

MOST_DELIVERIES: Final = 2_000


class Reports:
    """Read-only. Times are µs UTC, days are local to Vietnam."""

    def __init__(self, ledger: Ledger, clock: Clock) -> None:
        self._ledger, self._clock = ledger, clock

    async def statistics(self, period: Period, by: By) -> list[dict[str, Any]]:
        """A row by group and a last one ``total``; early, on time and overdue also in percent of the solved."""
        today = local_date(self._clock.business())
        rows = await self._ledger.read(lambda conn: dossiers.counts(conn, by, period.first, period.last, today))
        return [with_shares(row) for row in [*rows, total(rows)]] if rows else []

    async def at_risk(self, days: int, limit: int) -> list[dict[str, Any]]:
        """What is due within so many days (0: today), overdue, or overdue without an apology."""
        today = local_date(self._clock.business())
        until = today + timedelta(days=days)
        rows = await self._ledger.read(lambda conn: dossiers.at_risk(conn, until, limit))
        return [
            {
                "agency": row["agency"],
                "code": row["code"],
                "procedure": row["procedure"],
                "status": row["status"],
                "due_date": row["due_date"],
                "days_left": (date.fromisoformat(row["due_date"]) - today).days,
                "paused": row["paused_since"] is not None,
                "apology": row["apology_at"] is not None,
            }
            for row in rows
        ]

    async def timeline(self, code: str) -> list[dict[str, Any]]:
        """All that is known of a dossier or document, oldest first, by any of its codes. No personal data."""
        keys = await self._ledger.read(lambda conn: query.keys_by_code(conn, code))
        lines = [
            {
                "at": line["applied_at"] if line["event_type"].startswith("procedure.") else line["occurred_at"],
                "what": "event",
                "name": line["event_type"],
                "who": line["source"],
                "says": " ".join([line["verdict"], *line["flags"]]),
            }
            for line in await self._ledger.read(lambda conn: dossiers.events(conn, keys))
        ]
        lines += [
            {
                "at": move["at"],
                "what": "due date",
                "name": move["kind"],
                "who": "",
                "says": f"{_local(move['due'])}: {move['why']}",
            }
            for move in await self._ledger.read(lambda conn: dossiers.moves(conn, keys))
        ]
        lines.sort(key=lambda line: line["at"])
        return [*lines, *await self._deliveries(keys)]

    async def summary(self, code: str) -> dict[str, Any]:
        """Where a dossier stands: its facts, what it waits for and since when. Empty if there is none."""
        keys = await self._ledger.read(lambda conn: query.keys_by_code(conn, code))
        facts = await self._ledger.read(lambda conn: dossiers.facts(conn, keys))
        found = await self._ledger.read(lambda conn: dossiers.states(conn, keys))
        if not found:
            return {}
        state, known = found[0]["state"], facts[0] if facts else {}
        return {
            "key": found[0]["key"].hex(),
            "code": known.get("code", code),
            "procedure": f"{found[0]['procedure']}/{found[0]['definition']}",
            "agency": known.get("agency", ""),
            "status": state["status"],
            "ended": found[0]["end_state"],
            "waits_for": [f"{token[0]} since {_local(token[2])}" for token in state["tokens"]],
            "due_date": known.get("due_date"),
            "early_events": len(state["early"]),
            "integrity_warning": bool(known.get("integrity_warning")),
        }

    async def _deliveries(self, keys: Sequence[bytes]) -> list[dict[str, Any]]:
        """What went where, in the order of acceptance; by the machine's time, which is not business time."""
        found = await self._ledger.read(lambda conn: dossiers.deliveries(conn, keys, MOST_DELIVERIES))
        return [
            {
                "at": each.delivery.accepted_at,
                "what": "delivery",
                "name": each.delivery.event_type,
                "who": each.recipient,
                "says": f"{each.name} {each.delivery.state.value}, {each.delivery.attempts} attempts",
            }
            for each in found
        ]


def total(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The sum of all groups."""
    names = [name for name in rows[0] if name != "group"]
    return {"group": "total", **{name: sum(row[name] for row in rows) for name in names}}


def with_shares(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row with ``solved`` and the shares of its classes, in percent of the solved, two places."""
    solved = row["early"] + row["on_time"] + row["overdue"]
    shares = {
        f"{name}_percent": round(100 * row[name] / solved, 2) if solved else None
        for name in ("early", "on_time", "overdue")
    }
    rest = {name: value for name, value in row.items() if name not in ("group", "received")}
    return {"group": row["group"], "received": row["received"], "solved": solved, **rest, **shares}


def _local(at: int) -> str:
    return local(at).strftime("%Y-%m-%d %H:%M")
