"""Reports as functions of one service, for the command line and for a console."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any

from router.ledger import dossiers
from router.ledger.dossiers import By
from router.ports import Clock, Ledger
from router.reports.period import Period
from router.sdk.dates import local_date


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
