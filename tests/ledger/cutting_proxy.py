"""A loopback TCP proxy that cuts, or silences, a connection at a given word of the client."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from enum import Enum, auto


class Cut(Enum):
    """What happens to the client's bytes that hold the word."""

    BEFORE = auto()  # they never reach the server, and both sides are closed
    AFTER = auto()  # the server gets them and answers, the client sees a closed connection instead
    SILENCE = auto()  # they never reach the server, and nobody is told


@dataclass
class CuttingProxy:
    """Passes everything until it is armed. ``port`` is where clients connect."""

    host: str
    server_port: int
    port: int = 0
    word: bytes = b""
    cut: Cut = Cut.BEFORE
    pumps: set[asyncio.Task[None]] = field(default_factory=set)

    def arm(self, word: bytes, cut: Cut) -> None:
        """From now on, for the next connection that says the word."""
        self.word, self.cut = word, cut

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One client."""
        from_server, to_server = await asyncio.open_connection(self.host, self.server_port)
        down = asyncio.create_task(pump(from_server, writer))
        self.pumps.add(down)
        try:
            while data := await reader.read(65_536):
                if not self.word or self.word not in data:
                    to_server.write(data)
                    await to_server.drain()
                    continue
                self.word = b""
                if self.cut is Cut.SILENCE:
                    await reader.read()
                elif self.cut is Cut.AFTER:
                    down.cancel()
                    to_server.write(data)
                    await to_server.drain()
                    await from_server.read(1)
                return
        except OSError:
            pass  # the other side went first
        finally:
            down.cancel()
            for side in (writer, to_server):
                side.close()
                with suppress(OSError):
                    await side.wait_closed()


async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """One direction, to its end."""
    with suppress(OSError):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
        writer.close()


@asynccontextmanager
async def cutting_proxy(host: str, port: int) -> AsyncIterator[CuttingProxy]:
    """A proxy to a server for the length of the block."""
    proxy = CuttingProxy(host, port)
    server = await asyncio.start_server(proxy.serve, "127.0.0.1", 0)
    proxy.port = server.sockets[0].getsockname()[1]
    async with server:
        yield proxy
        server.close()
        if proxy.pumps:
            await asyncio.wait(proxy.pumps, timeout=5)
