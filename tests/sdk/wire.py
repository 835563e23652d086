"""A partner that says bytes: what a test needs to break an exchange at a chosen place."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from router.sdk.http import Http, HttpConfig

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def partner(talk: Talk, tls: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    """Serve on a free loopback port; its base URL."""
    talks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        talks.add(task)
        try:
            await talk(reader, writer)
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    port = server.sockets[0].getsockname()[1]
    try:
        yield f"{'https' if tls else 'http'}://localhost:{port}"
    finally:
        server.close()
        for task in talks:
            task.cancel()
        await asyncio.gather(*talks, return_exceptions=True)


@asynccontextmanager
async def client(url: str, **settings: object) -> AsyncIterator[Http]:
    """An open client."""
    http = Http(HttpConfig.model_validate({"base_url": url, **settings}))
    await http.open()
    try:
        yield http
    finally:
        await http.close()


def saying(answer: bytes, *, hang_up: bool = True, asked: asyncio.Event | None = None) -> Talk:
    """Read a request's head, say these bytes, and hang up (or say nothing more). ``asked`` is set by a request."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        if asked is not None:
            asked.set()
        writer.write(answer)
        await writer.drain()
        if not hang_up:
            await asyncio.Event().wait()

    return talk


def answer(body: bytes, status: str = "200 OK", *headers: str) -> bytes:
    """A whole answer on the wire."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body
