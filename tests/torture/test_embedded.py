"""The embedded runtime, mistreated: whatever is received is delivered once and in order."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

import pytest

from tests.parts.fault_proxy import SOUND, Faults
from tests.torture.disk import small_disk
from tests.torture.installation import Installation, installation
from tests.torture.load import Load
from tests.torture.operator import backlog, settle
from tests.torture.recorder import CALL_LIMIT, CONCURRENCY
from tests.torture.storm import storm
from tests.torture.verdict import violations

ANNOYED = {"fails_after_work": 0.03, "busy": 0.05, "slow": 0.05, "cuts_after_work": 0.03}


async def test_killed_at_random_points_before_partners_in_bad_mood(tmp_path: Path) -> None:
    async with installation(tmp_path) as made:
        [service] = await made.start()
        for partner in made.partners.values():
            partner.moods = ANNOYED

        async def kill() -> None:
            await service.kill()
            await service.start()

        await storm(made, made.load(20, 15), [kill, kill, kill], seed=1)


async def test_frozen_and_woken_up(tmp_path: Path) -> None:
    async with installation(tmp_path) as made:
        [service] = await made.start()

        async def freeze() -> None:
            service.send(signal.SIGSTOP)
            await asyncio.sleep(CALL_LIMIT + 1)
            service.send(signal.SIGCONT)

        await storm(made, made.load(20, 15), [freeze, freeze], seed=2)


@pytest.mark.parametrize("name", ["bus.db", "ledger.db"])
async def test_a_full_disk_is_waited_out(tmp_path: Path, name: str) -> None:
    with small_disk(tmp_path / "disk") as disk:
        data = tmp_path / "data"
        data.mkdir()
        (data / name).symlink_to(disk.folder / name)
        async with installation(tmp_path, data=data) as made:
            [service] = await made.start()
            load = made.load(20, 15, pause=0.3)

            async def fill() -> None:
                disk.fill(service)
                await load.until_refused(20)
                disk.free(service)

            await storm(made, load, [fill], seed=3, upto=0.5)
            assert service.running, service.last_words()


@pytest.mark.parametrize(
    "faults",
    [
        Faults(latency=0.05),
        Faults(bandwidth=20_000),
        Faults(reset=True),
        Faults(half_open=True),
        Faults(cut_after=400),
    ],
    ids=["latency", "bandwidth", "reset", "half-open", "cut"],
)
async def test_a_bad_line_to_every_partner(tmp_path: Path, faults: Faults) -> None:
    async with installation(tmp_path) as made:
        await made.start()

        async def spoil() -> None:
            for proxy in made.proxies.values():
                proxy.faults = faults
            await asyncio.sleep(CALL_LIMIT + 0.5)
            for proxy in made.proxies.values():
                proxy.faults = SOUND
                proxy.reset_all()

        await storm(made, made.load(20, 15), [spoil], seed=4)


async def test_partners_that_are_down_are_held_and_get_everything_afterwards(tmp_path: Path) -> None:
    async with installation(tmp_path) as made:
        await made.start()

        async def outage() -> None:
            for name in ("plain", "asked"):
                await made.proxies[name].down()
            await made.partners["once"].until_effects(280)
            for name in ("plain", "asked"):
                await made.proxies[name].up()

        await storm(made, made.load(20, 15), [outage], seed=5)


async def test_told_to_stop_it_lets_running_calls_end(tmp_path: Path) -> None:
    async with installation(tmp_path, call_limit=10.0) as made:
        [service] = await made.start()
        load = made.load(10, 2)
        await in_mid_call(made, load)
        ending = asyncio.create_task(service.terminate())
        await asyncio.sleep(0.3)
        for partner in made.partners.values():
            partner.gate.set()
        assert await ending == 0, service.last_words()
        assert {name: partner.answered for name, partner in made.partners.items()} == dict.fromkeys(
            made.partners, CONCURRENCY
        )
        assert await backlog(made, "uncertain") == 0
        assert await backlog(made, "calling") == 0
        await service.start()
        await settle(made, load.received, limit=20)
        assert violations(made, load.received) == []


async def test_a_call_that_does_not_end_in_the_grace_period_is_cut(tmp_path: Path) -> None:
    async with installation(tmp_path, grace=0.5) as made:
        [service] = await made.start()
        load = made.load(10, 2)
        await in_mid_call(made, load)
        assert await service.terminate() == 0, service.last_words()
        for partner in made.partners.values():
            partner.gate.set()
        await service.start()
        await settle(made, load.received, limit=20)
        assert violations(made, load.received) == []


async def in_mid_call(made: Installation, load: Load) -> None:
    """Send all of ``load``, and let every partner have taken in as many requests as it gets at once, without answer."""
    for partner in made.partners.values():
        partner.gate.clear()
    await load.run()
    for partner in made.partners.values():
        await partner.until(lambda partner=partner: partner.waiting == CONCURRENCY)
