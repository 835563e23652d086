"""The connector of an electronic one-stop: REST out with an OAuth2 token, one webhook in."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any, ClassVar, Final, Literal

from pydantic import BaseModel, ConfigDict

from connectors.one_stop import mapping
from connectors.one_stop.inbound import receiver
from router.sdk import (
    BadRequest,
    Connector,
    ConnectorConfig,
    Context,
    Credential,
    Event,
    Manifest,
    Receipt,
    Route,
    Secret,
    Transient,
    Unauthorised,
    Uncertain,
)
from router.sdk.auth import Token
from router.sdk.dates import local_date
from router.sdk.fields import Field
from router.sdk.http import Answer, Http, HttpConfig, classify, receipt_of
from router.sdk.records import (
    Document,
    DocumentStatus,
    Dossier,
    LandFile,
    Overdue,
    Payment,
    ProcedureSignal,
    Record,
    TaxNotice,
)
from router.sdk.records import Receipt as RejectionRecord
from router.sdk.webhooks import refuse

#: Path, record and field table by operation; documents and their statuses share an operation.
ENDPOINTS: Final[Mapping[str, tuple[str, type[Record], Sequence[Field]]]] = {
    "dossier.submitted": ("/api/ho-so", Dossier, mapping.DOSSIER),
    "tax.notice_issued": ("/api/thong-bao-thue", TaxNotice, mapping.NOTICE),
    "payment.evidenced": ("/api/thanh-toan", Payment, mapping.PAID),
    "payment.confirmed": ("/api/thanh-toan", Payment, mapping.PAID),
    "document.sent": ("/api/van-ban", Document, mapping.DOCUMENT),
    "document.status_changed": ("/api/van-ban/trang-thai", DocumentStatus, mapping.DOCUMENT_STATE),
    "delivery.rejected": ("/api/phan-hoi", RejectionRecord, mapping.REPLY),
    "dossier.overdue_detected": ("/api/nhac-viec", Overdue, mapping.OVERDUE),
    "payment.refund_requested": ("/api/nhac-viec", Payment, mapping.REFUND),
    "procedure.compensation_requested": ("/api/nhac-viec", ProcedureSignal, mapping.COMPENSATION),
}
LAND_ENDPOINT: Final = ("/api/lien-thong-dat-dai", LandFile, mapping.LAND)
EARLY: Final = 30.0  # a token is renewed this many seconds before it ends


class Unit(BaseModel):
    """A unit that receives dossiers, from ``valid_from`` to the day before ``valid_to``.

    Three levels received until 1 July 2025; then districts were abolished (Resolution 202/2025/QH15).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    code: str
    level: Literal["province", "district", "commune"]
    valid_from: date = date.min
    valid_to: date = date.max


class OneStopConfig(ConnectorConfig):
    """Where the one-stop is, how we log in there, how it logs in here, and its receiving units (none: any)."""

    http: HttpConfig
    client_id: str
    client_secret: Credential
    webhook_token: Secret
    units: tuple[Unit, ...] = ()


class OneStop(Connector[OneStopConfig]):
    """One electronic one-stop, with all levels of reception behind it."""

    manifest = Manifest.load(__package__ or "connectors.one_stop")
    config_model: ClassVar[type[ConnectorConfig]] = OneStopConfig

    def __init__(self, config: OneStopConfig, context: Context) -> None:
        super().__init__(config, context)
        self._http = Http(config.http)
        self._token, self._token_until = "", 0.0
        self._logging_in = asyncio.Lock()

    async def open(self) -> None:
        """Make the session; the token is fetched with the first call."""
        await self._http.open()

    async def close(self) -> None:
        """Close the session."""
        await self._http.close()

    async def probe(self) -> bool:
        """Whether it answers."""
        return (await self._http.request("GET", "/api/suc-khoe", timeout=5.0)).status == 200

    async def deliver(self, event: Event) -> Receipt:
        """Hand an event over; a token that ended early is renewed once."""
        path, record, table = ENDPOINTS.get(event.type, LAND_ENDPOINT)
        said = mapping.message(self._handed_on(event, event.read(record)), table)
        body = {"MaSuKien": event.id, "LoaiSuKien": event.type, **said}
        token = await self._bearer()
        answer = await self._post(path, body, event, token)
        if answer.status == 401:
            if self._token == token:  # another call may have renewed it meanwhile
                self._token = ""
            answer = await self._post(path, body, event, await self._bearer())
        return self._receipt(event, answer)

    def routes(self) -> Sequence[Route]:
        """One webhook for everything the one-stop says."""
        token = Token(self.config.webhook_token)
        handle = receiver(self.check_unit)
        return [Route("POST", "/su-kien", token, handle, refuse, self.manifest.inbound.max_bytes)]

    def check_unit(self, code: str, at: datetime) -> None:
        """Raises ``BadRequest`` for a unit that does not receive dossiers on that day."""
        if not self.config.units:
            return
        day = local_date(at)
        if not any(unit.code == code and unit.valid_from <= day < unit.valid_to for unit in self.config.units):
            raise BadRequest(
                f"Đơn vị {code} không tiếp nhận hồ sơ vào ngày này", f"unit {code} receives nothing that day"
            )

    def _handed_on(self, event: Event, record: Record) -> Record:
        """A document leaves with our name in its trace header. Its time is the event's: a repetition says the same."""
        organ = self.context.organ
        return record.through(organ, event.time) if organ and isinstance(record, Document) else record

    async def _post(self, path: str, body: Mapping[str, Any], event: Event, token: str) -> Answer:
        headers = {"Authorization": f"Bearer {token}", "X-Event-Id": event.id}
        return await self._http.request("POST", path, json_body=body, headers=headers, timeout=60.0)

    async def _bearer(self) -> str:
        """The token; one login at a time. While there is none the event has not left: nothing is uncertain."""
        async with self._logging_in:
            if not self._token or self.context.clock.monotonic() >= self._token_until:
                try:
                    await self._login()
                except Uncertain as error:
                    raise Transient("login_failed", error.reason, code=error.code) from None
            return self._token

    async def _login(self) -> None:
        form = {
            "grant_type": "client_credentials",
            "client_id": self.config.client_id,
            "client_secret": self.config.client_secret.get_secret_value(),
        }
        answer = await self._http.request("POST", "/token", form=form, timeout=30.0)
        if answer.status in (400, 401, 403):
            raise Unauthorised("login_refused", "the one-stop refuses our credentials", code=str(answer.status))
        failure = classify(
            self.manifest, "login", status=answer.status, retry_after=answer.headers.get("retry-after", "")
        )
        if isinstance(failure, Exception):
            raise failure
        granted = answer.object()
        try:
            self._token, seconds = str(granted["access_token"]), float(granted.get("expires_in", 2 * EARLY))
        except (KeyError, TypeError, ValueError):
            raise Transient("login_failed", "the one-stop gives no token") from None
        self._token_until = self.context.clock.monotonic() + seconds - EARLY

    def _receipt(self, event: Event, answer: Answer) -> Receipt:
        operation = self.manifest.operation_for(event.type)
        said = answer.object() if answer.status < 300 else {}
        code, message = str(said.get("code", "")), str(said.get("message", ""))
        if answer.status < 300 and not code:
            raise Uncertain("unreadable_answer", "an answer without a code")
        name = operation.name if operation else ""
        reference = str(said.get("reference", ""))
        return receipt_of(self.manifest, name, answer, code=code, message=message, reference=reference)
