"""Commands on routing rules: explain an event's way, lint the table."""

from __future__ import annotations

from typing import Annotated

import typer

from router.cli import output
from router.cli.session import REFUSED, ConfigOption, JsonOption, routes_of, run, settings_of
from router.routing.agencies import Active
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
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """Print which rules fire for an event and why, and where it goes."""
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
    ]
    result = {
        "recipients": list(decision.recipients),
        "reason": decision.reason,
        "addressee": str(resolved) if resolved is not None and agency is None else (agency.name if agency else ""),
        "headers": {name: value.decode() for name, value in decision.headers},
    }
    if json:
        output.document({**result, "rules": rows}, as_json=True)
        return
    output.listing(rows, as_json=False, empty="There are no rules.")
    output.document(result, as_json=False)


@app.command("check", epilog="Example: lgsp routes check --config lgsp.toml")
def check_table(config: ConfigOption = None, json: JsonOption = False) -> None:
    """Lint the routing table against the registry, the recipients and the known event types."""
    settings, routes = _load(config)
    findings = check(routes, settings.recipients, EVENT_TYPES)
    output.listing([finding._asdict() for finding in findings], as_json=json, empty="Nothing to find.")
    if any(finding.error for finding in findings):
        raise typer.Exit(REFUSED)


def _load(config: ConfigOption) -> tuple[Settings, Routes]:
    async def load() -> tuple[Settings, Routes]:
        settings = settings_of(config)
        return settings, await routes_of(settings)

    return run(load())
