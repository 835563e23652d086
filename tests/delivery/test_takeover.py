"""A shard whose position does not fit the bus is left alone with an alert, until it fits again."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import update

from router.delivery.takeover import MISSING, position_fault
from router.events import key_of, partition_of
from router.ledger.rows import Shard
from router.ledger.tables import shard
from tests.delivery.installation import PARTITIONS, PARTNER, Installation, Script, installation

DOSSIER = "H39.16-250804-0001"
MINE = partition_of(key_of("dossier_code", DOSSIER).bytes, PARTITIONS)
OTHER = next(
    code for n in range(99) if partition_of(key_of("dossier_code", code := f"H39-{n}").bytes, PARTITIONS) != MINE
)


async def put(place: Installation, **values: Any) -> Shard:
    """Change the row of the dossier's shard; what it was before."""
    at = (shard.c.recipient == PARTNER) & (shard.c.partition == MINE)

    def change(conn: Any) -> Any:
        before = conn.execute(shard.select().where(at)).one()
        conn.execute(update(shard).where(at).values(**values))
        return before

    return await place.ledger.write(change)  # type: ignore[no-any-return]


async def alerts(place: Installation) -> list[tuple[str, str]]:
    return [(alert.name, alert.subject) for alert in await place.operations.alerts()]


@pytest.mark.parametrize(
    ("wrong", "name"),
    [({"position": 100}, "position_beyond_bus"), ({"fingerprint": b"another record"}, "topic_recreated")],
)
async def test_a_shard_that_does_not_fit_the_bus_waits_alone_and_its_alert_goes_when_it_fits(
    tmp_path: Any, wrong: dict[str, Any], name: str
) -> None:
    script = Script()
    async with installation(tmp_path, script=script) as place:
        await place.publish(("e1", DOSSIER))
        await place.settled("e1", "delivered")
    async with installation(tmp_path, script=script) as place:
        await place.until(lambda: place.service.shards)
        before = await put(place, **wrong)
    async with installation(tmp_path, script=script) as place:
        await place.publish(("e2", DOSSIER), ("e3", OTHER))
        await place.settled("e3", "delivered")
        assert await alerts(place) == [(name, f"{PARTNER}/{MINE}")]
        await put(place, position=before.position, fingerprint=before.fingerprint)
        assert script.taken == ["e1", "e3"]
    async with installation(tmp_path, script=script) as place:
        await place.settled("e2", "delivered")
        assert script.taken == ["e1", "e3", "e2"]
        assert await alerts(place) == []


def test_a_position_before_the_first_record_of_the_bus_is_a_fault() -> None:
    place = Shard(1, PARTNER, 0, position=4, next_seq=1, fingerprint=b"")
    assert position_fault(place, 4, 9) is None
    fault = position_fault(place, 5, 9)
    assert fault is not None
    assert (fault.name, fault.subject) == (MISSING, f"{PARTNER}/0")
