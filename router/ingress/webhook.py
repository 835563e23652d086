"""Webhooks: the routes of all connectors below ``/in/<recipient>``. Success is answered only after the receipt."""

from __future__ import annotations

import asyncio
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import structlog
from starlette.requests import ClientDisconnect
from starlette.requests import Request as HttpRequest
from starlette.responses import Response
from starlette.routing import BaseRoute
from starlette.routing import Route as HttpRoute

from router.errors import BadRequest, IngressError, NotReceived, TooLarge, TooMany, Unsupported
from router.ingress.intake import Receive
from router.ingress.limits import Limits
from router.sdk.connector import Connector
from router.sdk.inbound import Received, Refusal, Reply, Request, Route
from router.sdk.manifest import Manifest

BODY_PATIENCE: Final = 30.0  # seconds for a whole body: a slow sender must not keep a place for ever
RETRY_AFTER: Final = 5  # seconds, where nothing better is known
_TRACEPARENT: Final = re.compile(r"00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")

_log = structlog.get_logger(__name__)


def webhook_routes(
    connectors: Mapping[str, Connector[Any]],
    receive: Receive,
    limits: Limits,
    now: Callable[[], datetime],
    *,
    body_patience: float = BODY_PATIENCE,
) -> list[BaseRoute]:
    """The HTTP routes of all connectors."""
    return [
        HttpRoute(
            f"/in/{recipient}{route.path}",
            Webhook(recipient, connector.manifest, route, receive, limits, now, body_patience).answer,
            methods=[route.method],
        )
        for recipient, connector in connectors.items()
        for route in connector.routes()
    ]


@dataclass(frozen=True, slots=True)
class Webhook:
    """One route of one recipient."""

    recipient: str
    manifest: Manifest
    route: Route
    receive: Receive
    limits: Limits
    now: Callable[[], datetime]
    body_patience: float

    async def answer(self, http: HttpRequest) -> Response:
        """Answer a request: the connector's own answer once everything is received, else the reason in its form."""
        try:
            with self.limits.admit(self.recipient):
                received = await self._understood(http)
                if received.emissions or received.unreadable:
                    await self.receive(
                        self.recipient,
                        self.manifest,
                        received.emissions,
                        unreadable=received.unreadable,
                        traceparent=_traceparent(http),
                    )
                return _response(received.reply)
        except IngressError as error:
            return self._refused(error)
        except ClientDisconnect:
            return Response(status_code=400)  # nobody reads it; nothing was received
        except Exception as error:
            self._tell(500, type(error).__name__)  # its text may hold the partner's data
            return _response(
                self.route.refuse(Refusal(500, "Lỗi xử lý, chưa nhận", "not received: a processing error"))
            )

    async def _understood(self, http: HttpRequest) -> Received:
        """Read the body within its bounds, authenticate (a signature covers the body), then handle."""
        if http.headers.get("content-encoding", "identity").lower() != "identity":
            raise Unsupported("Không nhận nội dung nén", "a compressed body is not taken")
        request = Request(
            method=http.method,
            path=http.url.path,
            query=dict(http.query_params),
            headers=dict(http.headers.items()),
            body=await self._body(http),
            received=self.now(),
        )
        self.route.authenticate(request)
        return await self.route.handle(request)

    async def _body(self, http: HttpRequest) -> bytes:
        """The body, read no further than the bound, whether its length was declared or not."""
        most = self.route.max_bytes
        too_large = TooLarge(f"Nội dung vượt quá {most} byte", f"the body is above {most} bytes")
        declared = http.headers.get("content-length", "")
        if declared.isdigit() and int(declared) > most:
            raise too_large
        body = bytearray()
        try:
            async with asyncio.timeout(self.body_patience):
                async for part in http.stream():
                    body += part
                    if len(body) > most:
                        raise too_large
        except TimeoutError:
            raise BadRequest("Nội dung gửi quá chậm", "the body did not arrive in time") from None
        return bytes(body)

    def _refused(self, error: IngressError) -> Response:
        self._tell(error.status, type(error).__name__)
        headers: dict[str, str] = {}
        if isinstance(error, TooMany):
            headers["Retry-After"] = str(math.ceil(error.retry_after))
        elif isinstance(error, NotReceived):
            headers["Retry-After"] = str(RETRY_AFTER)
        return _response(self.route.refuse(Refusal(error.status, error.vi, error.en)), headers)

    def _tell(self, status: int, kind: str) -> None:
        _log.warning("inbound_refused", recipient=self.recipient, route=self.route.path, status=status, kind=kind)


def _traceparent(http: HttpRequest) -> str:
    """The caller's trace, if it is well formed."""
    given = http.headers.get("traceparent", "")
    return given if _TRACEPARENT.fullmatch(given) else ""


def _response(reply: Reply, headers: Mapping[str, str] | None = None) -> Response:
    response = Response(reply.body, reply.status, dict(headers or {}))
    response.headers["content-type"] = reply.content_type
    return response
