"""Commands on the agency registry: who a code means and why, what changed, files in and out."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import date, datetime
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from router.cli import output
from router.cli.session import (
    REFUSED,
    ConfigOption,
    JsonOption,
    ReasonOption,
    WhoOption,
    opened,
    routes_of,
    run,
    settings_of,
    user,
)
from router.clock import SystemClock
from router.errors import OrderRefused
from router.ledger.registry import Changed
from router.registrar import Plan, Registrar
from router.routing.agencies import Active, Ambiguous, Circular, Dissolved, Registry, Resolution
from router.routing.registry_changes import Kind, day, differences_of, serves, told
from router.routing.registry_files import FILES, load_registry, write_registry
from router.routing.registry_records import entry_of
from router.sdk.dates import local_date
from router.sdk.records import reference

R = TypeVar("R")
app = typer.Typer(no_args_is_help=True, help="The agency registry: who a code means, what became of agencies.")

AtOption = Annotated[
    datetime | None, typer.Option(formats=["%Y-%m-%d"], help="On this day (local date); today by default.")
]
FolderArgument = Annotated[Path, typer.Argument(help=f"Folder with {', '.join(FILES)}.")]


@app.command("list", epilog="Example: lgsp agencies list --level commune --at 2025-07-01 --json")
def list_agencies(
    level: Annotated[str, typer.Option(help="Only this level: province, department, commune …")] = "",
    parent: Annotated[str, typer.Option(help="Only those directly below this agency (id).")] = "",
    at: AtOption = None,
    everything: Annotated[bool, typer.Option("--all", help="Also those that are not at work then.")] = False,
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """List agencies with the codes they have on a day, by level and id."""
    found, on = _registry(config), _day(at)
    rows = [
        {
            "id": agency.id,
            "name": agency.name,
            "level": agency.level,
            "parent": agency.parent,
            "codes": ", ".join(c.value for c in found.codes_of(agency.id) if c.valid_from <= on < c.valid_to),
            "valid_from": day(agency.valid_from),
            "valid_to": day(agency.valid_to),
            "grace_until": day(agency.grace_until or date.max),
            "serves": serves(agency),
        }
        for agency in sorted(found.agencies.values(), key=lambda agency: (agency.level, agency.id))
        if (everything or agency.valid_from <= on < agency.valid_to)
        and level in ("", agency.level)
        and parent in ("", agency.parent)
    ]
    output.listing(rows, as_json=json, empty="No agency fits.")


@app.command(epilog="Example: lgsp agencies resolve H39.25 --at 2025-08-15 --commune 28003")
def resolve(
    code: Annotated[str, typer.Argument(help="Agency code of any grammar.")],
    at: AtOption = None,
    commune: Annotated[str, typer.Option(help="GSO commune code, for split agencies.")] = "",
    procedure: str = "",
    continuing: Annotated[
        bool, typer.Option("--continuing", help="What continues earlier business: may drain to an ended agency.")
    ] = False,
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """Say who a code means on a day, step by step, and who works for it. Exit 1 if it means nobody."""
    found, on = _registry(config), _day(at)
    hints = {"commune": commune, "procedure": procedure}
    steps: list[str] = []
    resolved = found.resolve(code, on, hints, begins=not continuing, note=steps.append)
    result = {"code": code, "at": on.isoformat(), "registry": found.version, **_result(found, resolved, on)}
    if json:
        output.document({**result, "steps": steps}, as_json=True)
    else:
        for number, step in enumerate(steps, 1):
            output.line(f"{number}. {step}")
        output.line()
        output.document(result, as_json=False)
    if not isinstance(resolved, Active):
        raise typer.Exit(REFUSED)


@app.command(epilog="Example: lgsp agencies history H39.16 --json")
def history(
    agency: Annotated[str, typer.Argument(help="Id of an agency, or a code it has or had.")],
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """List an agency's changes: when, what, by whom and why. Exit 1 if there are none."""
    changes = _asked(config, lambda registrar: registrar.history(agency))
    before: dict[str, Changed] = {}
    rows = []
    for change in changes:
        rows.append(_change_row(before.get(change.agency), change))
        before[change.agency] = change
    output.listing(rows, as_json=json, empty=f"No change of {agency} is recorded.")
    if not rows:
        raise typer.Exit(REFUSED)


