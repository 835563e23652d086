"""The connector of a land registration office: VBDLIS and ILIS speak the same messages, and log in differently."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Final, Literal, NamedTuple

from pydantic import SecretStr

from connectors.land_registry import mapping
from connectors.land_registry.inbound import HOOKS, handler, refuse
from router.sdk import (
    Checked,
    Connector,
    ConnectorConfig,
    Context,
    Event,
    Manifest,
    Outcome,
    Receipt,
    Route,
    Transient,
    Unauthorised,
)
from router.sdk.auth import Signature
from router.sdk.fields import Field, write
from router.sdk.http import Answer, Http, HttpConfig, classify
from router.sdk.records import LandFile, ObligationCompletion, ObligationReturn, Payment, Record, TaxNotice
from router.sdk.records import Receipt as RejectionRecord


class Endpoint(NamedTuple):
    """Record and field table of an outbound operation; the operation's name is its path."""

    record: type[Record]
    table: Sequence[Field]


ENDPOINTS: Final[Mapping[str, Endpoint]] = {
    "tiepnhan": Endpoint(LandFile, mapping.LAND),
    "capnhattrangthaibosunghoso": Endpoint(LandFile, mapping.LAND),
    "capnhattrangthaitraketquahoso": Endpoint(LandFile, mapping.LAND),
    "phanhoihososaiketqua": Endpoint(LandFile, mapping.LAND),
    "thuechuyentrahoso": Endpoint(ObligationReturn, mapping.RETURNED),
    "ketquathue": Endpoint(TaxNotice, mapping.NOTICE),
    "chungtuthue": Endpoint(Payment, mapping.PAYMENT),
    "hoanthanhnghiavu": Endpoint(ObligationCompletion, mapping.COMPLETION),
    "phanhoi": Endpoint(RejectionRecord, mapping.REJECTION),
}


class LandRegistryConfig(ConnectorConfig):
    """``dialect`` says how to log in: VBDLIS by an API key, ILIS by OAuth2 password grant. ``agency`` is its code."""

    http: HttpConfig
    dialect: Literal["vbdlis", "ilis"] = "vbdlis"
    api_key: SecretStr = SecretStr("")
    user: str = ""
    password: SecretStr = SecretStr("")
    webhook_secret: SecretStr
    agency: str


class LandRegistry(Connector[LandRegistryConfig]):
    """One land registration office."""

    manifest = Manifest.load(__package__ or "connectors.land_registry")
    config_model: ClassVar[type[ConnectorConfig]] = LandRegistryConfig

    def __init__(self, config: LandRegistryConfig, context: Context) -> None:
        super().__init__(config, context)
        self._http = Http(config.http)
        self._token, self._token_until = "", 0.0
        self._logging_in = asyncio.Lock()

    async def open(self) -> None:
        """Make the session."""
        await self._http.open()

    async def close(self) -> None:
        """Close the session."""
        await self._http.close()

    async def probe(self) -> bool:
        """Whether it answers."""
        return (await self._http.request("GET", "/api/danhmuc/trangthai", timeout=5.0)).status == 200

    async def deliver(self, event: Event) -> Receipt:
        """Hand an event over under the event's id."""
        operation = self.manifest.operation_for(event.type)
        name = operation.name if operation else ""
        endpoint = ENDPOINTS[name]
        body = {"MaSuKien": event.id, **write(event.read(endpoint.record), endpoint.table)}
        body.setdefault("SoBienNhan", event.subject)
        headers = {"X-Event-Id": event.id, **await self._login()}
        answer = await self._http.request("POST", f"/api/hoso/{name}", json_body=body, headers=headers, timeout=60.0)
        return self._receipt(name, answer)

    async def check(self, event: Event) -> Checked:
        """Ask whether a message with this event's id arrived."""
        answer = await self._http.request(
            "GET", "/api/hoso/trangthaibantin", query={"MaSuKien": event.id}, headers=await self._login(), timeout=30.0
        )
        if answer.status >= 300:
            return Checked.UNKNOWN
        return Checked.DONE if answer.json().get("data") else Checked.NOT_DONE

    def routes(self) -> Sequence[Route]:
        """The webhooks of L2, L3, L5, L12 and L15; signed in a header, with no secret in the path."""
        signature = Signature(self.config.webhook_secret, self.context.clock)
        most = self.manifest.inbound.max_bytes
        return [Route("POST", hook.path, signature, handler(hook, self.config.agency), refuse, most) for hook in HOOKS]

    async def _login(self) -> Mapping[str, str]:
        if self.config.dialect == "vbdlis":
            return {"X-Api-Key": self.config.api_key.get_secret_value()}
        async with self._logging_in:
            if not self._token or self.context.clock.monotonic() >= self._token_until:
                await self._grant()
            return {"Authorization": f"Bearer {self._token}"}

    async def _grant(self) -> None:
        form = {
            "grant_type": "password",
            "username": self.config.user,
            "password": self.config.password.get_secret_value(),
        }
        answer = await self._http.request("POST", "/token", form=form, timeout=30.0)
        if answer.status in (400, 401, 403):
            raise Unauthorised("login_refused", "ILIS refuses our credentials", code=str(answer.status))
        if answer.status >= 300:
            raise Transient("login_failed", code=str(answer.status))
        granted = answer.json()
        self._token = str(granted["access_token"])
        self._token_until = self.context.clock.monotonic() + float(granted["expires_in"]) - 30.0

    def _receipt(self, operation: str, answer: Answer) -> Receipt:
        code, message, reference = _said(answer) if answer.status < 300 else ("", "", "")
        verdict = classify(
            self.manifest,
            operation,
            status=answer.status,
            code=code,
            message=message,
            retry_after=answer.headers.get("retry-after", ""),
        )
        if isinstance(verdict, Exception):
            raise verdict
        return Receipt(code, message, reference, duplicate=verdict is Outcome.DUPLICATE)


def _said(answer: Answer) -> tuple[str, str, str]:
    """Code, message and reference of ``{data, status{success, code, type, time, message}}``: 0 is success."""
    body: Any = answer.json()
    status = body.get("status") if isinstance(body, Mapping) else None
    if not isinstance(status, Mapping):
        return "missing_status", "the answer has no status", ""
    code = "0" if status.get("success") is True else str(status.get("code") or "1")
    data = body.get("data")
    reference = str(data.get("MaHoSoVBDLIS", "")) if isinstance(data, Mapping) else ""
    return code, str(status.get("message") or ""), reference
