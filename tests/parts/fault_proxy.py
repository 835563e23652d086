"""A TCP proxy with the troubles of a network: latency, bandwidth, down, reset, half-open, cut after so many bytes.

A fault may be set and cleared at any moment; it meets open connections as well as new ones. What a client sent before
it went away is never handed over afterwards, so that a late request is a trouble of the partner's and not of ours.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from contextlib import suppress
from dataclasses import dataclass, field

CHUNK = 16_384
ABORT = struct.pack("ii", 1, 0)  # SO_LINGER: on, no time: closing sends a reset


@dataclass(frozen=True, slots=True)
class Faults:
    """What is wrong with the line. All times in seconds.

    ``latency`` holds every piece of data back, ``bandwidth`` (bytes/s) makes it trickle, ``reset`` answers the first
    data of a connection with a reset, ``half_open`` swallows everything and tells nobody, ``cut_after`` resets a
    connection once so many bytes of answers went through it.
    """

    latency: float = 0.0
    bandwidth: int = 0
    reset: bool = False
    half_open: bool = False
    cut_after: int | None = None


SOUND = Faults()


@dataclass
class FaultProxy:
    """Passes everything from ``port`` to the server's port until ``faults`` says otherwise. ``resets`` counts what it
    broke, ``swallowed`` the pieces that nobody got, ``passed`` the others.
    """

    server_port: int
    port: int = 0
    faults: Faults = SOUND
    resets: int = 0
    swallowed: int = 0
    passed: int = 0
    _server: asyncio.Server | None = None
    _open: set[asyncio.StreamWriter] = field(default_factory=set)
    _pumps: set[asyncio.Task[None]] = field(default_factory=set)

    async def up(self) -> None:
        """Listen; after ``down`` again on the same port."""
        if self._server is None:
            self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
            self.port = self._server.sockets[0].getsockname()[1]

    async def down(self) -> None:
        """Nobody listens any more, and what was connected is reset."""
        if self._server is not None:
            self._server.close()
            self._server = None
        self.reset_all()

    def reset_all(self) -> None:
        """Reset every open connection, both sides."""
        for writer in list(self._open):
            self._abort(writer)

    async def close(self) -> None:
        """End everything."""
        await self.down()
        pumps = list(self._pumps)
        for pump in pumps:
            pump.cancel()
        await asyncio.gather(*pumps, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._pumps.add(task)
        self._open.add(writer)
        try:
            await self._joined(reader, writer)
        finally:
            self._pumps.discard(task)
            self._open.discard(writer)
            writer.close()

    async def _joined(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            from_server, to_server = await asyncio.open_connection("127.0.0.1", self.server_port)
        except OSError:
            self._abort(writer)
            return
        self._open.add(to_server)
        try:
            up = asyncio.create_task(self._pump(reader, to_server, writer, answers=False))
            down = asyncio.create_task(self._pump(from_server, writer, to_server, answers=True))
            await asyncio.wait({up, down}, return_when=asyncio.FIRST_COMPLETED)
            for pump in (up, down):
                pump.cancel()
            await asyncio.gather(up, down, return_exceptions=True)
        finally:
            self._open.discard(to_server)
            to_server.close()

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, other: asyncio.StreamWriter, *, answers: bool
    ) -> None:
        """One direction, until a side ends it or a fault does."""
        total = 0
        with suppress(OSError):
            while data := await reader.read(CHUNK):
                faults = self.faults
                if faults.half_open:
                    self.swallowed += 1
                    continue
                if faults.latency or faults.bandwidth:
                    await asyncio.sleep(faults.latency + (len(data) / faults.bandwidth if faults.bandwidth else 0))
                    if reader.at_eof():
                        return
                if faults.reset:
                    return self._break(writer, other)
                if answers and faults.cut_after is not None and total + len(data) > faults.cut_after:
                    writer.write(data[: max(0, faults.cut_after - total)])
                    await writer.drain()
                    return self._break(writer, other)
                total += len(data)
                self.passed += 1
                writer.write(data)
                await writer.drain()
        return None

    def _break(self, *writers: asyncio.StreamWriter) -> None:
        self.resets += 1
        for writer in writers:
            self._abort(writer)

    @staticmethod
    def _abort(writer: asyncio.StreamWriter) -> None:
        raw = writer.get_extra_info("socket")
        if raw is not None and raw.fileno() >= 0:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, ABORT)
        writer.transport.abort()
