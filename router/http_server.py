"""The service's HTTP side: webhooks, health and metrics on one port."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Final

import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from router.refusals import refused

_WORDS: Final = {
    404: ("Không có địa chỉ này", "there is no such address"),
    405: ("Địa chỉ này không nhận phương thức đó", "this address does not take that method"),
}


class HttpServer:
    """Serves routes on ``host`` and ``port`` (0: any free one) inside the running loop."""

    def __init__(self, host: str, port: int, key: str = "http.port") -> None:
        self._host, self._port, self._key = host, port, key
        self._server: uvicorn.Server | None = None
        self._task: asyncio.Task[None] | None = None
        self.url = ""

    async def start(self, routes: Sequence[BaseRoute]) -> None:
        """Listen. Raises ``ConfigError`` when the port is taken."""
        listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((self._host, self._port))
            listening.listen()  # from here on a caller waits instead of being refused
        except OSError as error:
            listening.close()
            found = error.strerror or "cannot listen"
            raise refused(
                "fault", key=self._key, form="a free port", form_vi="một cổng còn trống", found=found
            ) from error
        self.url = f"http://{self._host}:{listening.getsockname()[1]}"
        config = uvicorn.Config(
            Starlette(routes=list(routes), exception_handlers={HTTPException: _told}),
            log_config=None,
            access_log=False,
            lifespan="off",
            timeout_graceful_shutdown=5,
        )
        self._server = _Quiet(config)
        self._task = asyncio.create_task(self._server.serve(sockets=[listening]))

    async def stop_accepting(self) -> None:
        """Answer what is under way and close."""
        if self._server is not None and self._task is not None:
            self._server.should_exit = True
            with suppress(asyncio.CancelledError):
                await self._task

    async def stop(self) -> None:
        """The same, for the end."""
        await self.stop_accepting()


async def _told(_: Request, error: Exception) -> Response:
    """What no route takes, in our own form."""
    assert isinstance(error, HTTPException)
    vi, en = _WORDS.get(error.status_code, ("Không xử lý được yêu cầu", "the request cannot be handled"))
    said = {"code": str(error.status_code), "message": vi, "message_en": en}
    return JSONResponse(said, status_code=error.status_code, headers=error.headers)


class _Quiet(uvicorn.Server):
    """Leaves signals to the service."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """None are captured."""
        yield


def probes(ready: Callable[[], bool], in_force: Callable[[], Mapping[str, str]]) -> list[BaseRoute]:
    """``/healthz/live``, ``/healthz/ready`` and ``/healthz`` (both, and the rules and registry in force)."""

    async def live(_: Request) -> Response:
        return JSONResponse({"live": True})

    async def is_ready(_: Request) -> Response:
        return JSONResponse({"ready": ready()}, status_code=200 if ready() else 503)

    async def health(_: Request) -> Response:
        told = {"live": True, "ready": ready(), **in_force()}
        return JSONResponse(told, status_code=200 if ready() else 503)

    return [
        Route("/healthz", health),
        Route("/healthz/live", live),
        Route("/healthz/ready", is_ready),
    ]


def exposition(metrics: Callable[[], Awaitable[bytes]]) -> BaseRoute:
    """``/metrics``."""

    async def exposed(_: Request) -> Response:
        return PlainTextResponse(await metrics(), media_type="text/plain; version=0.0.4; charset=utf-8")

    return Route("/metrics", exposed)
