"""Commands on procedure definitions: list, lint, show, draw, and try them on a few events."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from router.assembly import build_clockwork
from router.cli import output
from router.cli.session import (
    REFUSED,
    ConfigOption,
    JsonOption,
    ReasonOption,
    WhoOption,
    ask,
    exit_codes,
    library_of,
    settings_of,
    user,
)
from router.clock import SystemClock
from router.errors import ConfigError
from router.procedures.definition import Definition, Finding, plain
from router.procedures.definitions_file import linted, load_definition
from router.procedures.draw import as_svg, as_text
from router.procedures.recipient import PROCEDURES
from router.procedures.trial import Row, load_events, tried
from router.procedures.vocabulary import event_types, facts_told
from router.text_file import text_of

app = typer.Typer(no_args_is_help=True, help="Interconnected procedures: their definitions, and what they would judge.")
LangOption = Annotated[Literal["vi", "en"], typer.Option("--lang", help="Language of titles and words.")]
NameArgument = Annotated[str, typer.Argument(help="Name, or name/version, or a YAML file.")]


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
        for each in sorted(library_of(config).definitions.values(), key=lambda each: each.name)
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
            rows.append({"file": name, "line": error.line or 1, "fault": True, "text": str(error)})
            continue
        rows += [{"file": name, "line": line, "fault": found.fault, "text": _words(found)} for line, found in findings]
    output.listing(rows, as_json=json, empty="Nothing to find.")
    if any(row["fault"] for row in rows):
        raise typer.Exit(REFUSED)


def _words(found: Finding) -> str:
    """As the refusal of a file would say it, without the place: that has a column of its own."""
    return str(ConfigError(found.text, expected=found.form, vi=found.vi, expected_vi=found.form_vi))


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
    settings = settings_of(config)
    with exit_codes():
        clockwork = build_clockwork(settings, SystemClock())
        rows = [_told(row) for row in tried(definition, load_events(events), clockwork)]
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


def _named(name: str, config: ConfigOption) -> Definition:
    if name.endswith((".yaml", ".yml")):
        with exit_codes():
            return load_definition(Path(name))
    procedure, _, version = name.partition("/")
    found = [each for each in library_of(config).definitions.values() if each.procedure == procedure]
    fit = [each for each in found if not version or str(each.version) == version]
    if not fit:
        output.error(f"lgsp: there is no definition {name}; `lgsp procedures list` names them")
        raise typer.Exit(REFUSED)
    return max(fit, key=lambda each: each.version)


def _texts(named: list[Path] | None) -> Iterator[tuple[str, str]]:
    if named:
        for file in named:
            with exit_codes():
                text = text_of(file)
            yield str(file), text
        return
    folder = files("router.procedures") / "definitions"
    for entry in sorted(folder.iterdir(), key=lambda entry: entry.name):
        yield entry.name, entry.read_text("utf-8")
