"""Commands on dossiers: statistics of a period, what is at risk today, one dossier's timeline."""

from __future__ import annotations

import csv
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, Literal, TypeVar

import typer

from router.cli import output
from router.cli.session import MISCONFIGURED, REFUSED, ConfigOption, JsonOption, opened, run, settings_of
from router.ledger.dossiers import By
from router.reports.page import page
from router.reports.period import Period
from router.reports.service import Reports

R = TypeVar("R")
app = typer.Typer()
dossier = typer.Typer(no_args_is_help=True, help="One dossier or document.")


@app.command(epilog="Example: lgsp report --period 2025-Q3 --by agency --format html > report.html")
def report(
    period: Annotated[str, typer.Option(help="2025, 2025-Q3, 2025-07 or 2025-07-01; by the date of reception.")],
    by: Annotated[By, typer.Option(help="Group by this.")] = By.AGENCY,
    format: Annotated[Literal["table", "csv", "json", "html"], typer.Option(help="How to print it.")] = "table",
    config: ConfigOption = None,
) -> None:
    """Count dossiers: received, solved early, on time, overdue, in progress, paused, by channel and service level."""
    try:
        wanted = Period.read(period)
    except ValueError as error:
        output.error(f"lgsp: --period: {error}")
        raise typer.Exit(MISCONFIGURED) from None
    rows = _asked(config, lambda reports: reports.statistics(wanted, by))
    if format == "html":
        sys.stdout.write(page(f"Báo cáo giải quyết hồ sơ {wanted.name}", rows))
    elif format == "csv":
        writer = csv.DictWriter(sys.stdout, list(rows[0]) if rows else ["group"])
        writer.writeheader()
        writer.writerows(rows)
    else:
        output.listing(rows, as_json=format == "json", empty="No dossiers were received in this period.")


@app.command(epilog="Example: lgsp deadlines --days 1 --json")
def deadlines(
    days: Annotated[int, typer.Option(min=0, help="Also what is due within so many days.")] = 1,
    limit: Annotated[int, typer.Option(min=1)] = 200,
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """List what is at risk, by agency: due today or soon, overdue, overdue without an apology."""
    rows = _asked(config, lambda reports: reports.at_risk(days, limit))
    output.listing(rows, as_json=json, empty="Nothing is at risk.")


@dossier.command("show", epilog="Example: lgsp dossier show H39.25.01-250616-0007")
def show(code: str, config: ConfigOption = None, json: JsonOption = False) -> None:
    """Print where a dossier stands and everything that happened to it; any of its codes finds it."""
    standing = _asked(config, lambda reports: reports.summary(code))
    if not standing:
        output.error(f"lgsp: nothing is known of {code}")
        raise typer.Exit(REFUSED)
    lines = _asked(config, lambda reports: reports.timeline(code))
    told = [{**line, "at": output.when(line["at"])} for line in lines]
    if json:
        output.document({**standing, "timeline": told}, as_json=True)
        return
    output.document(standing, as_json=False)
    output.line()
    output.listing(told, as_json=False, empty="Nothing happened yet.")


def _asked(config: Path | None, question: Callable[[Reports], Awaitable[R]]) -> R:
    async def ask() -> R:
        async with opened(settings_of(config)) as (ledger, clock):
            return await question(Reports(ledger, clock))

    return run(ask())
