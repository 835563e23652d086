"""The service as an agency runs it, ended in the middle of its work: nothing lost, reordered or doubled."""

from __future__ import annotations

import asyncio
import signal
import socket
import tomllib
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from router.clock import SystemClock
from router.demo import people
from router.demo.check import compare
from router.demo.world import COMMUNE, LAND_OFFICE, TAX_OFFICE, World, demo_settings, demo_values
from tests.torture.process import ServiceProcess

NUMBERS = range(11, 23)  # those below have ways of their own in the demo


def toml(values: dict[str, Any], prefix: str = "") -> str:
    """Nested values as TOML tables."""
    plain = {key: value for key, value in values.items() if not isinstance(value, dict)}
    lines = [f"[{prefix}]"] if prefix else []
    lines += [f"{key} = {_literal(value)}" for key, value in plain.items()]
    tables = [
        toml(value, f"{prefix}.{key}" if prefix else key) for key, value in values.items() if isinstance(value, dict)
    ]
    return "\n".join([*lines, *tables])


def _literal(value: object) -> str:
    return str(value) if isinstance(value, int | float) else f'"{value}"'


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
async def test_a_service_that_is_ended_in_mid_work_loses_nothing(tmp_path: Path, number: signal.Signals) -> None:
    clock = SystemClock(datetime(2025, 6, 16, 1, 0, tzinfo=UTC) - datetime.now(UTC))
    async with AsyncExitStack() as stack:
        world = World.make(clock)
        await world.start(stack)
        config = configured(world, tmp_path)
        service = ServiceProcess("service", config, tmp_path / "service.log", [])
        stack.push_async_callback(service.kill)  # a failed test leaves none behind
        await service.start()
        world.connect(f"http://127.0.0.1:{port_of(config)}")
        codes = [people.dossier_code(COMMUNE, clock.business().date(), number) for number in NUMBERS]
        for index, code in enumerate(codes, 1):
            world.portal.file(people.portal_dossier(code, COMMUNE, index, clock.business()))
        for threshold in (20, 90, 160):
            await until(world, lambda threshold=threshold: effects(world) >= threshold)
            service.send(number)
            await service.ended()
            await service.start()
        await until(
            world, lambda: all(world.land.files.get(c) and world.land.files[c].state == "closed" for c in codes)
        )
        await until(world, world.idle)
        await until(world, lambda: not differences(world))
        assert await service.terminate() == 0
        assert differences(world) == []
        assert not service.defects()


def configured(world: World, folder: Path) -> Path:
    """The demo's installation as a configuration file, with a registry in which nothing was reorganised."""
    world.tax._stranger = ""
    settings = demo_settings(demo_values(world, folder / "data", bus="embedded", ledger="sqlite"))
    sections = settings.recipients.items()
    values = {
        "data": str(folder / "data"),
        "http": {"port": free_port()},
        "identity": {"key": "a key of this test"},
        "delivery": {"grace": 5.0},
        "routing": {"agencies": str(registry(folder / "agencies"))},
        "recipients": {
            name: {"connector": made.connector, "timeout": 1, "config": made.config} for name, made in sections
        },
    }
    config = folder / "lgsp.toml"
    config.write_text(toml(values), "utf-8")
    return config


def registry(folder: Path) -> Path:
    folder.mkdir()
    serves = "one_stop=one-stop-h39 land_registry=land-h39 tax=tax-h39"
    agencies = ["id,name,level,parent,valid_from,valid_to,serves", f"la,Long An,province,,,,{serves}"]
    codes = ["code,agency,valid_from,valid_to", *(f"{code},la,," for code in (COMMUNE, LAND_OFFICE, TAX_OFFICE))]
    (folder / "agencies.csv").write_text("\n".join(agencies), "utf-8")
    (folder / "codes.csv").write_text("\n".join(codes), "utf-8")
    (folder / "successions.csv").write_text("agency,relation,successor,on,discriminator", "utf-8")
    return folder


def port_of(config: Path) -> int:
    return int(tomllib.loads(config.read_text("utf-8"))["http"]["port"])


def closed(world: World) -> int:
    return sum(1 for file in world.land.files.values() if file.state == "closed")


def effects(world: World) -> int:
    return sum(len(simulator.effects) for simulator in world.partners().values())


def differences(world: World) -> list[object]:
    partners = world.partners()
    sent = {recipient: simulator.sent for recipient, simulator in partners.items()}
    return list(compare(sent, {r: simulator.effects for r, simulator in partners.items()}, world.target))


async def until(world: World, condition: Any) -> None:
    """Let partners and service work until the condition holds; fails after a minute."""
    async with asyncio.timeout(60):
        while not condition():
            world.tax.flush()
            await world.tax.clock.sleep(0.02)
