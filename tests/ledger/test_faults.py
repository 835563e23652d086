"""What a broken connection, a broken server or a broken row looks like to the flow."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, insert, make_url, select, text, update
from sqlalchemy.util import await_only

from router.errors import CommitUnknown, ConfigError, LedgerUnavailable, RowRefused
from router.ledger import postgres
from router.ledger.engine import open_ledger
from router.ledger.tables import installation
from router.ports import Ledger
from router.sdk.testing.clock import ManualClock
from tests.ledger.cutting_proxy import Cut, CuttingProxy, cutting_proxy
from tests.ledger.harness import new_file, opened

SECRET = "mat-khau-79"


def put(name: str, value: str = "x") -> Any:
    """Work that stores one row."""
    return lambda conn: conn.execute(insert(installation).values(name=name, value=value))


def names(conn: Connection) -> list[str]:
    return list(conn.execute(select(installation.c.name).order_by(installation.c.name)).scalars())


async def test_what_failed_left_nothing_and_the_next_work_goes_on(bare: Ledger) -> None:
    def fails(conn: Connection) -> None:
        put("a")(conn)
        raise KeyError("work")

    with pytest.raises(KeyError):
        await bare.write(fails)
    await bare.write(put("b"))
    assert await bare.read(names) == ["b"]


async def test_a_row_that_breaks_a_rule_is_refused_without_its_values(bare: Ledger) -> None:
    await bare.write(put("a"))
    with pytest.raises(RowRefused) as caught:
        await bare.write(put("a", SECRET))
    assert SECRET not in f"{caught.value!r}{caught.value.__cause__!r}"


async def test_a_ledger_that_is_not_open_is_unavailable(tmp_path: Path) -> None:
    ledger = open_ledger(f"sqlite:///{tmp_path}/ledger.db", ManualClock())
    with pytest.raises(LedgerUnavailable, match="not open"):
        await ledger.read(names)


async def test_a_file_without_tables_is_refused_with_what_to_do(tmp_path: Path) -> None:
    sqlite3.connect(tmp_path / "ledger.db").close()
    with pytest.raises(ConfigError, match="lgsp migrate"):
        await open_ledger(f"sqlite:///{tmp_path}/ledger.db", ManualClock()).open()


async def test_a_file_that_is_not_there_is_not_made_by_opening_it(tmp_path: Path) -> None:
    with pytest.raises(LedgerUnavailable, match="CANTOPEN"):
        await open_ledger(f"sqlite:///{tmp_path}/ledger.db", ManualClock()).open()
    assert list(tmp_path.iterdir()) == []


class Watched(ManualClock):
    """A clock that says when somebody has begun to wait."""

    def __init__(self) -> None:
        super().__init__()
        self.waited = asyncio.Event()

    async def sleep(self, seconds: float) -> None:
        self.waited.set()
        await super().sleep(seconds)


async def test_a_foreign_writer_is_waited_for(tmp_path: Path) -> None:
    clock = Watched()
    async with opened(new_file(tmp_path), clock) as ledger:
        foreign = sqlite3.connect(tmp_path / "ledger.db", isolation_level=None)
        foreign.execute("BEGIN IMMEDIATE")
        writing = asyncio.create_task(ledger.write(put("a")))
        async with asyncio.timeout(5):
            await clock.waited.wait()
        await clock.advance(1.0)
        assert not writing.done()
        assert await ledger.read(names) == []
        foreign.execute("COMMIT")
        foreign.close()
        await clock.advance(1.0)
        await writing
        assert await ledger.read(names) == ["a"]


async def test_a_foreign_writer_that_stays_makes_the_ledger_unavailable(tmp_path: Path) -> None:
    async with opened(new_file(tmp_path), ManualClock(flows=True)) as ledger:
        foreign = sqlite3.connect(tmp_path / "ledger.db", isolation_level=None)
        foreign.execute("BEGIN IMMEDIATE")
        with pytest.raises(LedgerUnavailable, match="BUSY"):
            await ledger.write(put("a"))
        foreign.close()


async def test_what_was_written_to_a_file_is_there_after_opening_it_again(tmp_path: Path) -> None:
    url = new_file(tmp_path)
    async with opened(url, ManualClock()) as ledger:
        await ledger.write(put("a"))
    async with opened(url, ManualClock()) as ledger:
        assert await ledger.read(names) == ["a"]


async def test_a_file_is_written_through_a_log_and_to_the_disk(tmp_path: Path) -> None:
    async with opened(new_file(tmp_path), ManualClock()) as ledger:
        pragmas = ("journal_mode", "synchronous")
        found = await ledger.write(lambda conn: [conn.exec_driver_sql(f"PRAGMA {p}").scalar() for p in pragmas])
    assert found == ["wal", 2]


async def test_a_reader_of_a_file_cannot_write(tmp_path: Path) -> None:
    async with opened(new_file(tmp_path), ManualClock()) as ledger:
        with pytest.raises(LedgerUnavailable, match="READONLY"):
            await ledger.read(put("a"))


@pytest.mark.parametrize("url", ["mysql://h/d", f"postgresq://u:{SECRET}@h/d", f"no url {SECRET}"])
def test_another_kind_of_database_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(ConfigError) as caught:
        open_ledger(url, ManualClock())
    assert SECRET not in str(caught.value)


# PostgreSQL


@pytest.fixture
async def proxy(postgres_url: str) -> AsyncIterator[CuttingProxy]:
    """A proxy to the server."""
    url = make_url(postgres_url)
    async with cutting_proxy(str(url.host), int(url.port or 0)) as made:
        yield made


@pytest.fixture
async def through(proxy: CuttingProxy, postgres_url: str) -> AsyncIterator[Ledger]:
    """A ledger whose connections go through the proxy."""
    url = make_url(postgres_url).set(port=proxy.port).render_as_string(hide_password=False)
    async with opened(url, ManualClock(flows=True)) as ledger:
        yield ledger


@pytest.mark.postgres
@pytest.mark.parametrize(("cut", "stored"), [(Cut.BEFORE, []), (Cut.AFTER, ["a"])])
async def test_a_connection_cut_during_commit_leaves_the_fate_unknown(
    through: Ledger, proxy: CuttingProxy, cut: Cut, stored: list[str]
) -> None:
    proxy.arm(b"COMMIT", cut)
    with pytest.raises(CommitUnknown):
        await through.write(put("a"))
    assert await through.read(names) == stored


@pytest.mark.postgres
async def test_a_connection_cut_before_commit_wrote_nothing(through: Ledger, proxy: CuttingProxy) -> None:
    proxy.arm(b"INSERT", Cut.AFTER)
    with pytest.raises(LedgerUnavailable):
        await through.write(put("a"))
    assert await through.read(names) == []


@pytest.mark.postgres
@pytest.mark.parametrize(("word", "error"), [(b"INSERT", LedgerUnavailable), (b"COMMIT", CommitUnknown)])
async def test_a_silent_network_is_given_up_after_the_limit(
    through: Ledger, proxy: CuttingProxy, word: bytes, error: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres, "TRANSACTION_LIMIT", 0.3)
    proxy.arm(word, Cut.SILENCE)
    with pytest.raises(error):
        await through.write(put("a"))


@pytest.mark.postgres
async def test_after_a_server_ended_its_sessions_the_next_works_are_done(postgres_url: str) -> None:
    end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"
    async with opened(postgres_url, ManualClock(flows=True)) as ledger:
        with pytest.raises(LedgerUnavailable):
            await ledger.write(lambda conn: conn.execute(text(end)))
        await ledger.write(put("a"))
        assert await ledger.read(names) == ["a"]


@pytest.mark.postgres
async def test_two_works_in_a_deadlock_are_both_done(postgres_url: str) -> None:
    both_hold_one = asyncio.Barrier(2)
    tries: list[str] = []

    def work(first: str, second: str) -> Any:
        def run(conn: Connection) -> None:
            tries.append(first)
            for name in (first, second):
                conn.execute(update(installation).where(installation.c.name == name).values(value=first))
                if name == first and len(tries) <= 2:
                    await_only(both_hold_one.wait())

        return run

    async with opened(postgres_url, ManualClock(flows=True)) as ledger:
        await ledger.write(lambda conn: [put(name)(conn) for name in ("a", "b")])
        await asyncio.gather(ledger.write(work("a", "b")), ledger.write(work("b", "a")))
    assert len(tries) == 3


@pytest.mark.postgres
async def test_an_unknown_database_is_unavailable(postgres_url: str) -> None:
    url = make_url(postgres_url).set(database="nowhere", password=SECRET).render_as_string(hide_password=False)
    with pytest.raises(LedgerUnavailable, match="3D000") as caught:
        await open_ledger(url, ManualClock()).open()
    assert SECRET not in f"{caught.value!r}"


async def test_a_server_that_is_not_there_is_unavailable_and_the_password_unsaid() -> None:
    ledger = open_ledger("postgresql://u@127.0.0.1:1/d", ManualClock(), password=SECRET)
    with pytest.raises(LedgerUnavailable) as caught:
        await ledger.open()
    assert SECRET not in f"{ledger!r}{caught.value!r}"


@pytest.mark.postgres
async def test_sessions_end_by_themselves_before_a_lease_could_be_taken(postgres_url: str) -> None:
    settings = ("idle_in_transaction_session_timeout", "lock_timeout", "statement_timeout", "synchronous_commit")
    async with opened(postgres_url, ManualClock(), lease_seconds=6.0) as ledger:
        found = await ledger.read(lambda conn: [conn.execute(text(f"SHOW {name}")).scalar() for name in settings])
    assert found == ["3s", "500ms", "5s", "on"]
