"""Dead letters: what a person must look at, by cause, with an explanation and a next step."""

from __future__ import annotations

from dataclasses import asdict
from importlib.metadata import EntryPoint
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from router.assembly import build_codec
from router.cli import output
from router.cli.filters import Agency, Cause, Code, Partner, Period, Procedure, Reason, Recipient, Text, Type, wanted_by
from router.cli.recipient import told
from router.cli.session import (
    MISCONFIGURED,
    REFUSED,
    ConfigOption,
    JsonOption,
    ReasonOption,
    WhoOption,
    ask,
    settings_of,
    user,
)
from router.codec import Codec
from router.errors import CodecError
from router.ledger.dead_letters import CauseGroup, DeadFilter
from router.ledger.query import Named
from router.ledger.rows import Body
from router.masking import mask, mask_value
from router.operations import Operations, Shown
from router.recipients import installed_connectors
from router.replay.edits import difference
from router.replay.explain import explain
from router.sdk.manifest import Manifest

app = typer.Typer(invoke_without_command=True)
LONGEST_SHOWN = 60  # characters of a code in a listing
Name = Annotated[str, typer.Argument(help="A delivery's name: recipient/partition/seq, as listings print it.")]
Lang = Annotated[Literal["vi", "en"], typer.Option("--lang", help="Language of explanations.")]


