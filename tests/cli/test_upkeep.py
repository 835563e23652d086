"""Purge, backup and questions about what nobody knows, on an installation that holds almost nothing."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import aiohttp
import pytest
from click.testing import Result
from sqlalchemy import select
from typer.testing import CliRunner

from router.assembly import topics_of
from router.bus.embedded import EmbeddedBus
from router.cli import output
from router.cli.main import app
from router.clock import SystemClock
from router.gauges import families
from router.http_server import HttpServer
from router.ledger import audit, store, tables
from router.ledger.engine import open_ledger
from router.ledger.query import Backlog
from router.operations import Status
from router.settings import Settings
from tests.ledger.harness import new_file


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installation with two recipients and no event."""
    settings = Settings(data=tmp_path / "data")

    async def make() -> None:
        ledger = open_ledger(new_file(settings.data), SystemClock())
        await ledger.open()
        for name in ("router", "tax-h39"):
            await ledger.write(lambda conn, name=name: store.register_shards(conn, name, settings.bus.partitions))
        await ledger.close()
        bus = EmbeddedBus(settings.data / "bus.db", SystemClock())
        await bus.open()
        await bus.create(topics_of(settings))
        await bus.close()

    asyncio.run(make())
    monkeypatch.setenv("LGSP_DATA", str(settings.data))
    monkeypatch.chdir(tmp_path)
    return settings.data


def lgsp(*words: str) -> Result:
    return CliRunner().invoke(app, words)


async def audited(folder: Path) -> list[tuple[str, str, str]]:
    ledger = open_ledger(f"sqlite:///{folder / 'ledger.db'}", SystemClock())
    await ledger.open()
    try:
        rows = await ledger.read(lambda conn: conn.execute(select(tables.audit)).all())
        assert await ledger.read(audit.broken) is None
        return [(row.who, row.verb, row.why) for row in rows]
    finally:
        await ledger.close()


def test_a_purge_takes_no_negative_age_can_be_tried_and_is_audited(folder: Path) -> None:
    assert lgsp("purge", "--older-than", "-5").exit_code == 2
    tried = lgsp("purge", "--dry-run")
    assert (tried.exit_code, "would be removed: deliveries: 0" in tried.stdout) == (0, True)
    assert asyncio.run(audited(folder)) == []
    warned = lgsp("purge", "--older-than", "1", "--who", "chị Lan", "--reason", "đĩa đầy")
    assert (warned.exit_code, "90 days of recognition" in warned.stderr) == (0, True)
    assert asyncio.run(audited(folder)) == [("chị Lan", "purge", "đĩa đầy")]


def test_a_backup_looks_before_it_makes_anything(folder: Path, tmp_path: Path) -> None:
    taken = tmp_path / "taken"
    taken.mkdir()
    assert (lgsp("backup", str(taken)).exit_code, list(taken.iterdir())) == (2, [])
    missing = lgsp("restore-backup", str(tmp_path / "none"))
    assert (missing.exit_code, "holds no ledger.db, bus.db" in missing.stderr) == (2, True)
    (folder / "owner.key").write_text("một khóa của kiểm thử")
    assert lgsp("backup", str(tmp_path / "copy")).exit_code == 0
    assert {"ledger.db", "bus.db", "owner.key"} <= {path.name for path in (tmp_path / "copy").iterdir()}
    (folder / "ledger.db").unlink()
    assert lgsp("backup", str(tmp_path / "other")).exit_code == 2
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize(
    "words",
    [("dead", "list", "--recipient", "tax-h93"), ("dead", "--recipient", "tax-h93"), ("lane", "show", "tax-h93", "H39"),
     ("lane", "show", "tax-h39", "H39"), ("trace", "none")],
)  # fmt: skip
def test_what_nobody_knows_is_exit_1(folder: Path, words: tuple[str, ...]) -> None:
    assert lgsp(*words).exit_code == 1


def test_a_clean_close_leaves_no_wal(folder: Path) -> None:
    lgsp("purge", "--reason", "thử")
    assert not list(folder.glob("ledger.db-*"))


def test_the_demo_refuses_a_folder_that_holds_something(folder: Path) -> None:
    done = lgsp("demo", "--keep", str(folder))
    assert done.exit_code == 2
    assert lgsp("demo", "--bus", "kafka://127.0.0.1:1").exit_code == 2


def test_what_no_route_takes_is_told_in_both_languages() -> None:
    async def ask() -> tuple[int, object]:
        server = HttpServer("127.0.0.1", 0)
        await server.start([])
        try:
            async with aiohttp.ClientSession() as session, session.get(f"{server.url}/none") as found:
                return found.status, await found.json()
        finally:
            await server.stop()

    status, said = asyncio.run(ask())
    assert status == 404
    assert said == {"code": "404", "message": "Không có địa chỉ này", "message_en": "there is no such address"}


def test_times_have_their_offset_for_programs_and_none_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [{"at": output.when(1_750_000_000_123_456), "code": "H39.25.01-250616-0007" * 20}]
    output.listing(rows, as_json=True, empty="")
    assert json.loads(capsys.readouterr().out)[0]["at"] == "2025-06-15T22:06:40+07:00"
    output.listing(rows, as_json=False, empty="")
    _head, row = capsys.readouterr().out.splitlines()
    assert row == f"2025-06-15 22:06:40  {rows[0]['code']}"


def test_lists_are_lines(capsys: pytest.CaptureFixture[str]) -> None:
    output.document({"repaired": ["một", "hai"], "none": [], "by": {"a": 1}}, as_json=False)
    assert capsys.readouterr().out.splitlines() == ["repaired  một", "          hai", "none      –", "by        a: 1"]


def test_gauges_tell_what_waits() -> None:
    backlog = Backlog("tax-h39", waiting=3, calling=1, dead=2, uncertain=0, oldest=1_000_000)
    status = Status([backlog], {}, [], 5, 6, 7, conflicts={"tax-h39": 4}, owner_conflicts=8)
    told = {
        (sample.name, *sample.labels.values()): sample.value
        for family in families(status, 61_000_000)
        for sample in family.samples
    }
    assert told["lgsp_deliveries", "tax-h39", "dead"] == 2
    assert told["lgsp_oldest_seconds", "tax-h39"] == 60
    assert told["lgsp_conflicts", "tax-h39"] == 4
    assert (told["lgsp_outbox",], told["lgsp_waiting_for_dossier",], told["lgsp_owner_conflicts",]) == (5, 6, 8)
