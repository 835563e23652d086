"""Ids asked of a registry that speaks Confluent's REST API, and the file that comes of them."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest
from aiohttp import web
from typer.testing import CliRunner

from router.cli.main import app
from router.codec import Codec, PackagedSchemas, fingerprint_of
from router.errors import ConfigError
from router.schema_ids import load_schema_ids
from router.schema_registry import RegistryFailed, SchemaRegistry, ids_file
from router.sdk.http import Http, HttpConfig
from schemas.catalogue import current_schemas, released_schemas

USER = {"Authorization": "Basic " + b64encode(b"an:bi mat").decode()}


@dataclass
class Registry:
    """Subjects with their schemas as text; ids are given in order from 41 on and shared by equal texts."""

    subjects: dict[str, list[str]] = field(default_factory=dict)
    ids: dict[str, int] = field(default_factory=dict)
    refuses: set[str] = field(default_factory=set)
    broken: bool = False
    url: str = ""

    async def lookup(self, request: web.Request) -> web.Response:
        subject, schema = await self._asked(request)
        if subject not in self.subjects:
            return _error(404, 40401, f"Subject '{subject}' not found.")
        if schema not in self.subjects[subject]:
            return _error(404, 40403, "Schema not found")
        return web.json_response({"subject": subject, "id": self.ids[schema], "version": 1, "schema": schema})

    async def register(self, request: web.Request) -> web.Response:
        subject, schema = await self._asked(request)
        if subject in self.refuses:
            return _error(409, 409, "Schema being registered is incompatible with an earlier schema")
        self.ids.setdefault(schema, 41 + len(self.ids))
        self.subjects.setdefault(subject, []).append(schema)
        return web.json_response({"id": self.ids[schema]})

    async def _asked(self, request: web.Request) -> tuple[str, str]:
        if self.broken:
            raise web.HTTPBadGateway(text="<html>502</html>")
        if request.headers.get("Authorization") != USER["Authorization"]:
            raise web.HTTPUnauthorized
        asked = json.loads(await request.text())
        assert asked["schemaType"] == "AVRO"
        return request.match_info["subject"], asked["schema"]


def _error(status: int, code: int, message: str) -> web.Response:
    return web.json_response({"error_code": code, "message": message}, status=status)


@pytest.fixture
async def registry() -> AsyncIterator[Registry]:
    made = Registry()
    app = web.Application()
    app.add_routes(
        [
            web.post("/apis/ccompat/v7/subjects/{subject}", made.lookup),
            web.post("/apis/ccompat/v7/subjects/{subject}/versions", made.register),
        ]
    )
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    made.url = f"http://{host}:{port}/apis/ccompat/v7"
    yield made
    await runner.cleanup()


@pytest.fixture
async def client(registry: Registry) -> AsyncIterator[SchemaRegistry]:
    http = Http(HttpConfig(base_url=registry.url))
    await http.open()
    yield SchemaRegistry(http, USER)
    await http.close()


async def test_registered_ids_make_a_file_by_which_everything_is_written_and_read(client, registry, tmp_path):
    text, without = await ids_file(client, register=True)
    assert without == []
    (file := tmp_path / "ids.toml").write_text(text, "utf-8")
    found = load_schema_ids(file)
    assert found.written.keys() == current_schemas().keys()
    every = {fingerprint_of(schema) for schema in [*released_schemas(), *current_schemas().values()]}
    assert set(found.known.values()) == every
    codec = Codec(PackagedSchemas(found.known), ids=found.written)
    payload = codec.encode(
        "procedure.timer_due",
        {"procedure": "", "definition": 0, "name": "hạn", "stated_at": datetime(2025, 6, 16, tzinfo=UTC)},
    )
    assert payload[:5] == b"\x00" + found.written[codec.record_name(payload)].to_bytes(4, "big")
    assert codec.decode(payload)["name"] == "hạn"
    assert await ids_file(client, register=False) == (text, [])


async def test_nothing_is_stored_unasked_and_what_has_no_id_is_named(client, registry, tmp_path):
    text, without = await ids_file(client, register=False)
    assert registry.subjects == {}
    assert without == sorted(current_schemas())
    (file := tmp_path / "ids.toml").write_text(text, "utf-8")
    assert load_schema_ids(file) == ({}, {})


async def test_versions_of_a_subject_are_stored_in_their_order(client, registry):
    await ids_file(client, register=True)
    shipped = [json.dumps(schema, ensure_ascii=False) for schema in [*released_schemas(), *current_schemas().values()]]
    for versions in registry.subjects.values():
        assert versions == sorted(versions, key=shipped.index)


async def test_a_refused_schema_a_broken_registry_and_wrong_credentials_are_told_apart(client, registry):
    registry.refuses = set(current_schemas())
    with pytest.raises(RegistryFailed, match="refuses the schema: 409 Schema being registered is incompatible"):
        await ids_file(client, register=True)
    registry.broken = True
    with pytest.raises(RegistryFailed, match="answered: 502 no id in the answer"):
        await ids_file(client, register=True)
    registry.broken = False
    http = Http(HttpConfig(base_url=registry.url))
    await http.open()
    with pytest.raises(ConfigError, match="credentials"):
        await ids_file(SchemaRegistry(http, {}), register=False)
    await http.close()


async def test_a_registry_that_is_not_there_is_said_to_be_so():
    http = Http(HttpConfig(base_url="http://127.0.0.1:9"))
    await http.open()
    with pytest.raises(RegistryFailed, match="cannot be asked"):
        await ids_file(SchemaRegistry(http, {}), register=False)
    await http.close()


@pytest.mark.parametrize(
    ("url", "code", "says"),
    [
        ("ftp://registry", 2, "--registry"),
        ("https://an:mat-khau-bi-mat@registry", 2, "without user and password"),
        ("http://127.0.0.1:9", 3, "cannot be asked"),
    ],
)
def test_the_command_says_what_is_wrong_and_writes_no_file(tmp_path, url, code, says):
    done = CliRunner().invoke(app, ["schemas", "ids", "--registry", url, "-o", str(tmp_path / "ids.toml")])
    assert done.exit_code == code
    assert says in done.stderr
    assert "mat-khau" not in done.output
    assert list(tmp_path.iterdir()) == []
