"""The command ``lgsp``."""

from __future__ import annotations

import os

import typer

from router.cli import (
    agencies,
    dead,
    demo,
    histories,
    operate,
    payments,
    procedures,
    recipient,
    replay,
    report,
    routes,
    schemas,
    serve,
    upkeep,
)

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Message router for public administration: run it, look into it, repair what failed.",
)
app.add_typer(demo.app)
app.add_typer(serve.app)
app.add_typer(upkeep.app)
app.add_typer(operate.app)
app.add_typer(recipient.app, name="recipient", help="Look at recipients, hold, stop and resume them.")
app.add_typer(dead.app, name="dead", help="Dead letters: what a person must look at, and what to do.")
app.add_typer(replay.app, name="replay", help="Send dead letters again: at once, or as a planned list.")
app.add_typer(routes.app, name="routes")
app.add_typer(agencies.app, name="agencies")
procedures.app.add_typer(histories.app)
app.add_typer(procedures.app, name="procedures")
app.add_typer(payments.app, name="payments")
app.add_typer(schemas.app, name="schemas")
app.add_typer(report.app)
app.add_typer(report.dossier, name="dossier")


def main() -> None:
    """Entry point. Exit codes: 0 done, 1 refused or not found well, 2 wrong configuration or usage, 3 unreachable."""
    os.umask(0o077)  # logs, ledgers and copies hold personal data
    app()