@app.callback(epilog="Example: lgsp dead --recipient tax-h39 --lang en")
def dead(
    context: typer.Context,
    recipient: Recipient = "",
    failed_with: Reason = "",
    cause: Cause = "",
    type: Type = "",
    code: Code = "",
    text: Text = "",
    partner_code: Partner = "",
    procedure: Procedure = "",
    agency: Agency = "",
    period: Period = "",
    lang: Lang = "vi",
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """Show dead letters by cause: how many, since when, how many dossiers wait behind them, and what to do."""
    wanted = wanted_by(recipient, failed_with, cause, type, code, text, partner_code, period, procedure, agency)
    if context.invoked_subcommand is not None:
        context.obj = wanted
        return
    groups = ask(config, lambda operations: operations.dead_groups(wanted))
    manifests = [_manifest(entry) for entry in installed_connectors().values()]
    rows = [_group(group, manifests, lang) for group in groups]
    if json:
        output.listing(rows, as_json=True, empty="")
        return
    for row in rows:
        output.line(f"{row['letters']} × {row['reason']}  {row['recipient']}  (cause {row['cause']})")
        for key in ("what", "message", "step"):
            if row[key]:
                output.line(f"    {row[key]}")
        output.line(f"    {output.cell(row['first'])} – {output.cell(row['last'])}, {row['lanes']} lanes parked\n")
    if not rows:
        output.line("No dead letters.")


@app.command("list", epilog="Example: lgsp dead --recipient tax-h39 list --limit 20")
def dead_list(
    context: typer.Context,
    recipient: Recipient = "",
    failed_with: Reason = "",
    cause: Cause = "",
    type: Type = "",
    code: Code = "",
    text: Text = "",
    partner_code: Partner = "",
    procedure: Procedure = "",
    agency: Agency = "",
    period: Period = "",
    limit: int = 50,
    by_cause: Annotated[bool, typer.Option("--by-cause", help="Group by cause.")] = False,
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """List dead letters, newest first, or their causes with counts."""
    wanted = wanted_by(recipient, failed_with, cause, type, code, text, partner_code, period, procedure, agency)
    if wanted == DeadFilter():
        wanted = context.obj or wanted
    if by_cause:
        groups = ask(config, lambda operations: operations.dead_groups(wanted))
        rows = [_group(group, [], "en") for group in groups]
    else:
        rows = [delivery_row(named) for named in ask(config, lambda operations: operations.dead(wanted, limit))]
    output.listing(rows, as_json=json, empty="No dead letters.")


@app.command("show", epilog="Example: lgsp dead show tax-h39/3/152")
def dead_show(
    name: Name,
    full: Annotated[bool, typer.Option("--full", help="Show personal data; audited, needs --reason.")] = False,
    save: Annotated[Path | None, typer.Option("--save", help="Write the newest body to a file; as --full.")] = None,
    reason: ReasonOption = "",
    who: WhoOption = "",
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """Show one delivery: why it failed, its attempts, its orders, its headers, and its bodies (masked) with what an
    edit changed.
    """
    personal = full or save is not None
    if personal and not reason:
        output.error("lgsp: --full and --save show personal data and need --reason; it is written to the audit table")
        raise typer.Exit(REFUSED)

    async def look(operations: Operations) -> Shown:
        shown = await operations.show(name)
        if personal:
            await operations.record_full_view(name, who or user(), reason)
        return shown

    shown = ask(config, look)
    if save is not None:
        _save(save, shown.editions[-1][1].value)
    codec = build_codec(settings_of(config))
    output.document(_shown(codec, shown, full=full), as_json=json)


@app.command("conflicts", epilog="Example: lgsp dead conflicts --json")
def dead_conflicts(limit: int = 50, config: ConfigOption = None, json: JsonOption = False) -> None:
    """List events that came under an id that is taken, with other bytes: each waits for a decision."""
    rows = [
        {
            "conflict": found.id,
            "first": found.first,
            "type": found.event_type,
            "code": code_shown(found.subject),
            "source": found.source,
            "event_id": found.event_id,
            "seen": output.when(found.seen_at),
        }
        for found in ask(config, lambda operations: operations.conflicts(limit))
    ]
    output.listing(rows, as_json=json, empty="No conflicts.")


@app.command("decide", epilog='Example: lgsp dead decide 3 --take --reason "bản sau mới đúng"')
def dead_decide(
    conflict: Annotated[int, typer.Argument(help="The conflict's number.")],
    reason: ReasonOption,
    take: Annotated[bool, typer.Option("--take/--drop", help="Deliver the other bytes as an event of their own.")],
    who: WhoOption = "",
    config: ConfigOption = None,
) -> None:
    """Decide about bytes that came under an id that is taken."""
    told(
        ask(
            config,
            lambda operations: operations.decide_conflict(conflict, take=take, who=who or user(), why=reason),
        )
    )


def _group(group: CauseGroup, manifests: list[Manifest], lang: str) -> dict[str, Any]:
    explanation = explain(group.reason, group.partner_code, manifests)
    return {
        **group._asdict(),
        "message": mask(group.message),
        "first": output.when(group.first),
        "last": output.when(group.last),
        "what": explanation.what.said(lang),
        "step": explanation.step.said(lang),
    }


def _manifest(entry: EntryPoint) -> Manifest:
    manifest: Manifest = entry.load().manifest
    return manifest


def code_shown(code: str) -> str:
    """A code as listings show it: masked, and cut where nobody reads on."""
    code = mask(code)
    return code if len(code) <= LONGEST_SHOWN else code[: LONGEST_SHOWN - 1] + "…"


def delivery_row(named: Named) -> dict[str, Any]:
    """A delivery as listings show it: masked."""
    delivery, failure = named.delivery, named.delivery.failure
    return {
        "id": named.name,
        "state": delivery.state.value,
        "type": delivery.event_type,
        "code": code_shown(delivery.subject),
        "reason": failure.reason if failure else None,
        "partner_code": failure.partner_code if failure else None,
        "message": mask(failure.message)[:80] if failure else None,
        "attempts": delivery.attempts,
        "last": output.when(delivery.last_at or delivery.accepted_at),
    }


def _shown(codec: Codec, shown: Shown, *, full: bool) -> dict[str, Any]:
    failure = shown.named.delivery.failure
    return {
        **delivery_row(shown.named),
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
        "changed": _changes(codec, shown, full=full),
        "bodies": [
            {"stored": output.when(at), "payload": _payload(codec, body, full=full)} for at, body in shown.editions
        ],
    }


def _changes(codec: Codec, shown: Shown, *, full: bool) -> list[dict[str, Any]]:
    """What every edit changed, field by field."""
    made: list[dict[str, Any]] = []
    records = [_decoded(codec, body) for _, body in shown.editions]
    for number, (before, after) in enumerate(pairwise(records), 1):
        for change in difference(before, after):
            name = next(part for part in reversed(change.path.split(".")) if not part.isdigit())
            before_after = {"before": change.before, "after": change.after}
            shown_as = before_after if full else {at: mask_value(v, name) for at, v in before_after.items()}
            made.append({"edit": number, "field": change.path, **shown_as})
    return made


def _decoded(codec: Codec, body: Body) -> Any:
    try:
        return codec.decode(body.value)
    except CodecError:
        return {}


def _payload(codec: Codec, body: Body, *, full: bool) -> Any:
    try:
        record = codec.decode(body.value)
    except CodecError as error:
        what = f"({len(body.value)} bytes: {error})"
        return {"undecodable": what, "bytes": _plain(body.value)} if full else what
    return record if full else mask_value(record)


def _plain(value: bytes) -> str:
    """Bytes as text where they are text, else in hexadecimal digits."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.hex()


def _save(path: Path, content: bytes) -> None:
    try:
        with path.open("xb") as file:
            file.write(content)
    except OSError as error:
        output.error(f"lgsp: {path}: {error.strerror}")
        raise typer.Exit(MISCONFIGURED) from None


def _text(value: bytes) -> str:
    try:
        return mask(value.decode())
    except UnicodeDecodeError:
        return value.hex()
