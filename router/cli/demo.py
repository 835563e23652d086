"""The command ``lgsp demo``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from router.cli.serve import configure_logging
from router.cli.session import exit_codes
from router.demo.sabotage import Sabotage
from router.runtime import run_loop

app = typer.Typer()


@app.command("demo", epilog="Example: lgsp demo --dossiers 200 --keep ./demo-data")
def demo(
    dossiers: Annotated[int, typer.Option(min=1, help="Land-transfer dossiers.")] = 50,
    documents: Annotated[int, typer.Option(min=0, help="Official documents.")] = 20,
    bus: Annotated[
        str, typer.Option(help="embedded; or kafka://host:port, then --ledger postgresql://… too.")
    ] = "embedded",
    ledger: Annotated[
        str, typer.Option(help="sqlite; with --bus kafka://…: postgresql://user@host:port/database.")
    ] = "sqlite",
    keep: Annotated[Path | None, typer.Option(help="Keep data and an lgsp.toml in this new folder.")] = None,
    seed: Annotated[int, typer.Option(min=1, help="Another story: other people, other dossiers with trouble.")] = 1,
    sabotage: Annotated[Sabotage | None, typer.Option(help="Plant a fault; the check must find it.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")] = False,
) -> None:
    """Run dossiers and documents between four simulated agency systems, and check what everybody holds.

    Exit 0 if everything arrived once and in order, 1 if anything differs.
    """
    if keep is not None and keep.exists() and (not keep.is_dir() or any(keep.iterdir())):
        raise typer.BadParameter(f"{keep} is not an empty folder", param_hint="--keep")
    if (bus == "embedded") != (ledger == "sqlite"):
        raise typer.BadParameter("either embedded with sqlite, or kafka:// with postgresql://", param_hint="--ledger")
    from router.demo.run import Choices, run_demo  # brings simulators and their web server: no other command needs them

    configure_logging("error")
    choices = Choices(dossiers, documents, bus, ledger, keep, seed, sabotage, json)
    with exit_codes():
        code = run_loop(run_demo(choices))
    raise typer.Exit(code)
