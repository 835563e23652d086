"""Commands on dossiers: statistics of a period, what is at risk today, one dossier's timeline."""

from __future__ import annotations

import csv
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, Any, Final, Literal, TypeVar

import typer

from router.assembly import build_clockwork, build_codec, build_library, registry_of
from router.cli import output, timeline
from router.cli.session import MISCONFIGURED, REFUSED, ConfigOption, JsonOption, opened, run, settings_of
from router.ledger.dossiers import By
from router.reports.dossier import Dossiers, Shown
from router.reports.names import Names
from router.reports.page import NATIONAL, RECEIVED, page
from router.reports.period import Period
from router.reports.service import Reports

R = TypeVar("R")
ALWAYS: Final = frozenset({"group", "name", "received", "solved", "early", "on_time", "overdue"})
AgencyOption = Annotated[str, typer.Option("--agency", help="This agency, and all below it in the registry.")]
app = typer.Typer()
dossier = typer.Typer(no_args_is_help=True, help="One dossier or document.")


@app.command(epilog="Example: lgsp report --period 2025-Q3 --national --by sector --format html > report.html")
def report(
    period: Annotated[str, typer.Option(help="2025, 2025-Q3, 2025-07 or 2025-07-01.")],
    by: Annotated[By, typer.Option(help="Group by this.")] = By.AGENCY,
    national: Annotated[
        bool,
        typer.Option(
            "--national",
            help="As the national form counts: carried over and received, solved in the period, open at its end. "
            "Without it: dossiers received in the period, whatever became of them.",
        ),
    ] = False,
    agency: AgencyOption = "",
    level: Annotated[str, typer.Option(help="Agencies of this level only, e.g. commune.")] = "",
    format: Annotated[Literal["table", "csv", "json", "html"], typer.Option(help="How to print it.")] = "table",
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """Count dossiers: received, solved early, on time, overdue, in progress, paused, by channel and service level."""
    try:
        wanted = Period.read(period)
    except ValueError as error:
        output.error(f"lgsp: --period: {error}")
        raise typer.Exit(MISCONFIGURED) from None

    def question(reports: Reports) -> Awaitable[list[dict[str, Any]]]:
        ask = reports.national if national else reports.statistics
        return ask(wanted, by, agency, level)

    rows = _asked(config, question)
    if format == "html":
        sys.stdout.write(page(wanted, rows, NATIONAL if national else RECEIVED))
    elif format == "csv":
        writer = csv.DictWriter(sys.stdout, list(rows[0]) if rows else ["group"])
        writer.writeheader()
        writer.writerows(rows)
    else:
        plain = json or format == "json"
        told = rows if plain else _narrow(rows)
        output.listing(told, as_json=plain, empty="There are no dossiers in this period.")


@app.command(epilog="Example: lgsp deadlines --days 1 --agency H39.25 --json")
def deadlines(
    days: Annotated[int, typer.Option(min=0, max=60, help="Also what is due within so many working days.")] = 1,
    limit: Annotated[int, typer.Option(min=1)] = 200,
    agency: AgencyOption = "",
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """List what is at risk, by agency: due today or soon, overdue, overdue without an apology."""
    rows = _asked(config, lambda reports: reports.at_risk(days, limit + 1, agency))
    output.listing(rows[:limit], as_json=json, empty="Nothing is at risk.")
    if len(rows) > limit:
        output.error(f"lgsp: there are more than {limit}; --limit shows them")


@dossier.command("show", epilog="Example: lgsp dossier show H39.25.01-250602-0007")
def show(
    code: Annotated[
        str,
        typer.Argument(help="Dossier or document code, PCTT, notice or receipt number, payment reference, or UUID."),
    ],
    lang: Annotated[Literal["vi", "en"], typer.Option("--lang", help="Language of the procedure's words.")] = "vi",
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """Print where a dossier stands, what it waits for and whose clock runs, and everything that happened to it."""
    settings = settings_of(config)

    async def ask() -> Shown | None:
        async with opened(settings) as (ledger, clock):
            registry = await registry_of(settings, ledger)
            decode, clockwork = build_codec(settings).decode, build_clockwork(settings, clock, lambda: registry)
            return await Dossiers(ledger, build_library(settings), clockwork, decode).show(code, lang)

    shown = run(ask())
    if shown is None:
        output.error(f"lgsp: nothing is known of {code}")
        raise typer.Exit(REFUSED)
    timeline.tell(shown, as_json=json)


def _narrow(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """For a screen: without the columns that are zero everywhere, but for those that everybody looks for."""
    shown = [name for name in rows[0] if name in ALWAYS or any(row[name] for row in rows)] if rows else []
    return [{name: row[name] for name in shown} for row in rows]


def _asked(config: Path | None, question: Callable[[Reports], Awaitable[R]]) -> R:
    settings = settings_of(config)

    async def ask() -> R:
        async with opened(settings) as (ledger, clock):
            registry = await registry_of(settings, ledger)
            clockwork = build_clockwork(settings, clock, lambda: registry)
            return await question(Reports(ledger, clock, clockwork, Names(registry, build_library(settings))))

    return run(ask())
