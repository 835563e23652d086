"""Which dead letters: the options that listings and replays share."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Annotated

import typer

from router.ledger.dead_letters import DeadFilter
from router.sdk.dates import VIETNAM

Recipient = Annotated[str, typer.Option("--recipient", help="Recipient id.")]
Reason = Annotated[str, typer.Option("--failed-with", help="Reason code, e.g. malformed.")]
Cause = Annotated[str, typer.Option("--cause", help="Fingerprint of a cause, as `lgsp dead` prints it.")]
Type = Annotated[str, typer.Option("--type", help="Event type.")]
Code = Annotated[str, typer.Option("--code", help="Any code of the dossier or document.")]
Text = Annotated[str, typer.Option("--text", help="Part of the error's text.")]
Partner = Annotated[str, typer.Option("--partner-code", help="The partner's own code.")]
Procedure = Annotated[str, typer.Option("--procedure", help="Code of the administrative procedure.")]
Agency = Annotated[str, typer.Option("--agency", help="Code of the agency it is addressed to.")]
Period = Annotated[str, typer.Option("--period", help="A day, or two as 2025-06-01..2025-06-30 (local dates).")]


def wanted_by(
    recipient: str,
    reason: str,
    cause: str,
    type: str,
    code: str,
    text: str,
    partner_code: str,
    period: str,
    procedure: str,
    agency: str,
) -> DeadFilter:
    """The filter these options mean."""
    since, until = _span(period)
    return DeadFilter(
        recipient=recipient, reason=reason, cause=cause, event_type=type, subject=code, text=text,
        partner_code=partner_code,
        procedure=procedure, agency=agency, since=since, until=until,
    )  # fmt: skip


def _span(period: str) -> tuple[int, int]:
    if not period:
        return 0, 0
    first, _, last = period.partition("..")
    try:
        since, until = date.fromisoformat(first), date.fromisoformat(last or first)
    except ValueError:
        raise typer.BadParameter(
            f"{period!r} (expected 2025-06-01 or 2025-06-01..2025-06-30)", param_hint="--period"
        ) from None
    return _micros(since), _micros(until + timedelta(days=1))


def _micros(day: date) -> int:
    return int(datetime(day.year, day.month, day.day, tzinfo=VIETNAM).timestamp() * 1_000_000)
