"""Recipients: what each of them does at the moment and why; hold them, stop them, resume them."""

from __future__ import annotations

from typing import Any

import typer

from router.cli import output
from router.cli.session import REFUSED, ConfigOption, JsonOption, ReasonOption, WhoOption, ask, user
from router.ledger.holds import Hold
from router.ledger.rows import RecipientState
from router.masking import mask
from router.operations import Status
from router.placing import Answer

app = typer.Typer(no_args_is_help=True)


@app.command("list", epilog="Example: lgsp recipient list --json | jq '.[] | select(.status != \"open\")'")
def recipient_list(config: ConfigOption = None, json: JsonOption = False) -> None:
    """List recipients: open, down, paused, closed, held or stopped; since when and why, until when (the next probe,
    the opening), and what waits.
    """
    found = ask(config, lambda operations: operations.status())
    output.listing(recipient_rows(found), as_json=json, empty="No recipients are configured.")


@app.command("hold", epilog='Example: lgsp recipient hold tax-h39 --reason "cơ quan thuế đề nghị tạm dừng"')
def recipient_hold(recipient: str, reason: ReasonOption, who: WhoOption = "", config: ConfigOption = None) -> None:
    """Keep a recipient's events back for a while. Nothing is lost, nothing becomes a dead letter."""
    told(ask(config, lambda operations: operations.hold_recipient(recipient, who=who or user(), why=reason)))


@app.command("stop", epilog='Example: lgsp recipient stop tax-h39 --reason "mật khẩu hết hạn"')
def recipient_stop(recipient: str, reason: ReasonOption, who: WhoOption = "", config: ConfigOption = None) -> None:
    """Call a recipient no more, as the router does when its credentials are refused. What comes for it waits."""
    told(ask(config, lambda operations: operations.stop_recipient(recipient, who=who or user(), why=reason)))


@app.command("resume", epilog='Example: lgsp recipient resume tax-h39 --reason "đã đổi mật khẩu"')
def recipient_resume(recipient: str, reason: ReasonOption, who: WhoOption = "", config: ConfigOption = None) -> None:
    """Call a held or stopped recipient again; its backlog goes out in order."""
    told(ask(config, lambda operations: operations.resume_recipient(recipient, who=who or user(), why=reason)))


def recipient_rows(found: Status) -> list[dict[str, Any]]:
    """What an installation's recipients do, one row each. An order of an operator is stronger than what processes
    found; several processes that found something show the one that began first.
    """
    held: dict[str, Hold] = {}
    for hold in sorted(found.holds, key=lambda hold: hold.since, reverse=True):
        held[hold.recipient] = hold
    rows = []
    for backlog in found.backlogs:
        row = _condition(found.states.get(backlog.recipient), held.get(backlog.recipient))
        row |= {name: getattr(backlog, name) for name in ("waiting", "calling", "dead", "uncertain")}
        row["conflicts"] = found.conflicts.get(backlog.recipient, 0)
        rows.append({"recipient": backlog.recipient, **row, "oldest": output.when(backlog.oldest)})
    return rows


def told(*answers: Answer) -> None:
    """Say what came of orders; exit 1 if one was refused."""
    for answer in answers:
        alone = " (no process is running: applied here)" if answer.alone else ""
        word = "done" if answer.result.applied else "refused"
        print(f"order {answer.id}: {word}: {answer.result.text}{alone}")
    if not all(answer.result.applied for answer in answers):
        raise typer.Exit(REFUSED)


def _condition(state: RecipientState | None, hold: Hold | None) -> dict[str, Any]:
    if state is not None and state.status != "open":
        return _told(state.status, state.since, state.reason, state.by, None)
    if hold is not None:
        return _told(hold.kind, hold.since, hold.reason, "lgsp-router", hold.until or None)
    return _told("open", state.since if state else None, state.reason if state else "", state.by if state else "", None)


def _told(status: str, since: int | None, why: str, by: str, until: int | None) -> dict[str, Any]:
    return {
        "status": status,
        "since": output.when(since),
        "why": mask(why) or None,
        "by": by or None,
        "until": output.when(until),
    }
