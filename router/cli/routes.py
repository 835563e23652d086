"""Commands on routing rules: explain an event's way, lint the table."""

from __future__ import annotations

from difflib import get_close_matches
from typing import Annotated

import typer

from router.assembly import locals_of
from router.cli import output
from router.cli.session import REFUSED, ConfigOption, JsonOption, routes_of, run, settings_of
from router.routing.agencies import Active, Ambiguous, Dissolved, Resolution, Unknown
from router.routing.lint import check
from router.routing.table import Facts, Routes
from router.settings import Settings
from schemas.catalogue import EVENT_TYPES

app = typer.Typer(no_args_is_help=True, help="Routing rules: which recipients an event goes to, and why.")


@app.command(epilog="Example: lgsp routes explain dossier.submitted --source portal --addressed-to H39.25.01")
def explain(
    type: Annotated[str, typer.Argument(help="Event type, e.g. tax.notice_issued.")],
    source: Annotated[str, typer.Option(help="Who sends it.")],
    addressed_to: Annotated[str, typer.Option(help="Agency code.")] = "",
    procedure: str = "",
    commune: Annotated[str, typer.Option(help="GSO commune code, for split agencies.")] = "",
    urgent: bool = False,
    every: Annotated[bool, typer.Option("--all", help="Also the rules that do not fire, and why not.")] = False,
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """Print which rules fire for an event, and where it goes."""
    if type not in EVENT_TYPES:
        close = get_close_matches(type, EVENT_TYPES, n=3) or sorted(EVENT_TYPES)
        raise typer.BadParameter(f"{type!r} is no event type (expected {', '.join(close)})", param_hint="TYPE")
    _, routes = _load(config)
    hints = tuple((name, value) for name, value in (("commune", commune), ("procedure", procedure)) if value)
    facts = Facts(type, source, procedure, urgent, addressed_to, hints)
    resolved = routes.resolve(facts)
    agency = resolved.agency if isinstance(resolved, Active) else None
    decision = routes.decide(facts)
    rows = [
        {
            "rule": fired.rule.name,
            "line": fired.rule.line,
            "fires": fired.fired,
            "why": fired.why,
            "to": ", ".join(fired.recipients),
        }
        for fired in routes.fire(facts, agency)
        if every or fired.fired
    ]
    result = {
        "recipients": list(decision.recipients),
        "reason": decision.reason,
        "addressee": _told(resolved),
        "headers": {name: value.decode() for name, value in decision.headers},
    }
    if json:
        output.document({**result, "rules": rows}, as_json=True)
        return
    output.listing(rows, as_json=False, empty="No rule fires; --all says why not.")
    output.document(result, as_json=False)


@app.command("check", epilog="Example: lgsp routes check --config lgsp.toml")
def check_table(config: ConfigOption = None, json: JsonOption = False) -> None:
    """Lint the routing table against the registry, the recipients and the known event types."""
    settings, routes = _load(config)
    findings = check(routes, [*settings.recipients, *locals_of(settings)], EVENT_TYPES)
    output.listing([finding._asdict() for finding in findings], as_json=json, empty="Nothing to find.")
    if any(finding.error for finding in findings):
        raise typer.Exit(REFUSED)


def _told(resolved: Resolution | None) -> str:
    """The addressee in words."""
    if resolved is None:
        return "none named"
    if isinstance(resolved, Active):
        return resolved.agency.name
    if isinstance(resolved, Ambiguous):
        return f"several successors: {', '.join(resolved.successors)}"
    if isinstance(resolved, Dissolved):
        return f"{resolved.agency} ended without a successor"
    if isinstance(resolved, Unknown):
        return f"{resolved.code} is not registered today"
    return f"its successions go in a circle: {resolved}"


def _load(config: ConfigOption) -> tuple[Settings, Routes]:
    async def load() -> tuple[Settings, Routes]:
        settings = settings_of(config)
        return settings, await routes_of(settings)

    return run(load())
