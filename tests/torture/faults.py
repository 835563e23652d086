"""The faults that processes, lines, disks, broker and database can have, each as one thing to await in a storm."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from tests.parts.fault_proxy import SOUND, Faults
from tests.parts.kafka import Broker
from tests.parts.postgres import Cluster
from tests.torture.disk import Disk, LimitedFiles
from tests.torture.installation import LEASE_SECONDS, Installation
from tests.torture.process import ServiceProcess
from tests.torture.recorder import CALL_LIMIT
from tests.torture.storm import Fault
from tests.torture.verdict import Freeze

LINES = {
    "latency": Faults(latency=0.05),
    "bandwidth": Faults(bandwidth=20_000),
    "reset": Faults(reset=True),
    "cut": Faults(cut_after=400),
    "half-open": Faults(half_open=True),
}


def killed(process: ServiceProcess) -> Fault:
    """``kill -9``, and started again."""

    async def fault() -> None:
        await process.kill()
        await process.start()

    return fault


def restarted(process: ServiceProcess) -> Fault:
    """Told to stop, and started again."""

    async def fault() -> None:
        code = await process.terminate()
        assert code == 0, process.last_words()
        await process.start()

    return fault


def frozen(process: ServiceProcess, seconds: float, freezes: list[Freeze]) -> Fault:
    """Stopped by a signal for so long and woken up; noted in ``freezes``."""

    async def fault() -> None:
        start = time.monotonic()
        process.send(signal.SIGSTOP)
        await asyncio.sleep(seconds)
        process.send(signal.SIGCONT)
        freezes.append(Freeze(start, time.monotonic()))

    return fault


def bad_line(made: Installation, faults: Faults, names: Sequence[str] = ()) -> Fault:
    """The line to partners (all, if none is named) is bad for a while."""
    proxies = [proxy for name, proxy in made.proxies.items() if not names or name in names]

    async def fault() -> None:
        for proxy in proxies:
            proxy.faults = faults
        await asyncio.sleep(CALL_LIMIT + 0.2 if faults.half_open else 0.3)
        for proxy in proxies:
            proxy.faults = SOUND
            proxy.reset_all()

    return fault


def outage(made: Installation, names: Sequence[str], seconds: float) -> Fault:
    """Nobody listens at these partners for a while."""

    async def fault() -> None:
        for name in names:
            await made.proxies[name].down()
        await asyncio.sleep(seconds)
        for name in names:
            await made.proxies[name].up()

    return fault


def full_disk(process: ServiceProcess, disk: Disk, seconds: float) -> Fault:
    """No room for the process's writes for a while."""

    async def fault() -> None:
        disk.fill(process)
        await asyncio.sleep(seconds)
        disk.free(process)

    return fault


def crashed(part: Broker | Cluster) -> Fault:
    """Broker or database killed and started again."""

    async def fault() -> None:
        await asyncio.to_thread(part.kill)
        await asyncio.to_thread(part.start)

    return fault


@dataclass
class Choice:
    """Faults of an installation to choose from. ``freezes`` is filled by those that freeze a process."""

    made: Installation
    parts: Sequence[Broker | Cluster] = ()
    freezes: list[Freeze] = field(default_factory=list)

    def all(self) -> dict[str, Fault]:
        """Every kind of fault, by name."""
        made = self.made
        found = {f"line {name}": bad_line(made, faults) for name, faults in LINES.items()}
        for name in made.partners:
            found[f"outage of {name}"] = outage(made, [name], 3.0)
        for number, process in enumerate(made.processes):
            found[f"kill {number}"] = killed(process)
            found[f"restart {number}"] = restarted(process)
            found[f"freeze {number}"] = frozen(process, 3 * LEASE_SECONDS, self.freezes)
            if made.settings.embedded:
                found["full disk"] = full_disk(process, LimitedFiles(made.settings.data), 2.0)
        for part in self.parts:
            found[f"crash of {type(part).__name__.lower()}"] = crashed(part)
        return found
