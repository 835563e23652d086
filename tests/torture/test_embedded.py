"""The embedded runtime, mistreated: whatever is received is delivered once and in order."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.torture.disk import Disk, LimitedFiles, SmallDisk, mounted
from tests.torture.faults import LINES, bad_line, frozen, killed
from tests.torture.installation import LEASE_SECONDS, PARTNERS, Installation, installation
from tests.torture.load import Load
from tests.torture.operator import backlog, settle
from tests.torture.partner import SOME
from tests.torture.recorder import CONCURRENCY
from tests.torture.storm import ROUNDS, WITNESS, storm
from tests.torture.verdict import Freeze, violations

ANNOYED = {"fails_after_work": 0.03, "busy": 0.05, "slow": 0.05, "cuts_after_work": 0.03}


async def test_killed_at_random_points_before_partners_in_bad_mood(tmp_path: Path) -> None:
    async with installation(tmp_path) as made:
        [service] = await made.start()
        for name in PARTNERS:
            made.partners[name].moods = ANNOYED
            if name != WITNESS:  # its lanes must not wait for the operator
                made.partners[name].stumbles_from = SOME
        await storm(made, made.load(20, 15), [killed(service), killed(service)], seed=1)


async def test_bad_lines_to_all_partners(tmp_path: Path) -> None:
    async with installation(tmp_path) as made:
        await made.start()
        faults = [bad_line(made, line) for line in LINES.values()]
        await storm(made, made.load(20, 20, pause=0.2), faults, seed=2)


async def test_partners_that_are_down_are_waited_for_and_delay_nobody_else(tmp_path: Path) -> None:
    async with installation(tmp_path) as made:
        await made.start()

        async def outage() -> None:
            for name in ("plain", "asked"):
                await made.proxies[name].down()
            await made.partners["once"].until_effects(20 * 15)
            for name in ("plain", "asked"):
                await made.proxies[name].up()

        await storm(made, made.load(20, 15), [outage], seed=3)


async def test_a_process_frozen_in_mid_work_goes_on_when_it_is_woken(tmp_path: Path) -> None:
    async with installation(tmp_path) as made:
        [service] = await made.start()
        freezes: list[Freeze] = []
        freeze = frozen(service, 3 * LEASE_SECONDS, freezes)  # calls under way are cut off by their limits meanwhile
        await storm(made, made.load(20, 10, pause=0.2), [freeze], seed=5, freezes=freezes)
        assert service.running, service.last_words()


async def test_a_full_disk_is_waited_out(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with mounted(data) as small:
        await filled(tmp_path, SmallDisk(data) if small else LimitedFiles(data))


@pytest.mark.skipif(not ROUNDS, reason="the long run: make torture")
async def test_files_that_may_not_grow_are_waited_out(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    await filled(tmp_path, LimitedFiles(tmp_path / "data"))


async def test_told_to_stop_it_ends_as_soon_as_its_running_calls_have(tmp_path: Path) -> None:
    async with installation(tmp_path, call_limit=20.0, grace=20.0) as made:
        [service] = await made.start()
        load = made.load(10, 2)
        await in_mid_call(made, load)
        ending = asyncio.create_task(service.terminate())
        await service.deaf()
        await asyncio.sleep(0.5)  # until delivery has been told as well, which nobody sees from here
        for partner in made.partners.values():
            partner.gate.set()
        async with asyncio.timeout(10):
            assert await ending == 0, service.last_words()
        assert all(made.partners[name].answered == len(made.partners[name].record) >= CONCURRENCY for name in PARTNERS)
        assert await backlog(made, "uncertain") == 0
        assert await backlog(made, "calling") == 0
        await service.start()
        await settle(made, load.received, limit=20)
        assert await violations(made, load.received) == []


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
        assert await violations(made, load.received) == []


async def filled(folder: Path, disk: Disk) -> None:
    """A storm during which the disk is full once, until the source was turned away."""
    async with installation(folder) as made:
        [service] = await made.start()
        load = made.load(20, 15, pause=0.3)

        async def full() -> None:
            disk.fill(service)
            await load.until_refused(20)
            disk.free(service)

        await storm(made, load, [full], seed=4, upto=0.5)
        assert service.running, service.last_words()


async def in_mid_call(made: Installation, load: Load) -> None:
    """Send all of ``load``, and let every partner have taken in as many requests as it gets at once, without answer."""
    for name in PARTNERS:
        made.partners[name].gate.clear()
    await load.run()
    for partner in map(made.partners.__getitem__, PARTNERS):
        await partner.until(lambda partner=partner: partner.waiting == CONCURRENCY)
