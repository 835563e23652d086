"""Operators' commands: look, find out why, repair. Each is a call of the application service and a page of output."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from router.cli import output
from router.cli.recipient import recipient_rows, told
from router.cli.session import REFUSED, ConfigOption, JsonOption, ReasonOption, WhoOption, ask, settings_of, user
from router.codec import Codec, PackagedSchemas
from router.errors import CodecError
from router.ledger.query import DeadFilter, Named
from router.ledger.rows import Body, Verb
from router.masking import mask, mask_value
from router.operations import Answer, Operations, Shown

app = typer.Typer(no_args_is_help=True)
dead = typer.Typer(no_args_is_help=True, help="Dead letters: what a person must look at.")
lanes = typer.Typer(no_args_is_help=True, help="One dossier's deliveries at one recipient.")
app.add_typer(dead, name="dead")
app.add_typer(lanes, name="lane")

Name = Annotated[str, typer.Argument(help="A delivery's name: recipient/partition/seq, as listings print it.")]
Names = Annotated[list[str], typer.Argument(help="Names of deliveries: recipient/partition/seq.")]
OutOfOrder = Annotated[bool, typer.Option("--out-of-order", help="Accept that it goes out behind later events.")]


@app.command(epilog="Example: lgsp status --json | jq '.recipients[] | select(.dead > 0)'")
def status(config: ConfigOption = None, json: JsonOption = False) -> None:
    """Show backlogs, recipients that do not work, and what has not left yet."""
    found = ask(config, lambda operations: operations.status())
    rows = recipient_rows(found)
    rest = {"outbox": found.outbox, "waiting_for_dossier": found.waiting_for_dossier, "alerts": found.alerts}
    if json:
        output.document({"recipients": rows, **rest}, as_json=True)
        return
    output.listing(rows, as_json=False, empty="No recipients are configured.")
    print(" · ".join(f"{name.replace('_', ' ')}: {count}" for name, count in rest.items()))


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
    """Show an event's deliveries at all recipients."""
    sources = sorted(settings_of(config).recipients)
    found = ask(config, lambda operations: operations.trace(event_id, sources))
    output.listing([_row(named) for named in found], as_json=json, empty="No recipient has this event.")


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
    output.listing([_row(named) for named in found], as_json=json, empty="Nothing is known of this dossier there.")


