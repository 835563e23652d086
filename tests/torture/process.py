"""One ``lgsp run`` as its own process: started, signalled, waited for; its log is kept in a file."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
RUN = "from router.cli.main import main; main()"
START_LIMIT = 40.0
END_LIMIT = 30.0
TRACEBACK = re.compile(r"Traceback \(most recent call last\)")


class ServiceProcess:
    """A process of an installation. ``url`` is where it listens, once it is ready."""

    def __init__(self, name: str, config: Path, log: Path, path: Sequence[Path]) -> None:
        self._config, self._log = config, log
        entries = [str(entry) for entry in (*path, ROOT)]
        self._environment = {**os.environ, "PYTHONPATH": os.pathsep.join(entries), "LGSP_INSTANCE": name}
        self._process: asyncio.subprocess.Process | None = None
        self._reading: asyncio.Task[None] | None = None
        self._ready = asyncio.Event()
        self.url = ""
        self.stopped = False

    @property
    def pid(self) -> int:
        """Its process id."""
        assert self._process is not None
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether it lives (frozen or not)."""
        return self._process is not None and self._process.returncode is None

    async def start(self) -> None:
        """Start it and wait until it is ready. Fails with the end of its log if it ends before."""
        await self.launch()
        await self.ready()

    async def launch(self) -> None:
        """Start it."""
        self._ready.clear()
        self.url = ""
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", RUN, "run", "--config", str(self._config),
            stderr=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.DEVNULL, env=self._environment,
        )  # fmt: skip
        self._reading = asyncio.create_task(self._read(self._process))

    async def ready(self) -> None:
        """Wait until it says so."""
        assert self._reading is not None
        ready = asyncio.create_task(self._ready.wait())
        try:
            async with asyncio.timeout(START_LIMIT):
                await asyncio.wait({ready, self._reading}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            ready.cancel()
        assert self._ready.is_set(), f"it did not start: {self.last_words()}"

    def send(self, number: signal.Signals) -> None:
        """Signal it."""
        assert self._process is not None
        self._process.send_signal(number)
        self.stopped = number is signal.SIGSTOP

    async def kill(self) -> None:
        """``kill -9``, and wait until it is gone."""
        if self.running:
            self.send(signal.SIGKILL)
        await self.ended()

    async def terminate(self) -> int:
        """SIGTERM, and its exit code once it has ended."""
        self.send(signal.SIGTERM)
        return await self.ended()

    async def deaf(self) -> None:
        """Wait until it takes nothing in any more, which is how a stop begins."""
        async with asyncio.timeout(END_LIMIT):
            while await _listens(self.url):
                await asyncio.sleep(0.01)

    async def ended(self) -> int:
        """Wait for its end; its exit code."""
        if self._process is None or self._reading is None:
            return 0
        async with asyncio.timeout(END_LIMIT):
            code = await self._process.wait()
            await self._reading
        self.url = ""
        return code

    def events(self, name: str) -> list[dict[str, Any]]:
        """Lines of its log with this event name."""
        lines = self._log.read_text("utf-8").splitlines() if self._log.exists() else []
        found = [json.loads(line) for line in lines if line.startswith("{")]
        return [line for line in found if line.get("event") == name]

    def defects(self) -> str:
        """The first traceback in its log, with what stands around it; empty if there is none.

        The Kafka client drops the result of a commit that its caller gave up: that is no defect.
        """
        text = self._log.read_text("utf-8") if self._log.exists() else ""
        for found in TRACEBACK.finditer(text):
            if "_do_commit_offsets" not in text[max(0, found.start() - 300) : found.end() + 300]:
                return text[max(0, found.start() - 500) : found.start() + 2500]
        return ""

    def last_words(self) -> str:
        """The end of its log."""
        return self._log.read_text("utf-8")[-3000:] if self._log.exists() else "nothing"

    async def _read(self, process: asyncio.subprocess.Process) -> None:
        assert process.stderr is not None
        with self._log.open("a", encoding="utf-8") as log:
            while line := await process.stderr.readline():
                text = line.decode("utf-8", "replace")
                log.write(text)
                log.flush()
                if '"event": "ready"' in text:
                    self.url = json.loads(text)["url"]
                    self._ready.set()


async def command(config: Path, path: Sequence[Path], *words: str) -> str:
    """Run a command of ``lgsp`` to its end; what it printed. Fails when it was refused."""
    entries = os.pathsep.join(str(entry) for entry in (*path, ROOT))
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", RUN, *words, "--config", str(config),
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT, env={**os.environ, "PYTHONPATH": entries},
    )  # fmt: skip
    async with asyncio.timeout(START_LIMIT):
        said, _ = await process.communicate()
    assert process.returncode == 0, said.decode()
    return said.decode()


async def _listens(url: str) -> bool:
    host, _, port = url.removeprefix("http://").rpartition(":")
    try:
        _, writer = await asyncio.open_connection(host, int(port))
    except OSError:
        return False
    writer.close()
    await writer.wait_closed()
    return True
