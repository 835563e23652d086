"""What ``lgsp doctor`` finds, beyond what the command line's own tests show."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from router.assembly import topics_of
from router.bus.embedded import EmbeddedBus
from router.clock import SystemClock, SystemIds
from router.doctor import _owner_key, examine
from router.doctor_bus import Finding, _deviations
from router.doctor_organs import examine_organs
from router.events import ROUTER, TopicPartition, topic_of
from router.ledger import store
from router.ledger.engine import open_ledger
from router.ports import TopicSpec, TopicState
from router.routing.registry_files import shipped_registry
from router.sdk.testing.clock import ManualClock
from router.settings import Settings
from tests.ledger.harness import new_file


async def installation(folder: Path, *, published: timedelta) -> list[Finding]:
    """Examine an installation with one record that nobody has accepted since it was published so long ago."""
    settings = Settings(data=folder)
    ledger = open_ledger(new_file(folder), SystemClock())
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


@pytest.mark.parametrize(
    ("organs", "day", "said"),
    [
        ((), "2025-06-30", ["is not set"]),
        (("H39", "000.00.00.H39"), "2025-06-30", ["go out under H39"]),
        (("H39", "000.00.00.H39"), "2025-07-01", ["H39, an agency that has ended"]),
        (("H53", "H39"), "2025-07-01", ["go out under H53"]),  # the old one is recognised still
        (("H39.25", "H53"), "2025-07-01", ["H39.25, an agency that has ended"]),
        (("H53", "H99.01"), "2025-07-01", ["H99.01 is not in the agency registry"]),
        (("H53.101",), "2025-06-30", ["H53.101 is not in the agency registry"]),
    ],
)
def test_our_own_codes_are_looked_up_in_the_registry(organs: tuple[str, ...], day: str, said: list[str]) -> None:
    found = examine_organs(organs, shipped_registry(), date.fromisoformat(day))
    assert len(found) == len(said)
    for finding, words in zip(found, said, strict=True):
        assert words in finding.what
        assert bool(finding.next_step) is (finding.verdict != "ok")


async def test_the_examination_looks_at_our_own_codes(tmp_path: Path) -> None:
    findings = await examine(Settings(data=tmp_path), SystemClock(), SystemIds())
    assert [finding.verdict for finding in findings if finding.part == "organs"] == ["mind"]


async def test_an_unreachable_database_is_named_with_the_next_step(tmp_path: Path) -> None:
    settings = Settings.model_validate({"data": tmp_path, **DISTRIBUTED})
    wrong = {f.part: f for f in await examine(settings, SystemClock(), SystemIds()) if f.verdict == "wrong"}
    assert {"bus", "ledger"} <= wrong.keys()
    assert "reachable" in wrong["ledger"].next_step


async def found(settings: Settings, part: str, **more: bool) -> list[Finding]:
    return [f for f in await examine(settings, SystemClock(), SystemIds(), **more) if f.part == part]


async def test_nothing_is_made_by_looking(tmp_path: Path) -> None:
    settings = Settings(data=tmp_path / "data")
    await examine(settings, SystemClock(), SystemIds())
    assert not settings.data.exists()
    settings.data.mkdir()
    new_file(settings.data)
    await examine(settings, SystemClock(), SystemIds())
    assert not (settings.data / "bus.db").exists()


async def test_every_wrong_recipient_is_named(tmp_path: Path) -> None:
    recipients = {name: {"connector": "tax", "config": {}} for name in ("tax-h39", "tax-h53")}
    wrong = [f.what for f in await found(Settings(data=tmp_path, recipients=recipients), "recipients")]
    assert [text.partition(":")[2].partition(".config")[0].strip() for text in wrong] == [
        "recipients.tax-h39", "recipients.tax-h53",
    ]  # fmt: skip


async def test_procedures_are_a_recipient_that_exists(tmp_path: Path) -> None:
    findings = await found(Settings(data=tmp_path, procedures={"enabled": True}), "routes")
    assert not [f for f in findings if "recipient procedures" in f.what]


DISTRIBUTED = {
    "bus": {"url": "kafka://127.0.0.1:1", "kafka": {"replication": 1, "min_insync_replicas": 1}},
    "ledger": {"url": "postgresql://lgsp@127.0.0.1:1/lgsp"},
}


@pytest.mark.parametrize(
    ("identity", "runtime", "verdict", "said"),
    [
        ({}, DISTRIBUTED, "wrong", "not compared"),
        ({"key_file": "/none/owner.key"}, DISTRIBUTED, "wrong", "No such file"),
        ({"key": "a key of this test"}, DISTRIBUTED, "ok", "are compared"),
        ({}, {}, "mind", "not made yet"),
    ],
)
def test_without_a_key_owners_are_not_compared(tmp_path: Path, identity, runtime, verdict, said) -> None:
    (finding,) = _owner_key(Settings.model_validate({"data": tmp_path, "identity": identity, **runtime}))
    assert (finding.verdict, said in finding.what) == (verdict, True)


def test_a_topics_settings_are_compared() -> None:
    spec = TopicSpec("lgsp.dossier", 6, 3, 1000, {"min.insync.replicas": "2", "cleanup.policy": "delete"})

    def deviating(**config: str) -> list[str]:
        state = TopicState("lgsp.dossier", 6, 3, {name.replace("_", "."): value for name, value in config.items()})
        return [f.what.partition(" has ")[2] for f in _deviations(spec, state)]

    assert deviating(retention_ms="1000", cleanup_policy="delete") == []
    assert deviating(retention_ms="-1", min_insync_replicas="3") == []
    assert deviating(retention_ms="999") == ["retention.ms=999, not 1000"]
    assert deviating(cleanup_policy="compact") == ["cleanup.policy=compact, not delete"]


async def test_a_partner_that_does_not_answer_is_found_when_probed(tmp_path: Path) -> None:
    config = {
        "http": {"base_url": "http://127.0.0.1:1"}, "system_id": "lgsp", "system_key": "khóa", "agency": "H39.90",
        "webhook_token": "a token of this test",
    }  # fmt: skip
    settings = Settings(data=tmp_path, recipients={"tax-h39": {"connector": "tax", "config": config}})
    assert await found(settings, "partner") == []
    (finding,) = await found(settings, "partner", probe=True)
    assert (finding.verdict, "tax-h39: connect" in finding.what) == ("wrong", True)


async def test_a_folder_that_others_may_read_is_told(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    (finding,) = await found(Settings(data=tmp_path), "settings")
    assert finding.next_step == f"chmod 700 {tmp_path}"
