"""``lgsp schemas``: what payloads are written by, and the ids that a schema registry gives to it."""

from __future__ import annotations

from base64 import b64encode
from pathlib import Path
from typing import Annotated

import typer
from pydantic import ValidationError

from router.cli import output
from router.cli.session import REFUSED, run
from router.codec import fingerprint_of, name_of
from router.refusals import refused
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


@app.command("ids", epilog="Example: lgsp schemas ids --registry https://registry:8081 --register -o ids.toml")
def ids(
    registry: Annotated[str, typer.Option(help="http(s)://host[:port][/path] of the Confluent REST API.")],
    file: Annotated[Path, typer.Option("--output", "-o", help="The file to write, for `[schemas] ids`.")],
    register: Annotated[bool, typer.Option("--register", help="Store in the registry what it does not have.")] = False,
    ca_file: Annotated[Path | None, typer.Option(help="PEM with the authority of the registry's certificate.")] = None,
    user: Annotated[str, typer.Option(help="For HTTP basic credentials.")] = "",
    password_file: Annotated[Path | None, typer.Option(help="A file with the password and nothing else.")] = None,
) -> None:
    """Ask a schema registry for the ids of our schemas, and write them to a file.

    Exit 0 if every record of today has an id, 1 if some have none and stay in single-object encoding (their names are
    printed), 2 for a wrong address or credentials, 3 if the registry cannot be asked or refuses a schema.
    """
    text, without = run(_ids(registry, ca_file, user, password_file, register))
    file.write_text(text, "utf-8")
    output.console().print(f"{file} is written; set it as `ids` under `[schemas]`.")
    if without:
        output.error("without an id: " + ", ".join(without))
        raise typer.Exit(REFUSED)


async def _ids(
    url: str, ca_file: Path | None, user: str, password_file: Path | None, register: bool
) -> tuple[str, list[str]]:
    from router.schema_registry import SchemaRegistry, ids_file  # brings the HTTP client: no other command needs it
    from router.sdk.http import Http, HttpConfig

    try:
        config = HttpConfig(base_url=url, ca_file=str(ca_file) if ca_file else None)
    except (ValidationError, OSError, ValueError):
        raise refused(
            "unusable", key="--registry, --ca-file",
            form="http(s)://host[:port][/path] without user and password, and a readable PEM file",
            form_vi="http(s)://máy[:cổng][/đường-dẫn] không kèm tài khoản, và một tệp PEM đọc được",
        ) from None  # fmt: skip
    http = Http(config)
    await http.open()
    try:
        return await ids_file(SchemaRegistry(http, _credentials(user, password_file)), register=register)
    finally:
        await http.close()


def _credentials(user: str, password_file: Path | None) -> dict[str, str]:
    if not user:
        return {}
    try:
        password = password_file.read_text("utf-8").strip() if password_file else ""
    except (OSError, UnicodeDecodeError) as error:
        found = type(error).__name__
        raise refused("unreadable", key="--password-file", kind="text", found=found) from None
    return {"Authorization": "Basic " + b64encode(f"{user}:{password}".encode()).decode()}
