"""A dossier's finished deliveries are found by the blocks that hold its key, whether the sweep is ahead or behind."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid5

import pytest
from sqlalchemy import Connection, event, insert, select, update

from router.ledger import life, query, store, trail
from router.ledger.rows import State
from router.ledger.tables import alias, delivery, key_link
from router.ledger.tables import shard as shards
from router.ledger.trail_tables import trail as table
from router.ports import Ledger
from tests.ledger.harness import NOW, PARTITIONS, RECIPIENT, shard

SPACE = UUID("0b6a8d3e-5d2a-5b7e-8c55-1f0a7c1d2e3f")
DOSSIERS = 300


def key(number: int) -> bytes:
    return uuid5(SPACE, str(number)).bytes


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trail, "BLOCK", 64)


async def fill(ledger: Ledger, seqs: int, *, first: int = 1, partition: int = 0) -> int:
    """Finished deliveries of 300 dossiers in turn, some 50 of one key between them; the shard's id."""
    await ledger.write(lambda conn: store.register_shards(conn, RECIPIENT, PARTITIONS))
    place = await shard(ledger, partition)

    def row(seq: int) -> dict[str, Any]:
        return {
            "shard": place.id, "seq": seq, "key": key(seq // 2 % DOSSIERS), "state": State.DELIVERED.value,
            "version": 2, "urgent": False, "source": "one-stop-h39", "event_id": str(seq), "subject": "",
            "event_type": "dossier.accepted", "offset": seq, "accepted_at": NOW + seq, "attempts": 1, "spent": 0,
            "edited": False, "order_id": 0,
        }  # fmt: skip

    def write(conn: Connection) -> None:
        conn.execute(insert(delivery), [row(seq) for seq in range(first, first + seqs)])
        conn.execute(update(shards).where(shards.c.id == place.id).values(next_seq=first + seqs))

    await ledger.write(write)
    return place.id


async def swept(ledger: Ledger) -> int:
    blocks = 0
    while some := await trail.sweep(ledger):
        blocks += some
    return blocks


async def seqs_of(ledger: Ledger, number: int) -> list[int]:
    found = await ledger.read(lambda conn: life.deliveries(conn, [key(number)], 1_000))
    return [each.delivery.seq for each in found]


async def test_the_answer_is_the_same_before_during_and_after_the_sweep(bare: Ledger) -> None:
    await fill(bare, 2_000)
    wanted = [seq for seq in range(1, 2_001) if seq // 2 % DOSSIERS == 7]
    assert await seqs_of(bare, 7) == wanted
    assert await trail.sweep(bare) == trail.PAGE
    assert await seqs_of(bare, 7) == wanted
    assert await swept(bare) == 2_001 // 64 - trail.PAGE
    assert await seqs_of(bare, 7) == wanted
    await fill(bare, 100, first=2_001, partition=0)
    assert await seqs_of(bare, 400) == []
    assert await seqs_of(bare, 2_050 // 2 % DOSSIERS) != wanted


async def test_a_swept_shard_is_read_in_the_blocks_of_the_key_and_at_its_end(bare: Ledger) -> None:
    place = await fill(bare, 2_000)
    await swept(bare)
    spans = await bare.read(lambda conn: [span for span in trail.spans(conn, [key(7)]) if span.shard == place])
    wanted = {seq // 64 for seq in range(1, 2_001) if seq // 2 % DOSSIERS == 7}
    assert {span.first // 64 for span in spans[:-1]} == wanted
    assert (spans[-1].first, spans[-1].last) == (2_001 // 64 * 64, 2_000)


async def test_a_second_sweep_of_the_same_blocks_writes_nothing(bare: Ledger) -> None:
    await fill(bare, 200)
    rows = await bare.read(trail._missing)
    await swept(bare)
    before = await bare.read(lambda conn: conn.execute(select(table)).all())
    await bare.write(lambda conn: trail.insert_new(conn, table, rows))
    assert await bare.read(lambda conn: conn.execute(select(table)).all()) == before


async def test_what_purge_took_is_forgotten_and_the_rest_still_found(bare: Ledger) -> None:
    place = await fill(bare, 2_000)
    await swept(bare)
    await bare.write(lambda conn: conn.execute(delivery.delete().where(delivery.c.seq <= 1_000)))
    await bare.write(lambda conn: trail.forget(conn, place))
    kept = await bare.read(lambda conn: conn.execute(select(table.c.block).order_by(table.c.block)).scalars().all())
    assert kept[0] == 1_001 // 64
    assert await seqs_of(bare, 7) == [seq for seq in range(1_001, 2_001) if seq // 2 % DOSSIERS == 7]
    await bare.write(lambda conn: conn.execute(delivery.delete()))
    await bare.write(lambda conn: trail.forget(conn, place))
    assert await trail.sweep(bare) == 0


def statements(conn: Connection, work: Callable[[Connection], object]) -> list[str]:
    said: list[str] = []
    note = lambda *given: said.append(given[2])  # noqa: E731
    event.listen(conn, "before_cursor_execute", note)
    work(conn)
    event.remove(conn, "before_cursor_execute", note)
    return said


async def test_codes_are_looked_up_by_the_primary_key_of_each_number_space(bare: Ledger) -> None:
    def put(conn: Connection) -> None:
        rows = [("dossier_code", "H39.16-250804-0001", 1), ("notice", "TB-1", 1), ("payment", "TT-1", 2)]
        made = [{"scheme": s, "value": v, "key": key(n), "issuer": "x", "claimed_at": 1} for s, v, n in rows]
        conn.execute(insert(alias), made)
        conn.execute(insert(key_link).values(younger=key(2), older=key(1), linked_at=1))

    await bare.write(put)
    both = sorted([key(1), key(2)])
    for code in ("H39.16-250804-0001", "TB-1", "TT-1", str(UUID(bytes=key(1))), str(UUID(bytes=key(2)))):
        assert await bare.read(lambda conn, code=code: query.keys_by_code(conn, code)) == both
    assert await bare.read(lambda conn: query.keys_by_code(conn, "TB-2")) == []
    asked = await bare.read(lambda conn: statements(conn, lambda c: query.keys_by_code(c, "TB-1")))
    assert all("scheme" in statement for statement in asked if "FROM alias" in statement)
