"""``lgsp schemas``: what payloads are written by."""

from __future__ import annotations

import typer

from router.cli import output
from router.codec import fingerprint_of, name_of
from schemas.catalogue import current_schemas, released_schemas

app = typer.Typer(help="Avro schemas of this release and of those before it.", no_args_is_help=True)


@app.command("list", epilog="Examples: lgsp schemas list · lgsp schemas list --json")
def list_schemas(*, json: bool = typer.Option(False, "--json", help="As JSON.")) -> None:
    """List every schema with its CRC-64-AVRO fingerprint, by which payloads name it; `[schemas] ids` takes it."""
    today = {fingerprint_of(schema) for schema in current_schemas().values()}
    every = {fingerprint_of(schema): name_of(schema) for schema in [*released_schemas(), *current_schemas().values()]}
    rows = [
        {"record": name, "fingerprint": found.hex(), "written": found in today}
        for found, name in sorted(every.items(), key=lambda item: (item[1], item[0] not in today, item[0]))
    ]
    output.listing(rows, as_json=json, empty="There are no schemas.")
