"""Webhooks: the routes of all connectors below ``/in/<recipient>``. Success is answered only after the receipt."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from starlette.requests import ClientDisconnect
from starlette.requests import Request as HttpRequest
from starlette.responses import Response
from starlette.routing import BaseRoute
from starlette.routing import Route as HttpRoute

from router.errors import CodecError, IngressError, NotReceived, TooLarge
from router.ingress.limits import Limits
from router.sdk.connector import Connector
from router.sdk.inbound import Emission, Received, Refusal, Reply, Request, Route
from router.sdk.manifest import Manifest

Receive = Callable[[str, Manifest, Sequence[Emission]], Awaitable[None]]

_BUSY = NotReceived("Hệ thống đang bận, vui lòng gửi lại sau", "the router is busy; please send it again later")


def webhook_routes(
    connectors: Mapping[str, Connector[Any]], receive: Receive, limits: Limits, now: Callable[[], datetime]
) -> list[BaseRoute]:
    """The HTTP routes of all connectors."""
    return [
        HttpRoute(
            f"/in/{recipient}{route.path}",
            _endpoint(recipient, connector.manifest, route, receive, limits, now),
            methods=[route.method],
        )
        for recipient, connector in connectors.items()
        for route in connector.routes()
    ]


def _endpoint(
    recipient: str, manifest: Manifest, route: Route, receive: Receive, limits: Limits, now: Callable[[], datetime]
) -> Callable[[HttpRequest], Awaitable[Response]]:
    async def endpoint(http: HttpRequest) -> Response:
        if wait := limits.retry_after(recipient):
            refusal = Refusal(429, "Gửi quá nhanh, vui lòng chờ", "too many requests; please wait")
            return _response(route.refuse(refusal), {"Retry-After": str(max(1, round(wait)))})
        with limits.slot() as free:
            try:
                if not free:
                    raise _BUSY
                received = await _handle(http, route, now)
                await receive(recipient, manifest, received.emissions)
                return _response(received.reply)
            except IngressError as error:
                again = {"Retry-After": "5"} if isinstance(error, NotReceived) else {}
                return _response(route.refuse(Refusal(error.status, error.vi, error.en)), again)
            except CodecError as error:
                refusal = Refusal(400, "Dữ liệu không đúng định dạng", f"the record breaks its contract: {error}")
                return _response(route.refuse(refusal))
            except ClientDisconnect:
                return Response(status_code=499)

    return endpoint


async def _handle(http: HttpRequest, route: Route, now: Callable[[], datetime]) -> Received:
    """Read the body within the bound, authenticate (a signature covers the body), then handle."""
    body = await _body(http, route.max_bytes)
    request = Request(
        method=http.method,
        path=http.url.path,
        query=dict(http.query_params),
        headers={name.lower(): value for name, value in http.headers.items()},
        body=body,
        received=now(),
    )
    route.authenticate(request)
    return await route.handle(request)


async def _body(http: HttpRequest, most: int) -> bytes:
    """The body, read no further than the bound; chunked ones too."""
    too_large = TooLarge(f"Nội dung vượt quá {most} byte", f"the body is above {most} bytes")
    declared = http.headers.get("content-length", "")
    if declared.isdigit() and int(declared) > most:
        raise too_large
    parts: list[bytes] = []
    length = 0
    async for part in http.stream():
        length += len(part)
        if length > most:
            raise too_large
        parts.append(part)
    return b"".join(parts)


def _response(reply: Reply, headers: Mapping[str, str] | None = None) -> Response:
    return Response(reply.body, reply.status, dict(headers or {}), reply.content_type)
