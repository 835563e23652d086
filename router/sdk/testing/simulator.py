"""A simulated partner: an HTTP server on loopback with the partner's endpoints, its quirks, and its own outbox.

It records what took effect, in order, so that a checker can compare it with what was sent; and it pushes its own
messages to the router until they are received, in order per dossier, as a real partner's outbox does.
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Final

import aiohttp
from aiohttp import web

from router.ports import Clock
from router.sdk.testing.quirks import Quirk, Quirks, windows_1258

PUSH_PAUSE: Final = 0.2
PUSH_TRIES: Final = 200
REMEMBERED: Final = 1000  # requests kept for a test to look at


@dataclass(frozen=True, slots=True)
class Effect:
    """Something that took effect at the partner: ``identity`` is the business identity by which it must happen once.

    ``repeated`` marks a request that was recognised and had no second effect; ``event_id`` is the one it came under.
    """

    code: str
    operation: str
    identity: str
    event_id: str
    repeated: bool = False


@dataclass(frozen=True, slots=True)
class Sent:
    """A message to the router: ``identity`` is the one its effect will have at each of ``to`` (kinds of recipients)."""

    code: str
    identity: str
    to: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Incoming:
    """A request to the partner."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes = field(repr=False)

    def json(self) -> Any:
        """The body as JSON; None if it is none."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None


@dataclass(frozen=True, slots=True)
class Outgoing:
    """What the answer is: status, body, headers."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


_EVENT_ID: ContextVar[str] = ContextVar("event_id", default="")

Handler = Callable[[Incoming], Awaitable[Outgoing]]


def answer_json(value: Any, status: int = 200) -> Outgoing:
    """A JSON answer in UTF-8."""
    body = json.dumps(value, ensure_ascii=False).encode()
    return Outgoing(status, body, {"Content-Type": "application/json; charset=utf-8"})


