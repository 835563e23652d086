"""How rows are found when a shard has a long history and little left to do: by the indexes of what is unfinished."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any, NamedTuple

import pytest
from sqlalchemy import Connection, event, insert, text

from router.ledger import dead_letters, instances, query, store
from router.ledger.dead_letters import DeadFilter
from router.ledger.procedure_tables import instance
from router.ledger.rows import State
from router.ledger.tables import delivery
from router.ports import Ledger
from tests.ledger.harness import NOW, key, shard

HISTORY = 5_000
OPEN = {5: State.DEAD, HISTORY - 7: State.WAITING}


class Aged(NamedTuple):
    """A ledger with a shard that has seen much."""

    ledger: Ledger
    shard: int


@pytest.fixture
async def aged(ledger: Ledger) -> AsyncIterator[Aged]:
    """A shard with a long history, an old dead letter and a waiting delivery near its end."""
    place = await shard(ledger)

    def row(seq: int) -> dict[str, Any]:
        return {
            "shard": place.id, "seq": seq, "key": key(str(seq % 100)), "state": OPEN.get(seq, State.DELIVERED).value,
            "version": 2, "urgent": False, "source": "one-stop-h39", "event_id": str(seq),
            "event_type": "dossier.accepted", "subject": "", "offset": seq, "accepted_at": NOW, "attempts": 1,
            "spent": 0, "edited": False, "order_id": 0, "cause": "c1",
        }  # fmt: skip

    def fill(conn: Connection) -> None:
        conn.execute(insert(delivery), [row(seq) for seq in range(1, HISTORY + 1)])
        conn.execute(text("ANALYZE"))

    def clear(conn: Connection) -> None:
        conn.execute(text("DELETE FROM delivery" if conn.dialect.name == "sqlite" else "TRUNCATE delivery"))
        conn.execute(text("ANALYZE"))

    await ledger.write(fill)
    yield Aged(ledger, place.id)
    await ledger.write(clear)


async def plan(ledger: Ledger, work: Callable[[Connection], object]) -> list[str]:
    """How the database does each statement of a work."""

    def explain(conn: Connection) -> list[str]:
        said: list[tuple[str, Any]] = []
        note = lambda *given: said.append((given[2], given[3]))  # noqa: E731
        event.listen(conn, "before_cursor_execute", note)
        work(conn)
        event.remove(conn, "before_cursor_execute", note)
        word = "EXPLAIN QUERY PLAN" if conn.dialect.name == "sqlite" else "EXPLAIN"
        return [
            "\n".join(str(row) for row in conn.exec_driver_sql(f"{word} {statement}", parameters))
            for statement, parameters in said
        ]

    return await ledger.read(explain)


async def test_a_lane_is_read_by_the_index_of_the_unfinished(aged: Aged) -> None:
    (only,) = await plan(aged.ledger, lambda conn: store.lane(conn, aged.shard, key("1"), 0, 10))
    assert "delivery_lane" in only


async def test_many_lanes_are_read_by_the_index_of_the_unfinished(aged: Aged) -> None:
    wanted = [(key(str(n)), 0, 10) for n in range(50)]
    steps = await plan(aged.ledger, lambda conn: store.lanes(conn, aged.shard, wanted))
    assert all("delivery_lane" in step for step in steps)


async def test_the_step_of_a_walk_over_what_is_finished_is_by_the_index_of_the_unfinished(
    aged: Aged, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "WINDOW", 100)
    windows = await plan(aged.ledger, lambda conn: store.walk(conn, aged.shard, False, 0, 10))
    assert len(windows) == 4  # two windows, and after each the question where to go on
    assert all("delivery_lane" in step for step in windows[1::2])


async def test_a_walk_over_a_long_history_finds_all_that_is_unfinished(
    aged: Aged, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "WINDOW", 100)
    found = await aged.ledger.read(lambda conn: store.walk(conn, aged.shard, False, 0, 10))
    assert {row.seq: row.state for row in found} == OPEN


@pytest.mark.parametrize("wanted", [DeadFilter(), DeadFilter(cause="c1")], ids=["all", "of a cause"])
async def test_dead_letters_are_listed_by_the_index_of_the_parked(aged: Aged, wanted: DeadFilter) -> None:
    steps = await plan(aged.ledger, lambda conn: dead_letters.listed(conn, wanted, limit=10))
    assert "delivery_dead" in steps[-1]


async def test_money_that_waits_is_found_by_an_index_of_its_own(ledger: Ledger) -> None:
    def fill(conn: Connection) -> None:
        row = {"procedure": "p", "definition": 1, "version": 1, "state": {}, "opened_at": 1, "end_state": ""}
        numbered = [{**row, "key": n.to_bytes(16), "money_waits": n % 1_000 == 7} for n in range(HISTORY)]
        conn.execute(insert(instance), numbered)
        conn.execute(text("ANALYZE"))

    await ledger.write(fill)
    (only,) = await plan(ledger, lambda conn: instances.page(conn, (5).to_bytes(16), 10, money_only=True))
    assert "instance_money" in only
    found = await ledger.read(lambda conn: instances.page(conn, (7).to_bytes(16), 10, money_only=True))
    assert [each.key for each in found] == [n.to_bytes(16) for n in (1_007, 2_007, 3_007, 4_007)]


async def test_backlogs_are_counted_by_an_index_of_the_unfinished(aged: Aged) -> None:
    steps = await plan(aged.ledger, query.backlogs)
    assert "delivery_lane" in steps[-1]
