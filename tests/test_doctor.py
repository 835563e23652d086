"""What ``lgsp doctor`` finds, beyond what the command line's own tests show."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from router.bus.embedded import EmbeddedBus
from router.clock import SystemClock, SystemIds
from router.doctor import Finding, examine
from router.events import ROUTER, TopicPartition, topic_of
from router.ledger import store
from router.ledger.engine import open_ledger
from router.ledger.migrate import migrate_ledger
from router.sdk.testing.clock import ManualClock
from router.service import topics_of
from router.settings import Settings


async def installation(folder: Path, *, published: timedelta) -> list[Finding]:
    """Examine an installation with one record that nobody has accepted since it was published so long ago."""
    settings = Settings(data=folder)
    await migrate_ledger(settings.ledger_url, None)
    ledger = open_ledger(settings.ledger_url, SystemClock())
    await ledger.open()
    await ledger.write(lambda conn: store.register_shards(conn, ROUTER, settings.bus.partitions))
    await ledger.close()
    bus = EmbeddedBus(folder / "bus.db", ManualClock(datetime.now(UTC) - published))
    await bus.open()
    await bus.create(topics_of(settings))
    publisher = await bus.publisher()
    await publisher.publish({TopicPartition(topic_of(ROUTER), 2): [(b"k", b"v", [])]})
    await bus.close()
    return await examine(settings, SystemClock(), SystemIds())


@pytest.mark.parametrize(("days", "found"), [(8, True), (6, False)])
async def test_a_record_not_accepted_for_half_its_retention_is_told(tmp_path: Path, days: int, found: bool) -> None:
    findings = await installation(tmp_path, published=timedelta(days=days))
    late = [finding for finding in findings if finding.part == "lag"]
    assert bool(late) is found
    assert all("lgsp.to.router/2" in finding.what for finding in late)


async def test_a_fresh_folder_is_nothing_wrong(tmp_path: Path) -> None:
    findings = await examine(Settings(data=tmp_path), SystemClock(), SystemIds())
    assert not [finding for finding in findings if finding.verdict == "wrong"]


async def test_an_unreachable_database_is_named_with_the_next_step(tmp_path: Path) -> None:
    settings = Settings.model_validate(
        {
            "data": tmp_path,
            "bus": {"url": "kafka://127.0.0.1:1", "kafka": {"replication": 1, "min_insync_replicas": 1}},
            "ledger": {"url": "postgresql://lgsp@127.0.0.1:1/lgsp"},
        }
    )
    wrong = {f.part: f for f in await examine(settings, SystemClock(), SystemIds()) if f.verdict == "wrong"}
    assert {"bus", "ledger"} <= wrong.keys()
    assert "reachable" in wrong["ledger"].next_step
