"""Operators' commands: look, find out why, repair. Each is a call of the application service and a page of output."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from router.cli import output
from router.cli.dead import delivery_row
from router.cli.recipient import recipient_rows, told
from router.cli.replay import in_lane_order
from router.cli.session import REFUSED, ConfigOption, JsonOption, ReasonOption, WhoOption, ask, settings_of, user
from router.ledger.rows import Verb
from router.masking import mask
from router.operations import Operations
from router.placing import Answer

app = typer.Typer(no_args_is_help=True)
lanes = typer.Typer(no_args_is_help=True, help="One dossier's deliveries at one recipient.")
app.add_typer(lanes, name="lane")

Name = Annotated[str, typer.Argument(help="A delivery's name: recipient/partition/seq, as listings print it.")]
Names = Annotated[list[str], typer.Argument(help="Names of deliveries: recipient/partition/seq.")]
OutOfOrder = Annotated[bool, typer.Option("--out-of-order", help="Accept that it goes out behind later events.")]


@app.command(epilog="Example: lgsp status --json | jq '.recipients[] | select(.dead > 0)'")
def status(config: ConfigOption = None, json: JsonOption = False) -> None:
    """Show backlogs, recipients that do not work, and what has not left yet."""
    found = ask(config, lambda operations: operations.status())
    rows = recipient_rows(found)
    rest = {
        "outbox": found.outbox,
        "waiting_for_dossier": found.waiting_for_dossier,
        "alerts": found.alerts,
        "owner_conflicts": found.owner_conflicts,
    }
    processes = [{**each._asdict(), "since": output.when(each.since)} for each in found.in_force]
    if json:
        output.document({"recipients": rows, **rest, "registry": found.registry, "processes": processes}, as_json=True)
        return
    output.listing(rows, as_json=False, empty="No recipients are configured.")
    print(" · ".join(f"{name.replace('_', ' ')}: {count}" for name, count in rest.items()))
    output.listing(processes, as_json=False, empty="No process is running.")


@app.command(epilog="Example: lgsp alerts --json")
def alerts(config: ConfigOption = None, json: JsonOption = False) -> None:
    """List open alerts, oldest first."""
    found = ask(config, lambda operations: operations.alerts())
    rows = [
        {
            "alert": a.name,
            "subject": a.subject,
            "detail": mask(a.detail),
            "since": output.when(a.raised),
            "last": output.when(a.last),
            "times": a.times,
        }
        for a in found
    ]
    output.listing(rows, as_json=json, empty="No alerts.")


@app.command(epilog="Example: lgsp trace 3f0c0b6e-5a51-5a0e-9d4b-0d8f0b1c2d3e")
def trace(
    event_id: Annotated[str, typer.Argument(help="The event's CloudEvents id (ce_id).")],
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """Show an event's deliveries at all recipients, and earlier ones that carried the same under another id."""
    sources = sorted(settings_of(config).recipients)
    found = ask(config, lambda operations: operations.trace(event_id, sources))
    same = ask(config, lambda operations: operations.same_content(event_id, sources))
    rows = [delivery_row(named) | {"same_content_as": ", ".join(same.get(named.name, []))} for named in found]
    output.listing(rows, as_json=json, empty="No recipient has this event.")
    if not found:
        raise typer.Exit(REFUSED)


@lanes.command("show", epilog="Example: lgsp lane show tax-h39 H39.16-250616-0007")
def lane_show(
    recipient: str,
    code: Annotated[str, typer.Argument(help="A code of the dossier or document.")],
    limit: int = 50,
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """Show the deliveries of a dossier at one recipient, in order."""
    found = ask(config, lambda operations: operations.lane(recipient, code, limit))
    output.listing(
        [delivery_row(named) for named in found], as_json=json, empty="Nothing is known of this dossier there."
    )
    if not found:
        raise typer.Exit(REFUSED)


@app.command(epilog='Example: lgsp skip tax-h39/3/152 --reason "đã nhập tay"')
def skip(names: Names, reason: ReasonOption, who: WhoOption = "", config: ConfigOption = None) -> None:
    """Leave deliveries out; later events of their dossiers go on."""
    _ordered(config, names, Verb.SKIP, reason, who)


@app.command(epilog='Example: lgsp discard router/0/4 --reason "thử nghiệm"')
def discard(names: Names, reason: ReasonOption, who: WhoOption = "", config: ConfigOption = None) -> None:
    """Give deliveries up for good; restore can take it back."""
    _ordered(config, names, Verb.DISCARD, reason, who)


@app.command(epilog='Example: lgsp expire land-h39/1/88 --reason "đã quá hạn, dân rút hồ sơ"')
def expire(names: Names, reason: ReasonOption, who: WhoOption = "", config: ConfigOption = None) -> None:
    """Give deliveries up because their time is over; later events of their dossiers go on, restore can take it back."""
    _ordered(config, names, Verb.EXPIRE, reason, who)


@app.command(epilog='Example: lgsp redirect one-stop-h39/2/17 one-stop-h53 --reason "đã sáp nhập"')
def redirect(
    name: Name,
    target: Annotated[str, typer.Argument(help="The recipient that is to have it instead.")],
    reason: ReasonOption,
    who: WhoOption = "",
    config: ConfigOption = None,
) -> None:
    """Hand a delivery to another recipient instead; here it counts as skipped and its lane goes on."""
    told(ask(config, lambda operations: operations.redirect(name, target, who=who or user(), why=reason)))


@app.command("restore", epilog='Example: lgsp restore tax-h39/3/152 --reason "bỏ qua nhầm"')
def restore_delivery(
    names: Names,
    reason: ReasonOption,
    out_of_order: OutOfOrder = False,
    who: WhoOption = "",
    config: ConfigOption = None,
) -> None:
    """Make skipped, discarded or expired deliveries dead letters again."""
    _ordered(config, names, Verb.RESTORE, reason, who, out_of_order=out_of_order)


def _ordered(
    config: Path | None, names: list[str], verb: Verb, reason: str, who: str, *, out_of_order: bool = False
) -> None:
    async def order(operations: Operations) -> list[Answer]:
        return [
            await operations.order(name, verb, who=who or user(), why=reason, out_of_order=out_of_order)
            for name in sorted(names, key=in_lane_order)
        ]

    told(*ask(config, order))
