"""Replays: one delivery at once, or a planned list with a dry run, canaries and a pace."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from router.assembly import build_codec
from router.cli import output
from router.cli.filters import Agency, Cause, Code, Partner, Period, Procedure, Reason, Recipient, Text, Type, wanted_by
from router.cli.recipient import told
from router.cli.session import REFUSED, ConfigOption, JsonOption, ReasonOption, WhoOption, ask, desk, settings_of, user
from router.ledger.replays import Item, Replay
from router.operations import Operations
from router.placing import Answer
from router.replay.desk import Plan, Seen
from router.replay.edits import with_fields


class NamesFirst(TyperGroup):
    """``lgsp replay NAME…`` means ``lgsp replay now NAME…``."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """A word that is no command is a delivery's name."""
        if args and args[0] not in self.commands:
            args = ["now", *args]
        return super().resolve_command(ctx, args)


app = typer.Typer(no_args_is_help=True, cls=NamesFirst)
Id = Annotated[int, typer.Argument(help="The replay's number.")]


@app.command("now", epilog='Example: lgsp replay tax-h39/3/152 --reason "sửa số tiền" --body corrected.avro')
def replay_now(
    names: Annotated[list[str], typer.Argument(help="Names of deliveries: recipient/partition/seq.")],
    reason: ReasonOption,
    body: Annotated[
        Path | None, typer.Option(exists=True, dir_okay=False, help="File with a corrected payload; one delivery only.")
    ] = None,
    fields: Annotated[
        list[str] | None, typer.Option("--set", help="Correct a field, e.g. total=6000000 or lines.0.amount=5.")
    ] = None,
    out_of_order: Annotated[bool, typer.Option("--out-of-order", help="Accept that it goes out late.")] = False,
    who: WhoOption = "",
    config: ConfigOption = None,
) -> None:
    """Send dead letters again at once, in the order of their lanes; one of them with a corrected body, in its place."""
    if (body is not None or fields) and len(names) != 1:
        output.error("lgsp: --body and --set correct one delivery; name just one")
        raise typer.Exit(REFUSED)
    content = body.read_bytes() if body is not None else None

    async def order(operations: Operations) -> list[Answer]:
        given = content
        if fields:
            shown = await operations.show(names[0])
            event_type, last = shown.named.delivery.event_type, shown.editions[-1][1].value
            given = with_fields(build_codec(settings_of(config)), event_type, last, fields)
        return [
            await operations.replay(name, who=who or user(), why=reason, body=given, out_of_order=out_of_order)
            for name in sorted(names, key=in_lane_order)
        ]

    told(*ask(config, order))