@app.command("export", epilog="Example: lgsp agencies export ./danh-muc")
def export_files(
    folder: FolderArgument,
    force: Annotated[bool, typer.Option("--force", help="Replace files that are there.")] = False,
    config: ConfigOption = None,
) -> None:
    """Write the registry in force as CSV files, which `import` reads."""
    there = [name for name in FILES if (folder / name).exists()]
    if there and not force:
        output.error(f"lgsp: refused: {folder / there[0]} is there already (--force replaces it)")
        raise typer.Exit(REFUSED)
    found = _registry(config)
    write_registry(folder, found)
    output.line(f"{folder}: {len(found.agencies)} agencies, registry {found.version}")


@app.command("import", epilog='Example: lgsp agencies import ./danh-muc --dry-run --reason "NQ 202/2025/QH15"')
def import_files(
    folder: FolderArgument,
    reason: ReasonOption,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be changed.")] = False,
    part: Annotated[bool, typer.Option("--part", help="The files hold a part: leave other agencies alone.")] = False,
    remove: Annotated[bool, typer.Option("--remove", help="Remove agencies that the files do not have.")] = False,
    who: WhoOption = "",
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """Change the registry to what the files say: differences go over the change feed to every process, audited with
    who and why. Without --part the files are the whole registry; what they lack is only removed with --remove.
    """

    async def work(registrar: Registrar) -> tuple[Plan, dict[str, Any]]:
        plan = await registrar.plan(lambda known: load_registry(folder, known.agencies if part else ()), part=part)
        gone = [change.entry.agency.id for change in plan.changes if change.kind is Kind.REMOVED]
        if dry_run or not plan.changes:
            return plan, {"applied": False}
        if gone and not remove:
            some = ", ".join(gone[:5])
            raise OrderRefused(f"{len(gone)} agencies are not in the files: {some} (--remove, or --part to leave them)")
        done = await registrar.carry_out(plan, who=who or user(), why=reason)
        return plan, {"applied": True, **done._asdict()}

    plan, told_of = _asked(config, work)
    rows = [
        {
            "change": change.kind.value,
            "agency": change.entry.agency.id,
            "name": change.entry.agency.name,
            "differences": "; ".join(change.differences),
        }
        for change in plan.changes
    ]
    if json:
        output.document({**told_of, "changes": rows}, as_json=True)
        return
    output.listing(rows, as_json=False, empty="The registry says the same already.")
    if told_of["applied"]:
        alone = " (no process is running: applied here)" if told_of["alone"] else ""
        output.line(f"done: {len(rows)} changes, registry {told_of['version']}{alone}")


def _result(found: Registry, resolved: Resolution, on: date) -> dict[str, Any]:
    match resolved:
        case Active(agency, via, draining):
            works = {role: found.recipient(agency, role) for above in found.chain(agency) for role in above.serves}
            return {
                "result": "draining" if draining else "active",
                "agency": agency.id,
                "name": agency.name,
                "code_then": found.code_at(agency.id, on),
                "via": list(via),
                "recipients": works,
            }
        case Ambiguous(successors):
            return {"result": "ambiguous_successor", "successors": list(successors)}
        case Circular(circle):
            return {"result": "circular_successor", "successors": list(circle)}
        case Dissolved(agency_id):
            return {"result": "dissolved", "agency": agency_id}
        case _:
            return {"result": "unknown"}


def _change_row(before: Changed | None, change: Changed) -> dict[str, Any]:
    entry = entry_of(reference.Agency.model_validate(change.record))
    differences: tuple[str, ...] = ()
    if change.deleted:
        kind = Kind.REMOVED
    elif before is None or before.deleted:
        kind, differences = Kind.ADDED, tuple(f"{name}: {text}" for name, text in told(entry).items() if text)
    else:
        earlier = entry_of(reference.Agency.model_validate(before.record))
        kind, differences = Kind.CHANGED, differences_of(earlier, entry)
    return {
        "version": change.version,
        "at": output.when(change.applied_at),
        "agency": change.agency,
        "change": kind.value,
        "differences": "; ".join(differences),
        "who": change.who,
        "why": change.why,
        "order": change.order_id or None,
    }


def _registry(config: Path | None) -> Registry:
    async def load() -> Registry:
        return (await routes_of(settings_of(config))).registry

    return run(load())


def _asked(config: Path | None, question: Callable[[Registrar], Awaitable[R]]) -> R:
    async def ask() -> R:
        settings = settings_of(config)
        async with opened(settings) as (ledger, clock):
            return await question(Registrar(settings, ledger, clock))

    return run(ask())


def _day(at: datetime | None) -> date:
    return at.date() if at is not None else local_date(SystemClock().business())
