"""Commands on histories of instances: play them again under today's definitions and engine, record one for a test."""

from __future__ import annotations

import json as jsons
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from router.assembly import build_clockwork
from router.cli import output
from router.cli.session import (
    MISCONFIGURED,
    REFUSED,
    ConfigOption,
    JsonOption,
    exit_codes,
    library_of,
    opened,
    run,
    settings_of,
)
from router.clock import SystemClock
from router.ledger import instances, query
from router.ledger.instances import Stored
from router.ports import Ledger
from router.procedures.histories import History, compare
from router.procedures.record import record
from router.procedures.rows import instance_of
from router.settings import Settings

if TYPE_CHECKING:
    from sqlalchemy import Connection

app = typer.Typer()
PAGE = 200


@app.command("replay-histories", epilog="Example: lgsp procedures replay-histories --ledger --newest")
def replay_histories(
    folder: Annotated[Path | None, typer.Argument(help="Folder of recorded histories (*.json).")] = None,
    ledger: Annotated[bool, typer.Option("--ledger", help="Those of the ledger.")] = False,
    newest: Annotated[bool, typer.Option("--newest", help="Under the newest versions, not the pinned ones.")] = False,
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """Play recorded histories with these definitions and this engine; exit 1 if anything comes out otherwise.

    Compared are verdicts, flags, moves of due dates, what is sent, alerts, refunds and the end.
    """
    if (folder is None) == (not ledger):
        output.error("lgsp: name a folder, or --ledger")
        raise typer.Exit(MISCONFIGURED)
    settings = settings_of(config)
    library = library_of(config)
    clockwork = build_clockwork(settings, SystemClock())
    histories = list(_from_folder(folder)) if folder is not None else run(_from_ledger(settings))
    rows = [found._asdict() for each in histories for found in compare(each, library, clockwork, newest=newest)]
    output.listing(rows, as_json=json, empty=f"{len(histories)} histories, nothing is judged otherwise.")
    if rows:
        raise typer.Exit(REFUSED)


@app.command("record-history", epilog="Example: lgsp procedures record-history H39.16-250616-0007 -o transfer.json")
def record_history(
    of: Annotated[str, typer.Argument(metavar="CODE", help="A code of the dossier or document; or a recorded *.json.")],
    out: Annotated[Path, typer.Option("--output", "-o", help="The file to write.")],
    config: ConfigOption = None,
) -> None:
    """Write one dossier's history to a file for `replay-histories`, its codes and numbers replaced by others.

    Of a file that is a history already, only what comes of it is recorded anew. Exit 1 for a dossier that is not known,
    or that today's definition judges otherwise than its log says.
    """
    settings, again = settings_of(config), of.endswith(".json")
    clockwork = build_clockwork(settings, SystemClock())
    found = [_from_file(Path(of))] if again else run(_of_code(settings, of))
    if not found:
        output.error(f"lgsp: no procedure is known of {of}")
        raise typer.Exit(REFUSED)
    with exit_codes():
        values = record(found[0], library_of(config), clockwork, known=again)
    out.write_text(jsons.dumps(values, ensure_ascii=False, indent=1) + "\n", "utf-8")
    output.line(f"{out}: {len(values['events'])} events, {len(values['effects'])} with effects")


def _from_folder(folder: Path) -> Iterator[History]:
    yield from map(_from_file, sorted(folder.glob("*.json")))


def _from_file(file: Path) -> History:
    try:
        return History.read(file.name, jsons.loads(file.read_text("utf-8")))
    except (OSError, ValueError, KeyError) as error:
        output.error(f"lgsp: {file}: no history ({type(error).__name__}: {error})")
        raise typer.Exit(MISCONFIGURED) from None


async def _of_code(settings: Settings, code: str) -> list[History]:
    """The histories under a code, the longest first: ids may have turned out to be one dossier."""
    async with opened(settings) as (ledger, _):

        def look(conn: Connection) -> list[History]:
            stored = instances.load(conn, query.keys_by_code(conn, code))
            made = [_history(each, instances.log(conn, key)) for key, each in stored.items()]
            return sorted(made, key=lambda each: -len(each.lines))

        return await ledger.read(look)


def _history(stored: Stored, lines: Sequence[Mapping[str, Any]]) -> History:
    state, after = stored.state, instance_of(stored)
    return History(stored.key.hex(), state["procedure"], state["definition"], state["end_state"], lines, after=after)


async def _from_ledger(settings: Settings) -> list[History]:
    async with opened(settings) as (ledger, _):
        return [history async for history in _pages(ledger)]


async def _pages(ledger: Ledger) -> AsyncIterator[History]:
    after = b""
    while True:
        page = await ledger.read(partial(instances.page, after=after, limit=PAGE))
        for stored in page:
            lines = await ledger.read(partial(instances.log, key=stored.key))
            yield _history(stored, lines)
        if len(page) < PAGE:
            return
        after = page[-1].key
