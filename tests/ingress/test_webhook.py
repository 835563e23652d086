"""Webhooks over real HTTP: answered after the receipt, refused in the partner's form."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest
import structlog
import uvicorn
from starlette.applications import Starlette

from router.bus.memory import Fault
from router.errors import BadRequest, Unauthenticated
from router.events import CE_TRACEPARENT, text_header
from router.ingress.limits import Limits
from router.ingress.webhook import webhook_routes
from router.sdk.connector import Connector, ConnectorConfig, Context
from router.sdk.event import Event
from router.sdk.inbound import Received, Refusal, Reply, Request, Route
from router.sdk.outcomes import Receipt
from router.sdk.testing.clock import CountingIds
from tests.ingress.harness import MANIFEST, Rig, emission, ids, texts
from tests.ingress.test_intake import Planned

TOKEN = {"X-Token": "right"}
MOST = 10_000


class OneStop(Connector[ConnectorConfig]):
    """A partner that posts a list of statuses."""

    manifest = MANIFEST
    config_model = ConnectorConfig

    async def deliver(self, event: Event) -> Receipt:
        return Receipt()

    def routes(self) -> Sequence[Route]:
        return [Route("POST", "/statuses", self._authenticate, self._handle, self._refuse, MOST)]

    def _authenticate(self, request: Request) -> None:
        if request.headers.get("x-token") != "right":
            raise Unauthenticated("Sai mã truy cập", "wrong token")

    async def _handle(self, request: Request) -> Received:
        try:
            statuses = json.loads(request.body)
        except ValueError:
            raise BadRequest("Không phải JSON", "not JSON") from None
        if statuses == "defect":
            raise KeyError("079200001234")
        return Received([emission(text) for text in statuses], Reply(body=b'{"error_code": "0"}'))

    def _refuse(self, refusal: Refusal) -> Reply:
        body = {"error_code": str(refusal.status), "vi": refusal.vi, "en": refusal.en}
        return Reply(refusal.status, json.dumps(body).encode())


@dataclass
class Site:
    rig: Rig
    url: str
    port: int
    session: aiohttp.ClientSession

    async def post(self, data: Any, headers: dict[str, str] | None = None) -> tuple[int, dict[str, str], Any]:
        async with self.session.post(self.url, data=data, headers={**TOKEN, **(headers or {})}) as answer:
            return answer.status, dict(answer.headers), await answer.json()


@asynccontextmanager
async def serving(rig: Rig, *, rate: float = 0, in_flight: int = 64, patience: float = 30.0) -> AsyncIterator[Site]:
    connector = OneStop(ConnectorConfig(), Context("one-stop-h39", rig.clock, CountingIds(), objects=None))  # type: ignore[arg-type]
    limits = Limits(rig.clock, rate=rate, in_flight=in_flight)
    routes = webhook_routes(
        {"one-stop-h39": connector}, rig.intake.receive, limits, rig.clock.business, body_patience=patience
    )
    listening = socket.create_server(("127.0.0.1", 0))
    port = listening.getsockname()[1]
    server = uvicorn.Server(uvicorn.Config(Starlette(routes=routes), log_level="error", lifespan="off"))
    running = asyncio.create_task(server.serve([listening]))
    try:
        async with aiohttp.ClientSession() as session:
            yield Site(rig, f"http://127.0.0.1:{port}/in/one-stop-h39/statuses", port, session)
    finally:
        server.should_exit = True
        await running
        listening.close()


@pytest.fixture
async def site(rig: Rig) -> AsyncIterator[Site]:
    async with serving(rig) as served:
        yield served


async def test_a_partner_is_answered_in_its_own_form_after_the_receipt(site: Site) -> None:
    status, headers, body = await site.post('["4", "5"]')
    assert (status, body) == (200, {"error_code": "0"})
    assert headers["Content-Type"] == "application/json; charset=utf-8"
    assert texts(site.rig.log()) == ["4", "5"]


async def test_a_trace_goes_on_and_a_malformed_one_is_left_out(site: Site) -> None:
    trace = "00-" + "a" * 32 + "-" + "b" * 16 + "-01"
    await site.post('["4"]', {"traceparent": trace})
    await site.post('["5"]', {"traceparent": "00-079200001234"})
    assert [text_header(r.headers, CE_TRACEPARENT) for r in site.rig.log()] == [trace, ""]


async def test_what_could_not_be_made_durable_is_refused_and_may_come_again(site: Site) -> None:
    site.rig.bus.faults = Planned(Fault(durable=1, told=0))
    status, headers, body = await site.post('["4"]')
    assert status == 503
    assert int(headers["Retry-After"]) > 0
    assert body["vi"]
    assert body["en"]
    assert (await site.post('["4"]'))[0] == 200
    assert len(set(ids(site.rig.log()))) == 1


@pytest.mark.parametrize(
    ("data", "headers", "status"),
    [
        ("[", {}, 400),
        ('["4"]', {"X-Token": "wrong"}, 401),
        ("[" + " " * MOST + "]", {}, 413),
        ('["4"]', {"Content-Encoding": "gzip"}, 415),
    ],
)
async def test_requests_are_judged_at_the_door(site: Site, data: str, headers: dict[str, str], status: int) -> None:
    answered, _, body = await site.post(data, headers)
    assert answered == status
    assert body["vi"]
    assert body["en"]
    assert site.rig.log() == []


async def test_a_body_without_declared_length_is_read_no_further_than_the_bound(site: Site) -> None:
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while sent < 100 * 1_048_576:
            sent += 65_536
            yield b" " * 65_536

    try:
        status = (await site.post(endless()))[0]
    except aiohttp.ClientConnectionError:
        status = 413  # the answer came and the connection went while we were still sending
    assert status == 413
    assert sent < 50 * 1_048_576


async def test_a_declared_length_above_the_bound_is_refused_before_the_body_comes(site: Site) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", site.port)
    head = "POST /in/one-stop-h39/statuses HTTP/1.1\r\nHost: x\r\nX-Token: right\r\nContent-Length: 9999999\r\n\r\n"
    writer.write(head.encode())
    async with asyncio.timeout(5):
        line = await reader.readline()
    assert b" 413 " in line
    writer.close()
    await writer.wait_closed()


async def test_a_body_that_trickles_does_not_keep_its_place(rig: Rig) -> None:
    async with serving(rig, patience=0.05) as site:
        reader, writer = await asyncio.open_connection("127.0.0.1", site.port)
        head = "POST /in/one-stop-h39/statuses HTTP/1.1\r\nHost: x\r\nX-Token: right\r\nContent-Length: 50\r\n\r\n["
        writer.write(head.encode())
        async with asyncio.timeout(5):
            line = await reader.readline()
        assert b" 400 " in line
        writer.close()
        await writer.wait_closed()


async def test_a_partner_that_hangs_up_leaves_nothing_behind(rig: Rig) -> None:
    async with serving(rig, in_flight=1) as site:
        _, writer = await asyncio.open_connection("127.0.0.1", site.port)
        head = "POST /in/one-stop-h39/statuses HTTP/1.1\r\nHost: x\r\nContent-Length: 50\r\n\r\n["
        writer.write(head.encode())
        await writer.drain()
        writer.close()
        await writer.wait_closed()
        async with asyncio.timeout(5):
            while (await site.post('["4"]'))[0] != 200:
                await asyncio.sleep(0)
    assert texts(rig.log()) == ["4"]


async def test_a_source_over_its_rate_is_told_when_to_come_back(rig: Rig) -> None:
    async with serving(rig, rate=1.0) as site:
        assert (await site.post('["4"]'))[0] == 200
        status, headers, _ = await site.post('["5"]')
        assert (status, headers["Retry-After"]) == (429, "1")
    assert texts(rig.log()) == ["4"]


async def test_a_defect_shows_neither_a_trace_nor_the_partners_data(site: Site) -> None:
    with structlog.testing.capture_logs() as logs:
        status, _, body = await site.post('"defect"')
    assert status == 500
    assert "079200001234" not in json.dumps(body) + repr(logs)
    assert [entry["kind"] for entry in logs] == ["KeyError"]


async def test_an_unknown_path_is_not_found(site: Site) -> None:
    async with site.session.post(site.url + "/nothing") as answer:
        assert answer.status == 404


async def test_an_unauthenticated_request_is_not_handled(site: Site) -> None:
    assert (await site.post('"defect"', {"X-Token": "wrong"}))[0] == 401
