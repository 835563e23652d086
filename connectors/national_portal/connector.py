"""The connector of the national public service portal: session RPC out, two webhooks in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

from pydantic import SecretStr

from connectors.national_portal import mapping
from connectors.national_portal.inbound import payment, submission
from connectors.national_portal.session import SUCCESS, Session
from router.sdk import (
    Checked,
    Connector,
    ConnectorConfig,
    Context,
    Event,
    Manifest,
    Outcome,
    Receipt,
    Refusal,
    Reply,
    Route,
)
from router.sdk.auth import Token
from router.sdk.http import Answer, Http, HttpConfig, classify
from router.sdk.records import Dossier, ProgressLine, SupplementRound
from router.sdk.records import Receipt as RejectionRecord
from router.sdk.webhooks import reply

EXISTS = "đã tồn tại"


class NationalPortalConfig(ConnectorConfig):
    """``strategy``: look a dossier up and choose the flag, or insert first and update when it exists."""

    http: HttpConfig
    user: str
    password: SecretStr
    dstcode: str
    unit: str
    webhook_token: SecretStr
    strategy: Literal["lookup", "insert_first"] = "insert_first"


class NationalPortal(Connector[NationalPortalConfig]):
    """The national portal for one unit."""

    manifest = Manifest.load(__package__ or "connectors.national_portal")
    config_model: ClassVar[type[ConnectorConfig]] = NationalPortalConfig

    def __init__(self, config: NationalPortalConfig, context: Context) -> None:
        super().__init__(config, context)
        self._http = Http(config.http)
        self._session = Session(self._http, self.manifest, config.user, config.password, config.dstcode)

    async def open(self) -> None:
        """Make the HTTP session; the portal's own begins with the first call."""
        await self._http.open()

    async def close(self) -> None:
        """Close the session."""
        await self._http.close()

    async def probe(self) -> bool:
        """Whether the portal answers a catalogue question."""
        answer = await self._call("LayDanhSachTTHC", "False", [], "")
        return answer.status == 200 and str(answer.object().get("error_code")) in SUCCESS

    async def deliver(self, event: Event) -> Receipt:
        """Synchronise a dossier or a progress line."""
        if event.type == "dossier.progressed":
            lines = [mapping.progress_data(event.read(ProgressLine))]
            receipt = Receipt()
            for chunk in mapping.chunks(lines):
                answer = await self._call("CapNhatTienDoHoSoMC", "False", chunk, event.id)
                receipt = self._receipt("CapNhatTienDoHoSoMC", answer)
            return receipt
        if event.type == "delivery.rejected":
            refusal = event.read(RejectionRecord)
            data = {"MaHoSo": event.subject, "MaSuKien": refusal.event_id, "LyDo": refusal.reason}
            return self._receipt("PhanHoi", await self._call("PhanHoi", "False", [data], event.id))
        if event.type.startswith("dossier.supplement"):
            data = mapping.supplement_data(event.type, event.read(SupplementRound))
            return self._receipt("DongBoHoSoMC", await self._call("DongBoHoSoMC", "True", [data], event.id))
        return await self._synchronise(mapping.dossier_data(event.read(Dossier)), event.id)

    async def check(self, event: Event) -> Checked:
        """Whether the portal has the dossier in the status of this event."""
        answer = await self._call("TraCuuHoSo", "False", [{"MaHoSo": event.subject}], "")
        if answer.status >= 300 or str(answer.object().get("error_code")) not in SUCCESS:
            return Checked.UNKNOWN
        found = answer.object().get("result") or []
        status = str(event.data().get("raw_status", ""))
        known = any(isinstance(each, Mapping) and str(each.get("TrangThaiHoSo")) == status for each in found)
        return Checked.DONE if known else Checked.NOT_DONE

    async def catalogue(self) -> list[Mapping[str, Any]]:
        """The procedures the portal knows (``LayDanhSachTTHC``)."""
        answer = await self._call("LayDanhSachTTHC", "False", [], "")
        self._receipt("LayDanhSachTTHC", answer)
        return list(answer.object().get("result") or [])

    def routes(self) -> Sequence[Route]:
        """Submissions and evidence of payment."""
        token, most = Token(self.config.webhook_token), self.manifest.inbound.max_bytes
        return [
            Route("POST", "/nop-ho-so", token, submission, _refuse, most),
            Route("POST", "/chung-tu", token, payment, _refuse, most),
        ]

    async def _synchronise(self, data: Mapping[str, Any], event_id: str) -> Receipt:
        """Create or update: which of the two is the caller's duty, and said with a string."""
        if self.config.strategy == "lookup":
            answer = await self._call("TraCuuHoSo", "False", [{"MaHoSo": data["MaHoSo"]}], event_id)
            self._receipt("TraCuuHoSo", answer)
            updating = "True" if answer.object().get("result") else "False"
            return self._receipt("DongBoHoSoMC", await self._call("DongBoHoSoMC", updating, [data], event_id))
        answer = await self._call("DongBoHoSoMC", "False", [data], event_id)
        if answer.status == 200 and EXISTS in str(answer.object().get("message", "")).lower():
            answer = await self._call("DongBoHoSoMC", "True", [data], event_id)
        return self._receipt("DongBoHoSoMC", answer)

    async def _call(self, service: str, updating: str, data: Sequence[Mapping[str, Any]], event_id: str) -> Answer:
        """One RPC; a session that has ended is renewed once, in place."""
        for _ in range(2):
            session = await self._session.id()
            body = {
                "session": session,
                "madonvi": self.config.unit,
                "service": service,
                "isUpdating": updating,
                "data": list(data),
            }
            answer = await self._http.request(
                "POST", "/integration", json_body=body, headers={"X-Event-Id": event_id}, timeout=60.0
            )
            if answer.status != 200 or str(answer.object().get("error_code")) != "-1":
                return answer
            self._session.ended(session)
        return answer

    def _receipt(self, operation: str, answer: Answer) -> Receipt:
        said = answer.object() if answer.status < 300 else {}
        code = str(said.get("error_code", "missing")) if answer.status < 300 else ""
        message = str(said.get("message", ""))
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
        return Receipt(code, message, duplicate=verdict is Outcome.DUPLICATE)


def _refuse(refusal: Refusal) -> Reply:
    return reply({"error_code": str(refusal.status), "message": refusal.vi, "message_en": refusal.en}, refusal.status)
