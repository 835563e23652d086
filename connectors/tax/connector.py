"""The connector of a tax office: PCTT as XML out; notice files, returns and completions in."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from connectors.tax.inbound import completed_obligation, notice_file, refuse, returned_request
from connectors.tax.mapping import REJECTION
from connectors.tax.xml import obligation_xml
from router.sdk import (
    Checked,
    Connector,
    ConnectorConfig,
    Context,
    Credential,
    Event,
    Invalid,
    Manifest,
    Receipt,
    Route,
    Secret,
    Uncertain,
)
from router.sdk.auth import Token
from router.sdk.fields import write
from router.sdk.http import Answer, Http, HttpConfig, receipt_of
from router.sdk.records import ObligationRequest
from router.sdk.records import Receipt as RejectionRecord


class TaxConfig(ConnectorConfig):
    """``system_id`` and ``system_key`` name us to the tax gateway; its events are addressed to ``agency``."""

    http: HttpConfig
    system_id: str
    system_key: Credential
    webhook_token: Secret
    agency: str


class Tax(Connector[TaxConfig]):
    """One tax office behind the tax gateway."""

    manifest = Manifest.load(__package__ or "connectors.tax")
    config_model: ClassVar[type[ConnectorConfig]] = TaxConfig

    def __init__(self, config: TaxConfig, context: Context) -> None:
        super().__init__(config, context)
        self._http = Http(config.http)

    async def open(self) -> None:
        """Make the session."""
        await self._http.open()

    async def close(self) -> None:
        """Close the session."""
        await self._http.close()

    async def probe(self) -> bool:
        """Whether the gateway answers."""
        return (await self._http.request("GET", "/tax/health", timeout=5.0)).status == 200

    async def deliver(self, event: Event) -> Receipt:
        """Hand over a PCTT, or a reply to one of its own messages."""
        if event.type == "tax.obligation_requested":
            request = event.read(ObligationRequest)
            content = b64encode(obligation_xml(request, event.id)).decode()
            body = {"SoPhieu": request.number, "LanLap": request.generation, "NoiDung": content}
            return self._receipt("pctt", await self._post("/tax/pctt", event, body))
        if event.type == "delivery.rejected":
            said = write(event.read(RejectionRecord), REJECTION)
            return self._receipt("phanhoi", await self._post("/tax/phan-hoi", event, said))
        raise Invalid("not_served", f"a tax office takes no {event.type}")

    async def check(self, event: Event) -> Checked:
        """Ask whether a message with this event's id arrived."""
        answer = await self._http.request(
            "GET", "/tax/tra-cuu", query={"MaSuKien": event.id}, headers=self._login(), timeout=30.0
        )
        arrived = answer.object().get("DaNhan") if answer.status < 300 else None
        if not isinstance(arrived, bool):
            return Checked.UNKNOWN
        return Checked.DONE if arrived else Checked.NOT_DONE

    def routes(self) -> Sequence[Route]:
        """Notice files, returned requests, completions."""
        token, most, agency = Token(self.config.webhook_token), self.manifest.inbound.max_bytes, self.config.agency
        return [
            Route("POST", "/thong-bao", token, notice_file(agency, self.context), refuse, most),
            Route("POST", "/tra-phieu", token, returned_request(agency), refuse, most),
            Route("POST", "/hoan-thanh", token, completed_obligation(agency), refuse, most),
        ]

    async def _post(self, path: str, event: Event, said: Mapping[str, Any]) -> Answer:
        headers = {"X-Event-Id": event.id, **self._login()}
        body = {"MaSuKien": event.id, **said}
        return await self._http.request("POST", path, json_body=body, headers=headers, timeout=60.0)

    def _login(self) -> dict[str, str]:
        return {"X-SystemId": self.config.system_id, "X-SecretKey": self.config.system_key.get_secret_value()}

    def _receipt(self, operation: str, answer: Answer) -> Receipt:
        said = answer.object() if answer.status < 300 else {}
        code, message = str(said.get("MaKetQua") or ""), str(said.get("MoTa") or "")
        if answer.status < 300 and not code:
            raise Uncertain("unreadable_answer", "an answer without MaKetQua")
        reference = str(said.get("MaTiepNhan") or "")
        return receipt_of(self.manifest, operation, answer, code=code, message=message, reference=reference)
