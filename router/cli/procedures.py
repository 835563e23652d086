"""Commands on procedure definitions: list, lint, show, draw, and play recorded histories again."""

from __future__ import annotations

import json as jsons
import re
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from router.assembly import build_clockwork, build_library
from router.cli import output
from router.cli.session import (
    MISCONFIGURED,
    REFUSED,
    ConfigOption,
    JsonOption,
    ReasonOption,
    WhoOption,
    ask,
    exit_codes,
    opened,
    run,
    settings_of,
    user,
)
from router.clock import SystemClock
from router.errors import ConfigError
from router.ledger import instances, query
from router.ledger.instances import Stored
from router.ports import Ledger
from router.procedures.definition import Definition, plain
from router.procedures.definitions_file import linted, load_definition
from router.procedures.draw import as_svg, as_text
from router.procedures.histories import History, compare
from router.procedures.library import Library
from router.procedures.recipient import PROCEDURES
from router.procedures.record import record
from router.procedures.rows import instance_of
from router.procedures.trial import Row, read_events, tried
from router.procedures.vocabulary import event_types, facts_told
from router.settings import Settings

if TYPE_CHECKING:
    from sqlalchemy import Connection

app = typer.Typer(no_args_is_help=True, help="Interconnected procedures: their definitions, and what they would judge.")
LangOption = Annotated[Literal["vi", "en"], typer.Option("--lang", help="Language of titles and words.")]
NameArgument = Annotated[str, typer.Argument(help="Name, or name/version, or a YAML file.")]
PAGE = 200


@app.command("list", epilog="Example: lgsp procedures list --json")
def list_definitions(config: ConfigOption = None, lang: LangOption = "vi", json: JsonOption = False) -> None:
    """List all definitions with their versions."""
    rows = [
        {
            "procedure": each.procedure,
            "version": each.version,
            "title": getattr(each.title, lang),
            "codes": ", ".join(each.codes),
            "budget": each.budget.words(lang) if each.budget is not None else None,
            "nodes": len(each.nodes),
        }
        for each in sorted(_library(config).definitions.values(), key=lambda each: each.name)
    ]
    output.listing(rows, as_json=json, empty="There are no definitions.")


@app.command(epilog="Example: lgsp procedures lint my_procedure.yaml")
def lint(
    file: Annotated[list[Path] | None, typer.Argument(help="YAML files; without any: all shipped ones.")] = None,
    json: JsonOption = False,
) -> None:
    """Say what is wrong or odd about definitions, with file and line. Exit 1 for a fault."""
    rows: list[dict[str, Any]] = []
    for name, text in _texts(file):
        try:
            _, findings = linted(text, name)
        except ConfigError as error:
            line = re.search(r"line (\d+)", error.key)
            rows.append({"file": name, "line": int(line[1]) if line else 1, "fault": True, "text": str(error)})
            continue
        rows += [{"file": name, "line": line, "fault": f.fault, "text": f.text} for line, f in findings]
    output.listing(rows, as_json=json, empty="Nothing to find.")
    if any(row["fault"] for row in rows):
        raise typer.Exit(REFUSED)


@app.command("events", epilog="Example: lgsp procedures events dossier.component_changed")
def list_events(
    name: Annotated[str, typer.Argument(help="Event type, or the beginning of one with a star.")] = "*",
    json: JsonOption = False,
) -> None:
    """List event types with the facts a guard may use after `event.`, and the values they can have."""
    rows = [
        {"event": event, "fact": fact, "kind": told.kind, "values": ", ".join(map(str, told.values))}
        for event in event_types(name)
        for fact, told in facts_told(event).items()
    ]
    output.listing(rows, as_json=json, empty=f"There is no event type {name}.")
    if not rows:
        raise typer.Exit(REFUSED)