class Simulator:
    """Base of all simulated partners. Subclasses add routes in their constructor by ``route``."""

    def __init__(self, clock: Clock, quirks: Quirks | None = None) -> None:
        self.clock, self.quirks = clock, quirks or Quirks()
        self.effects: list[Effect] = []
        self.sent: list[Sent] = []
        self.inbound_url = ""  # the router's webhooks for this partner
        self.pushed = 0
        self.given_up: list[str] = []  # codes of messages that the router did not take, however often they were sent
        self.requests: deque[tuple[str, Incoming]] = deque(maxlen=REMEMBERED)  # operation and request, oldest first
        self.scripted: dict[str, Outgoing] = {}  # fixed answers by operation; their handlers are not asked
        self.requested = asyncio.Event()  # set by every request
        self._done: set[tuple[str, str]] = set()
        self._routes: list[tuple[str, str, str, Handler]] = []
        self._runner: web.AppRunner | None = None
        self._site: web.TCPSite | None = None
        self._session: aiohttp.ClientSession | None = None
        self._outboxes: dict[str, deque[Callable[[], Awaitable[bool]]]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self.url = ""

    def route(self, method: str, path: str, operation: str, handler: Handler) -> None:
        """Serve an endpoint; quirks are planned by operation."""
        self._routes.append((method, path, operation, handler))

    def operation_of(self, method: str, path: str) -> str:
        """The operation that an endpoint belongs to. Raises ``KeyError``."""
        for known_method, known_path, operation, _ in self._routes:
            if (known_method, known_path) == (method, path):
                return operation
        raise KeyError(f"{method} {path}")

    def effect(self, code: str, operation: str, identity: str) -> bool:
        """Record an effect; False if this identity took effect for this code before (a repetition)."""
        known = (code, identity) in self._done
        self._done.add((code, identity))
        self.effects.append(Effect(code, operation, identity, _EVENT_ID.get(), repeated=known))
        return not known

    async def start(self) -> str:
        """Serve on a free loopback port; the base URL."""
        app = web.Application(client_max_size=64 * 1_048_576)
        for method, path, operation, handler in self._routes:
            app.router.add_route(method, path, self._served(operation, handler))
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        self._site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await self._site.start()
        address = self._runner.addresses[0]
        self.url = f"http://127.0.0.1:{address[1]}"
        self._session = aiohttp.ClientSession()
        return self.url

    async def down(self) -> None:
        """The machine is gone: connections are refused, those that are open are cut."""
        assert self._runner is not None
        if self._site is not None:
            await self._site.stop()
            self._site = None
        if self._runner.server is not None:
            self._runner.server.pre_shutdown()
            await self._runner.server.shutdown(0.01)  # 0 would mean no limit

    async def up(self) -> None:
        """The machine is back, at the same address."""
        assert self._runner is not None
        self._site = web.TCPSite(self._runner, "127.0.0.1", int(self.url.rpartition(":")[2]))
        await self._site.start()

    async def stop(self) -> None:
        """End the server and what is still being pushed."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._session is not None:
            await self._session.close()
        if self._runner is not None:
            await self._runner.cleanup()

    def push(self, sent: Sent, path: str, value: Any) -> None:
        """Queue a message to the router behind earlier ones of the same dossier."""
        self.sent.append(sent)
        content = json.dumps(value, ensure_ascii=False).encode()
        self.later(sent.code, lambda: self._post(self.inbound_url + path, content))

    def credentials(self, content: bytes) -> Mapping[str, str]:
        """Headers by which the router knows this partner; made for each try, since a signature has its time."""
        return {}

    def later(self, code: str, action: Callable[[], Awaitable[bool]]) -> None:
        """Queue an action behind earlier ones of the same dossier; it is tried again until it says True."""
        waiting = self._outboxes.setdefault(code, deque())
        waiting.append(action)
        if len(waiting) == 1:
            task = asyncio.create_task(self._drain(code, waiting))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def idle(self) -> bool:
        """Whether nothing is left to be pushed."""
        return not self._outboxes

    async def _drain(self, code: str, waiting: deque[Callable[[], Awaitable[bool]]]) -> None:
        while waiting:
            for _ in range(PUSH_TRIES):
                if await waiting[0]():
                    break
                await self.clock.sleep(PUSH_PAUSE)
            else:
                self.given_up.append(code)
            waiting.popleft()
        del self._outboxes[code]

    async def _post(self, url: str, content: bytes) -> bool:
        assert self._session is not None
        headers = {"Content-Type": "application/json; charset=utf-8", **self.credentials(content)}
        try:
            async with self._session.post(url, data=content, headers=headers) as response:
                await response.read()
                received = response.status < 300
        except (aiohttp.ClientError, OSError):
            return False
        self.pushed += received
        return received

    def _served(self, operation: str, handler: Handler) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def serve(request: web.Request) -> web.StreamResponse:
            quirk = self.quirks.take(operation)
            incoming = Incoming(
                request.method,
                request.path,
                dict(request.query),
                {name.lower(): value for name, value in request.headers.items()},
                await request.read(),
            )
            _EVENT_ID.set(incoming.headers.get("x-event-id", ""))
            self.requests.append((operation, incoming))
            self.requested.set()
            before = await self._before(quirk, operation)
            if before is not None:
                return before
            made = self.scripted.get(operation) or await handler(incoming)
            if quirk is Quirk.DUPLICATE_ACK and made.status < 300:
                made = self.quirk_answer(quirk, operation)
            return await self._after(quirk, made, request)

        return serve

    async def _before(self, quirk: Quirk | None, operation: str) -> web.Response | None:
        """The answer of quirks that do no work."""
        if quirk is Quirk.SLOW:
            await self.clock.sleep(self.quirks.delay)
        if quirk is Quirk.BUSY:
            return web.Response(status=503)
        if quirk is Quirk.BUSY_WITH_TIME:
            return web.Response(status=503, headers={"Retry-After": "1"})
        if quirk is Quirk.OK_WITH_ERROR:
            return _response(self.quirk_answer(quirk, operation))
        return None

    def quirk_answer(self, quirk: Quirk, operation: str) -> Outgoing:
        """The partner's own words for an error under HTTP 200, or for *exists already*; subclasses say them."""
        return answer_json({})

    async def _after(self, quirk: Quirk | None, made: Outgoing, request: web.Request) -> web.StreamResponse:
        """The answer after the work was done."""
        if quirk is Quirk.FAIL_AFTER_WORK:
            return web.Response(status=500, text="Internal Server Error")
        if quirk is Quirk.WRONG_CHARSET:
            body = windows_1258(made.body.decode())
            return web.Response(status=made.status, body=body, headers=dict(made.headers))
        if quirk is Quirk.UNREADABLE:
            return web.Response(text="<html><body>Gateway</body></html>", content_type="text/html")
        if quirk is Quirk.RESET:
            cut = web.StreamResponse(status=200, headers={"Content-Length": str(len(made.body) + 100)})
            await cut.prepare(request)
            await cut.write(made.body[: len(made.body) // 2])
            _cut(request)
            return cut
        return _response(made)


def _cut(request: web.Request) -> web.Response:
    if request.transport is not None:
        request.transport.abort()
    return web.Response(status=503)


def _response(made: Outgoing) -> web.Response:
    return web.Response(status=made.status, body=made.body, headers=dict(made.headers))
