"""Migrations make what the tables say, and history does not change with them."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import JSON, Connection, column, create_engine, inspect, make_url, text
from sqlalchemy import table as named_table
from sqlalchemy.ext.asyncio import create_async_engine

from router.errors import ConfigError
from router.ledger.migrate import migrate_ledger
from router.ledger.migrations import revision
from router.ledger.schema import metadata
from tests.ledger.harness import in_memory

VERSIONS = sorted((Path(revision.FOLDER) / "versions").glob("*.py"))


def differences(conn: Connection) -> list[object]:
    options = {"compare_type": True, "compare_server_default": True}
    return list(compare_metadata(MigrationContext.configure(conn, opts=options), metadata))


def shape(conn: Connection) -> dict[str, object]:
    """Primary keys and indexes with their conditions, which autogenerate does not compare."""
    found: dict[str, object] = {}
    for table in sorted(metadata.tables):
        indexes = sorted(inspect(conn).get_indexes(table), key=lambda index: str(index["name"]))
        keys = inspect(conn).get_pk_constraint(table)["constrained_columns"]
        options = [{n: str(v) for n, v in i.get("dialect_options", {}).items()} for i in indexes]
        found[table] = (keys, [(i["name"], i["column_names"], bool(i["unique"])) for i in indexes], options)
    return found


async def test_a_migrated_ledger_is_what_the_tables_say(bare):
    assert await bare.read(differences) == []


async def test_on_sqlite_keys_and_partial_indexes_are_what_the_tables_make():
    engine = create_engine("sqlite://")
    with engine.begin() as conn:
        metadata.create_all(conn)
        wanted, kinds = shape(conn), table_kinds(conn)
    engine.dispose()
    async with in_memory() as ledger:
        assert await ledger.read(shape) == wanted
        assert await ledger.read(table_kinds) == kinds


def table_kinds(conn: Connection) -> dict[str, tuple[bool, bool]]:
    """Per table: whether it is one without row ids, and whether its id counts up."""
    rows = conn.exec_driver_sql("SELECT name, sql FROM sqlite_master WHERE type = 'table'")
    kinds = {name: (sql.rstrip().endswith("WITHOUT ROWID"), "id INTEGER NOT NULL" in sql) for name, sql in rows}
    kinds.pop("alembic_version", None)
    return kinds


@pytest.mark.postgres
async def test_on_postgresql_too_keys_and_partial_indexes_are_what_the_tables_make(postgres_server):
    migrated, made = await postgres_server.fresh(), await postgres_server.fresh()
    found = []
    for url in (migrated, made):
        engine = create_async_engine(make_url(url).set(drivername="postgresql+asyncpg"))
        async with engine.begin() as conn:
            if url is made:
                await conn.run_sync(metadata.drop_all)
                await conn.run_sync(metadata.create_all)
            found.append(await conn.run_sync(shape))
        await engine.dispose()
        await postgres_server.drop(url)
    assert found[0] == found[1]


def at_revision(conn: Connection, wanted: str) -> None:
    """Empty the database and bring it to an older revision."""
    metadata.drop_all(conn)
    conn.exec_driver_sql("DROP TABLE IF EXISTS alembic_version")
    onto(conn, wanted)


def onto(conn: Connection, wanted: str) -> None:
    config = revision._config()
    config.attributes["connection"] = conn
    command.upgrade(config, wanted)


def upgraded(conn: Connection) -> list[object]:
    """What differs from this release's tables after a ledger from before the registry's feed was brought up."""
    at_revision(conn, "0005")
    assert "agency_change" not in inspect(conn).get_table_names()
    conn.exec_driver_sql("INSERT INTO process (id, beat, roles) VALUES ('kept', 1, 'delivery')")
    onto(conn, "0007")
    dossiers_of_0007(conn)
    assert revision.upgrade(conn) == revision.head()
    assert closed_since(conn) == [b"1", b"3"]
    assert conn.execute(text("SELECT key FROM instance WHERE money_waits ORDER BY key")).scalars().all() == [b"2", b"4"]
    assert conn.exec_driver_sql("SELECT id FROM process").scalars().all() == ["kept"]
    return differences(conn)


MIDDAY = 1_754_283_600_000_000  # 4 August 2025, 12:00 in Vietnam
LATE = MIDDAY + 8 * 3_600_000_000  # 20:00 there, still the same day; and 13:00 UTC
PAID = ["R1", "", "TB-1", 900, [], 0, 0, 0, "", []]
SUSPENDED, CARRIED = [*PAID[:6], 900, *PAID[7:]], [*PAID[:9], [["TB-1", 900]]]
#: Key, status, end state, payments: ended by its procedure, with money, ended by its procedure, open, ended by status.
OLD = [(b"1", 8, "stopped", []), (b"2", 4, "", [PAID, SUSPENDED]), (b"3", 4, "replaced", [PAID]),
       (b"4", 4, "", [CARRIED]), (b"5", 7, "withdrawn", [PAID])]  # fmt: skip


def dossiers_of_0007(conn: Connection) -> None:
    """Rows as that revision had them."""
    state, plain = column("state", JSON), "key procedure definition version opened_at closed_at end_state"
    stored = named_table("instance", *map(column, plain.split()), state)
    facts = dict.fromkeys(("code", "procedure", "agency", "level", "channel", "service_level", "calendar"), "")
    facts |= {"received_at": MIDDAY, "received_date": "2025-08-04", "supplement_rounds": 0, "extended": False}
    counted = named_table("dossier", *map(column, ("key", "status", "integrity_warning", *facts)))
    for key, status, end, payments in OLD:
        run = {"key": key, "procedure": "p", "definition": 1, "version": 1, "opened_at": 1, "end_state": end}
        run |= {"closed_at": LATE if end else None, "state": {"finance": {"payments": payments}}}
        conn.execute(stored.insert().values(run))
        conn.execute(counted.insert().values(facts | {"key": key, "status": status, "integrity_warning": False}))


def closed_since(conn: Connection) -> list[bytes]:
    """Dossiers that have an end now, all on the same day."""
    rows = conn.execute(text("SELECT key, finished_at, finished_date FROM dossier WHERE finished_at IS NOT NULL"))
    found = rows.all()
    assert {row[1:] for row in found} == {(LATE, "2025-08-04")}
    return sorted(row.key for row in found)


def test_a_sqlite_ledger_of_an_older_revision_is_brought_up_with_its_rows():
    engine = create_engine("sqlite://")
    with engine.begin() as conn:
        assert upgraded(conn) == []
    engine.dispose()


@pytest.mark.postgres
async def test_a_postgresql_ledger_of_an_older_revision_is_brought_up_with_its_rows(postgres_url):
    engine = create_async_engine(make_url(postgres_url).set(drivername="postgresql+asyncpg"))
    async with engine.begin() as conn:
        assert await conn.run_sync(upgraded) == []
    await engine.dispose()


def test_the_number_of_the_newest_migration_is_the_head_of_their_one_line():
    script = ScriptDirectory.from_config(revision._config())
    assert script.get_current_head() == revision.head()
    assert {made.revision for made in script.walk_revisions()} == {path.stem.partition("_")[0] for path in VERSIONS}


async def test_migrating_again_changes_nothing(tmp_path):
    url = f"sqlite:///{tmp_path / 'new folder' / 'ledger.db'}"
    assert await migrate_ledger(url, None) == revision.head()
    assert await migrate_ledger(url, None) == revision.head()


@pytest.mark.postgres
async def test_migrating_a_migrated_database_changes_nothing(postgres_url):
    assert await migrate_ledger(postgres_url, None) == revision.head()


async def test_a_ledger_of_another_release_is_refused_with_what_to_do():
    async with in_memory() as ledger:
        await ledger.write(lambda c: c.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'"))
        with pytest.raises(ConfigError, match=r"revision 9999.*lgsp migrate"):
            await ledger.read(revision.require_current)


@pytest.mark.parametrize("path", VERSIONS, ids=lambda path: path.stem)
def test_a_migration_imports_nothing_of_ours(path):
    """What it did to somebody's ledger must not change when the code does."""
    names: list[str] = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            names.append(node.module or "")
        elif isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
    assert [name for name in names if name.split(".")[0] in ("router", "connectors", "schemas")] == []