@app.command("plan", epilog='Example: lgsp replay plan --cause 3f0c0b6e5a51 --reason "thuế đã sửa lỗi" --canary 1,5,50')
def replay_plan(
    reason: ReasonOption,
    names: Annotated[list[str] | None, typer.Argument(help="Names of deliveries; none: by filter.")] = None,
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
    rate: Annotated[str, typer.Option(help="Pace behind the canaries, e.g. 20/s. Default: no limit.")] = "",
    canary: Annotated[str, typer.Option(help="Sizes that go first, one after the other, e.g. 1,5,50.")] = "1",
    out_of_order: Annotated[bool, typer.Option("--out-of-order", help="Also what is no longer in its place.")] = False,
    include_unsafe: Annotated[bool, typer.Option("--include-unsafe", help="Also what the dry run warns of.")] = False,
    go_on: Annotated[int, typer.Option("--continue", help="Go on with an interrupted plan.")] = 0,
    who: WhoOption = "",
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """Freeze a list of dead letters and let a dry run say what would happen to each. Nothing is sent."""
    wanted = wanted_by(recipient, failed_with, cause, type, code, text, partner_code, period, procedure, agency)
    plan = Plan(who or user(), reason, wanted, names or (), _rate(rate), _sizes(canary), out_of_order, include_unsafe)

    async def make() -> tuple[Seen, list[Item]]:
        async with desk(config, planning=True) as replays:
            if go_on:
                await replays.plan_on(go_on, _progress)
                plan_id = go_on
            else:
                plan_id = await replays.plan(plan, _progress)
            return await replays.status(plan_id), await replays.items(plan_id, limit=1_000_000)

    seen, items = _run(make())
    _show(seen, items, as_json=json)


@app.command("start", epilog='Example: lgsp replay start 7 --reason "đã thống nhất với cơ quan thuế"')
def replay_start(id: Id, reason: ReasonOption, who: WhoOption = "", config: ConfigOption = None) -> None:
    """Start a planned replay: canaries first, then the pace. It stops by itself if the old cause comes back."""
    _moved(config, "start", id, who, reason)


@app.command("pause", epilog='Example: lgsp replay pause 7 --reason "chờ xác nhận"')
def replay_pause(id: Id, reason: ReasonOption, who: WhoOption = "", config: ConfigOption = None) -> None:
    """Order nothing more for now."""
    _moved(config, "pause", id, who, reason)


@app.command("resume", epilog='Example: lgsp replay resume 7 --reason "tiếp tục"')
def replay_resume(id: Id, reason: ReasonOption, who: WhoOption = "", config: ConfigOption = None) -> None:
    """Go on with a paused replay."""
    _moved(config, "start", id, who, reason)


@app.command("cancel", epilog='Example: lgsp replay cancel 7 --reason "chọn nhầm nhóm"')
def replay_cancel(id: Id, reason: ReasonOption, who: WhoOption = "", config: ConfigOption = None) -> None:
    """End a replay; what was not ordered stays a dead letter."""
    _moved(config, "cancel", id, who, reason)


@app.command("status", epilog="Example: lgsp replay status --json")
def replay_status(
    id: Annotated[int, typer.Argument(help="A replay's number; none: the newest ones.")] = 0,
    limit: int = 20,
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """Show how far replays are."""

    async def look() -> list[Seen]:
        async with desk(config) as replays:
            return [await replays.status(id)] if id else await replays.listed(limit)

    output.listing([_line(seen) for seen in _run(look())], as_json=json, empty="There are no replays.")


@app.command("report", epilog="Example: lgsp replay report 7 --json | jq '.items[] | select(.state == \"failed\")'")
def replay_report(id: Id, config: ConfigOption = None, json: JsonOption = False) -> None:
    """Show what the dry run said and what became of every item."""

    async def look() -> tuple[Seen, list[Item]]:
        async with desk(config) as replays:
            return await replays.status(id), await replays.items(id, limit=1_000_000)

    seen, items = _run(look())
    _show(seen, items, as_json=json)


def in_lane_order(name: str) -> tuple[str, int]:
    """Sorts names of deliveries as their lanes stand."""
    head, _, seq = name.rpartition("/")
    return head, int(seq) if seq.isdigit() else 0


def _moved(config: Path | None, verb: str, id: int, who: str, reason: str) -> None:
    async def move() -> Replay:
        async with desk(config) as replays:
            moved: Replay = await getattr(replays, verb)(id, who=who or user(), why=reason)
            return moved

    print(f"replay {id} is {_run(move()).state}")


def _run(work: Any) -> Any:
    from router.cli.session import run

    return run(work)


def _show(seen: Seen, items: list[Item], *, as_json: bool) -> None:
    rows = [
        {
            "number": item.number,
            "id": item.name,
            "safe": item.safe,
            "dry_run": "; ".join(finding["text"] for finding in item.findings),
            "state": item.state.value,
            "result": item.result,
        }
        for item in items
    ]
    if as_json:
        output.document({**_line(seen), "items": rows}, as_json=True)
        return
    output.document(_line(seen), as_json=False)
    output.line()
    output.listing(rows, as_json=False, empty="No dead letter fits.")


def _line(seen: Seen) -> dict[str, Any]:
    replay = seen.replay
    return {
        "replay": replay.id,
        "state": replay.state.value,
        "items": replay.items,
        **{state: seen.counts.get(state, 0) for state in ("waiting", "ordered", "done", "failed", "refused", "left")},
        "who": replay.who,
        "why": replay.why,
        "started": output.when(replay.started),
        "ended": output.when(replay.ended),
        "note": replay.note or None,
    }


def _progress(count: int) -> None:
    output.error(f"{count} items")


def _rate(text: str) -> float:
    try:
        rate = float(text.removesuffix("/s")) if text else 0.0
    except ValueError:
        rate = -1.0
    if rate < 0:
        raise typer.BadParameter(f"{text!r} is no pace (expected e.g. 20/s)", param_hint="--rate")
    return rate


def _sizes(text: str) -> list[int]:
    parts = [part.strip() for part in text.split(",") if part.strip()]
    if not all(part.isdigit() and int(part) for part in parts):
        raise typer.BadParameter(f"{text!r} is no list of sizes (expected e.g. 1,5,50)", param_hint="--canary")
    return [int(part) for part in parts]