@app.command("try", epilog="Example: lgsp procedures try tree_felling.yaml events.yaml")
def try_definition(
    name: NameArgument,
    events: Annotated[Path, typer.Argument(help="YAML list of events and times (docs/procedures.md).")],
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """Play a few events through a definition: verdict, place, status and due dates, step by step. Nothing is stored."""
    definition = _named(name, config)
    clockwork = build_clockwork(_settings(config), SystemClock())
    try:
        said = read_events(events.read_text("utf-8"), str(events))
        rows = [_told(row) for row in tried(definition, said, clockwork)]
    except (OSError, UnicodeDecodeError, ConfigError) as error:
        output.error(f"lgsp: {error}")
        raise typer.Exit(MISCONFIGURED) from None
    if json:
        output.listing(rows, as_json=True, empty="")
        return
    for row in rows:
        output.line(f"{row['at']}  {row['event']} → {row['verdict']}{row['reason'] and ' (' + row['reason'] + ')'}")
        told = {"status": row["status"], "due": row["due"], "task due": row["task_due"]}
        told |= {"alerts": row["alerts"], "sends": row["sends"]}
        beside = "; ".join(f"{name} {value}" for name, value in told.items() if value)
        output.line(f"    {row['nodes']}; {beside}")


def _told(row: Row) -> dict[str, Any]:
    return {
        "at": output.when(row.at),
        "event": row.event,
        "verdict": row.verdict,
        "reason": row.reason,
        "status": row.status,
        "nodes": ", ".join(row.nodes) or f"● {row.end}",
        "due": output.when(row.due or None),
        "task_due": output.when(row.task_due or None),
        "alerts": ", ".join(row.alerts),
        "sends": ", ".join(row.sends),
    }


@app.command(epilog="Example: lgsp procedures show land_transfer --lang en")
def show(name: NameArgument, config: ConfigOption = None, lang: LangOption = "vi", json: JsonOption = False) -> None:
    """Print a definition: its agencies, nodes and ways."""
    definition = _named(name, config)
    if json:
        output.document(plain(definition), as_json=True)
    else:
        output.line(as_text(definition, lang))


@app.command(epilog="Example: lgsp procedures draw land_transfer --output land_transfer.svg")
def draw(
    name: NameArgument,
    config: ConfigOption = None,
    out: Annotated[
        Path | None, typer.Option("--output", "-o", help="SVG file; without it: text on the screen.")
    ] = None,
    lang: LangOption = "vi",
) -> None:
    """Draw a definition with the agencies as swim lanes."""
    definition = _named(name, config)
    if out is None:
        output.line(as_text(definition, lang))
        return
    out.write_text(as_svg(definition, lang), "utf-8")
    output.line(f"{out}: {len(definition.nodes)} nodes")


@app.command(epilog='Example: lgsp procedures recalculate --reason "hoán đổi ngày làm việc 02/01/2026"')
def recalculate(
    reason: ReasonOption, who: WhoOption = "", config: ConfigOption = None, json: JsonOption = False
) -> None:
    """Count the due dates of all open dossiers again by the calendar in force; the running service does it in pages."""
    answers = ask(config, lambda operations: operations.recalculate(PROCEDURES, who=who or user(), why=reason))
    rows = [{"order": a.id, "applied": a.result.applied, "result": a.result.text} for a in answers]
    output.listing(rows, as_json=json, empty="Nothing to do.")
    if not all(row["applied"] for row in rows):
        raise typer.Exit(REFUSED)


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
    settings = _settings(config)
    library = _library(config)
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
    settings, again = _settings(config), of.endswith(".json")
    clockwork = build_clockwork(settings, SystemClock())
    found = [_from_file(Path(of))] if again else run(_of_code(settings, of))
    if not found:
        output.error(f"lgsp: no procedure is known of {of}")
        raise typer.Exit(REFUSED)
    with exit_codes():
        values = record(found[0], _library(config), clockwork, known=again)
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


def _settings(config: ConfigOption) -> Settings:
    try:
        return settings_of(config)
    except ConfigError as error:
        output.error(f"lgsp: {error}")
        raise typer.Exit(MISCONFIGURED) from None


def _library(config: ConfigOption) -> Library:
    settings = _settings(config)
    try:
        return build_library(settings)
    except ConfigError as error:
        output.error(f"lgsp: {error}")
        raise typer.Exit(MISCONFIGURED) from None


def _named(name: str, config: ConfigOption) -> Definition:
    if name.endswith((".yaml", ".yml")):
        try:
            return load_definition(Path(name))
        except ConfigError as error:
            output.error(f"lgsp: {error}")
            raise typer.Exit(MISCONFIGURED) from None
    procedure, _, version = name.partition("/")
    found = [each for each in _library(config).definitions.values() if each.procedure == procedure]
    fit = [each for each in found if not version or str(each.version) == version]
    if not fit:
        output.error(f"lgsp: there is no definition {name}; `lgsp procedures list` names them")
        raise typer.Exit(REFUSED)
    return max(fit, key=lambda each: each.version)


def _texts(named: list[Path] | None) -> Iterator[tuple[str, str]]:
    if named:
        for file in named:
            try:
                yield str(file), file.read_text("utf-8")
            except (OSError, UnicodeDecodeError) as error:
                output.error(f"lgsp: {file}: {error}")
                raise typer.Exit(MISCONFIGURED) from None
        return
    folder = files("router.procedures") / "definitions"
    for entry in sorted(folder.iterdir(), key=lambda entry: entry.name):
        yield entry.name, entry.read_text("utf-8")
