"""Reports as functions of one service, for the command line and for a console."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime, time, timedelta
from typing import Any

from router.ledger import dossiers
from router.ledger.dossiers import By, Scope
from router.ports import Clock, Ledger
from router.procedures.dues import VIETNAM, Clockwork, local, micros
from router.reports.names import TOTAL, TOTAL_NAME, UNKNOWN, Name, by_code
from router.reports.period import Period
from router.sdk.dates import local_date


class Reports:
    """Read-only. Times are µs UTC, days are local to Vietnam. ``clockwork`` knows working days, and which agencies
    stand below which; ``name`` what groups are called, as of the last day of a period.
    """

    def __init__(self, ledger: Ledger, clock: Clock, clockwork: Clockwork, name: Name = by_code) -> None:
        self._ledger, self._clock, self._clockwork, self._name = ledger, clock, clockwork, name

    async def statistics(self, period: Period, by: By, agency: str = "", level: str = "") -> list[dict[str, Any]]:
        """Dossiers received in a period, whatever became of them until today. A row by group and a last one ``total``;
        early, on time and overdue also in percent of the solved. ``agency``: that one and all below it.
        """
        scope = await self._scope(agency, level)
        first, last, today = period.first, period.last, self._today
        rows = await self._ledger.read(lambda conn: dossiers.counts(conn, by, first, last, today, scope))
        return self._named([with_shares(row) for row in [*rows, total(rows)]], by, last) if rows else []

    async def national(self, period: Period, by: By, agency: str = "", level: str = "") -> list[dict[str, Any]]:
        """The national form of a period: carried over and received, solved in it, open at its end (or today, while it
        runs). A row by group and a last one ``total``; see ``dossiers.flows`` for what adds up.
        """
        scope, last = await self._scope(agency, level), min(period.last, self._today)
        until = micros(datetime.combine(last + timedelta(days=1), time(), VIETNAM))
        rows = await self._ledger.read(lambda conn: dossiers.flows(conn, by, period.first, last, until, scope))
        return self._named([with_sums(row) for row in [*rows, total(rows)]], by, last) if rows else []

    async def at_risk(self, days: int, limit: int, agency: str = "") -> list[dict[str, Any]]:
        """What is due within so many working days (0: today), overdue, or overdue without an apology; by agency."""
        today = until = self._today
        for _ in range(days):
            until = self._clockwork.calendar.next_working_day(until)
        scope = await self._scope(agency, "")
        rows = await self._ledger.read(lambda conn: dossiers.at_risk(conn, until, limit, scope))
        return [self._risk(row, today) for row in rows]

    def _named(self, rows: Sequence[Mapping[str, Any]], by: By, last: date) -> list[dict[str, Any]]:
        """Rows with ``name`` beside ``group``, as of the end of the period or today; the last row is the total."""
        *groups, whole = rows
        day = min(last, self._today)
        told = [(row, self._name(by, row["group"], day) or UNKNOWN) for row in groups]
        return [{"group": row["group"], "name": name, **row} for row, name in [*told, (whole, TOTAL_NAME)]]

    @property
    def _today(self) -> date:
        return local_date(self._clock.business())

    async def _scope(self, agency: str, level: str) -> Scope:
        if not agency:
            return Scope(level=level)
        known = await self._ledger.read(dossiers.agencies)
        below = tuple(code for code in known if agency in self._clockwork.place_of(code).codes)
        return Scope(below or (agency,), level)

    def _risk(self, row: Mapping[str, Any], today: date) -> dict[str, Any]:
        due = date.fromisoformat(row["due_date"])
        return {
            "agency": row["agency"],
            "code": row["code"],
            "procedure": row["procedure"],
            "status": row["status"],
            "due_date": row["due_date"],
            "due_time": local(row["due_whole"]).strftime("%H:%M") if row["due_whole"] else None,
            "days_left": (due - today).days,
            "working_days_left": self._clockwork.calendar.working_days_between(today, due),
            "paused": row["paused_since"] is not None,
            "overdue": due < today,
            "apology": row["apology_at"] is not None,
        }


def total(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The sum of all groups."""
    names = [name for name in rows[0] if name != "group"]
    return {"group": TOTAL, **{name: sum(row[name] for row in rows) for name in names}}


def with_sums(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row of the national form with the sums that it prints, and the shares of what was solved with a due date."""
    received = row["online"] + row["counter"] + row["postal"] + row["other_channel"]
    still = row["open_in_time"] + row["open_overdue"] + row["open_supplement"] + row["open_without_due"]
    told = with_shares({**row, "received": received})
    told["solved"] += row["solved_without_due"]
    return {**told, "open": still}


def with_shares(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row with ``solved`` and the shares of its classes, in percent of the solved, two places."""
    solved = row["early"] + row["on_time"] + row["overdue"]
    shares = {
        f"{name}_percent": round(100 * row[name] / solved, 2) if solved else None
        for name in ("early", "on_time", "overdue")
    }
    rest = {name: value for name, value in row.items() if name not in ("group", "received")}
    return {"group": row["group"], "received": row["received"], "solved": solved, **rest, **shares}