@dead.command("list", epilog="Example: lgsp dead list --recipient tax-h39 --by-cause")
def dead_list(
    recipient: str = "",
    reason: str = "",
    cause: str = "",
    type: Annotated[str, typer.Option(help="Event type.")] = "",
    code: Annotated[str, typer.Option(help="Dossier or document code.")] = "",
    text: Annotated[str, typer.Option(help="Part of the partner's message.")] = "",
    limit: int = 50,
    by_cause: Annotated[bool, typer.Option("--by-cause", help="Group by cause.")] = False,
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """List dead letters, newest first, or their causes with counts."""
    wanted = DeadFilter(recipient=recipient, reason=reason, cause=cause, event_type=type, subject=code, text=text)
    if by_cause:
        groups = ask(config, lambda operations: operations.dead_groups(wanted))
        rows: list[dict[str, Any]] = [
            {
                **group._asdict(),
                "message": mask(group.message),
                "first": output.when(group.first),
                "last": output.when(group.last),
            }
            for group in groups
        ]
    else:
        rows = [_row(named) for named in ask(config, lambda operations: operations.dead(wanted, limit))]
    output.listing(rows, as_json=json, empty="No dead letters.")


@dead.command("show", epilog="Example: lgsp dead show tax-h39/3/152")
def dead_show(
    name: Name,
    full: Annotated[bool, typer.Option("--full", help="Show personal data; audited, needs --reason.")] = False,
    reason: ReasonOption = "",
    who: WhoOption = "",
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """Show one delivery: why it failed, its attempts, its headers and its payload (masked)."""
    if full and not reason:
        output.error("lgsp: --full shows personal data and needs --reason; it is written to the audit table")
        raise typer.Exit(REFUSED)

    async def look(operations: Operations) -> Shown:
        shown = await operations.show(name)
        if full:
            await operations.record_full_view(name, who or user(), reason)
        return shown

    output.document(_shown(ask(config, look), full=full), as_json=json)


@app.command(epilog='Example: lgsp replay tax-h39/3/152 --reason "sửa số tiền" --body corrected.avro')
def replay(
    names: Names,
    reason: ReasonOption,
    body: Annotated[Path | None, typer.Option(help="File with a corrected payload; one delivery only.")] = None,
    out_of_order: OutOfOrder = False,
    who: WhoOption = "",
    config: ConfigOption = None,
) -> None:
    """Send dead letters again, in the order of their lanes."""
    if body is not None and len(names) != 1:
        output.error("lgsp: --body corrects one delivery; name just one")
        raise typer.Exit(REFUSED)
    content = _checked(body) if body is not None else None

    async def order(operations: Operations) -> list[Answer]:
        return [
            await operations.replay(name, who=who or user(), why=reason, body=content, out_of_order=out_of_order)
            for name in sorted(names, key=_in_lane_order)
        ]

    told(*ask(config, order))


@app.command(epilog='Example: lgsp skip tax-h39/3/152 --reason "đã nhập tay"')
def skip(names: Names, reason: ReasonOption, who: WhoOption = "", config: ConfigOption = None) -> None:
    """Leave deliveries out; later events of their dossiers go on."""
    _ordered(config, names, Verb.SKIP, reason, who)


@app.command(epilog='Example: lgsp discard router/0/4 --reason "thử nghiệm"')
def discard(names: Names, reason: ReasonOption, who: WhoOption = "", config: ConfigOption = None) -> None:
    """Give deliveries up for good; restore can take it back."""
    _ordered(config, names, Verb.DISCARD, reason, who)


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
            for name in sorted(names, key=_in_lane_order)
        ]

    told(*ask(config, order))


def _in_lane_order(name: str) -> tuple[str, int]:
    head, _, seq = name.rpartition("/")
    return head, int(seq) if seq.isdigit() else 0


def _checked(path: Path) -> bytes:
    """A corrected payload, refused before it is sent if it cannot be decoded."""
    try:
        content = path.read_bytes()
        Codec(PackagedSchemas()).decode(content)
    except (OSError, CodecError) as error:
        output.error(f"lgsp: {path}: {error}")
        raise typer.Exit(REFUSED) from None
    return content


def _row(named: Named) -> dict[str, Any]:
    delivery, failure = named.delivery, named.delivery.failure
    return {
        "id": named.name,
        "state": delivery.state.value,
        "type": delivery.event_type,
        "code": mask(delivery.subject),
        "reason": failure.reason if failure else None,
        "partner_code": failure.partner_code if failure else None,
        "message": mask(failure.message)[:80] if failure else None,
        "attempts": delivery.attempts,
        "last": output.when(delivery.last_at or delivery.accepted_at),
    }


def _shown(shown: Shown, *, full: bool) -> dict[str, Any]:
    codec = Codec(PackagedSchemas())
    failure = shown.named.delivery.failure
    return {
        **_row(shown.named),
        "event_id": shown.named.delivery.event_id,
        "source": shown.named.delivery.source,
        "cause": failure.cause if failure else None,
        "place": failure.place if failure else None,
        "message": mask(failure.message) if failure else None,
        "attempt_log": [
            {**asdict(each), "started": output.when(each.started), "ended": output.when(each.ended)}
            for each in shown.attempts
        ],
        "orders": shown.orders,
        "headers": {name: _text(value) for name, value in shown.editions[0][1].headers},
        "bodies": [
            {"stored": output.when(at), "payload": _payload(codec, body, full=full)} for at, body in shown.editions
        ],
    }


def _payload(codec: Codec, body: Body, *, full: bool) -> Any:
    try:
        record = codec.decode(body.value)
    except CodecError as error:
        return f"({len(body.value)} bytes: {error})"
    return record if full else mask_value(record)


def _text(value: bytes) -> str:
    try:
        return mask(value.decode())
    except UnicodeDecodeError:
        return value.hex()
