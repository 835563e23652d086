"""The connector of a land registration office: VBDLIS and ILIS speak the same messages, and log in differently."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Final, Literal, NamedTuple

from connectors.land_registry import mapping
from connectors.land_registry.files import with_contents
from connectors.land_registry.inbound import HOOKS, handler, refuse
from connectors.land_registry.login import Login, LoginConfig
from router.sdk import (
    Checked,
    Connector,
    ConnectorConfig,
    Context,
    Event,
    Invalid,
    Manifest,
    Receipt,
    Route,
    Secret,
    Uncertain,
)
from router.sdk.auth import Signature
from router.sdk.fields import Field
from router.sdk.http import Answer, Http, HttpConfig, receipt_of
from router.sdk.records import LandFile, ObligationCompletion, ObligationReturn, Payment, Record, TaxNotice
from router.sdk.records import Receipt as RejectionRecord

TAKEN, REFUSED = "0", "1"  # the two codes of VBDLIS; its text says why it refuses


class Endpoint(NamedTuple):
    """Record and field table of an outbound operation; the operation's name is its path."""

    record: type[Record]
    table: Sequence[Field]


ENDPOINTS: Final[Mapping[str, Endpoint]] = {
    "tiepnhan": Endpoint(LandFile, mapping.RECEPTION),
    "capnhattrangthaibosunghoso": Endpoint(LandFile, mapping.SUPPLEMENTED),
    "capnhattrangthaitraketquahoso": Endpoint(LandFile, mapping.RETURNED_RESULT),
    "phanhoihososaiketqua": Endpoint(LandFile, mapping.DISPUTED),
    "thuechuyentrahoso": Endpoint(ObligationReturn, mapping.RETURNED),
    "ketquathue": Endpoint(TaxNotice, mapping.NOTICE),
    "chungtuthue": Endpoint(Payment, mapping.PAYMENT),
    "hoanthanhnghiavu": Endpoint(ObligationCompletion, mapping.COMPLETION),
    "phanhoi": Endpoint(RejectionRecord, mapping.REJECTION),
}


class LandRegistryConfig(LoginConfig):
    """How to log in, and: ``agency`` is the office's code; ``files`` says how attachments go out, as base64 in the
    message or as their keys in the object store.
    """

    http: HttpConfig
    webhook_secret: Secret
    agency: str
    files: Literal["inline", "reference"] = "inline"


class LandRegistry(Connector[LandRegistryConfig]):
    """One land registration office."""

    manifest = Manifest.load(__package__ or "connectors.land_registry")
    config_model: ClassVar[type[ConnectorConfig]] = LandRegistryConfig

    def __init__(self, config: LandRegistryConfig, context: Context) -> None:
        super().__init__(config, context)
        self._http = Http(config.http)
        self._login = Login(config, self._http, context.clock)

    async def open(self) -> None:
        """Make the session."""
        await self._http.open()

    async def close(self) -> None:
        """Close the session."""
        await self._http.close()

    async def probe(self) -> bool:
        """Whether it answers."""
        headers = await self._login.headers()
        return (await self._http.request("GET", "/api/danhmuc/trangthai", headers=headers, timeout=5.0)).status == 200

    async def deliver(self, event: Event) -> Receipt:
        """Hand an event over under the event's id; a token that ended early is renewed once."""
        operation = self.manifest.operation_for(event.type)
        if operation is None:
            raise Invalid("not_served", f"a land office takes no {event.type}")
        endpoint = ENDPOINTS[operation.name]
        # What names only a notice (L11) goes out under the dossier's code, by which VBDLIS finds it.
        body = {
            "MaSuKien": event.id,
            "SoBienNhan": event.subject,
            **mapping.message(event.read(endpoint.record), endpoint.table),
        }
        if self.config.files == "inline":
            body = await with_contents(body, self.context)
        login = await self._login.headers()
        answer = await self._post(operation.name, body, event, login)
        if answer.status == 401 and self._login.forget(login):
            answer = await self._post(operation.name, body, event, await self._login.headers())
        return self._receipt(operation.name, answer)

    async def check(self, event: Event) -> Checked:
        """Ask whether a message with this event's id arrived."""
        answer = await self._http.request(
            "GET",
            "/api/hoso/trangthaibantin",
            query={"MaSuKien": event.id},
            headers=await self._login.headers(),
            timeout=30.0,
        )
        if answer.status >= 300 or _said(answer)[0] != "0":
            return Checked.UNKNOWN
        return Checked.DONE if answer.object().get("data") else Checked.NOT_DONE

    def routes(self) -> Sequence[Route]:
        """The webhooks of L2, L3, L5, L12 and L15; signed in a header, with no secret in the path."""
        signature = Signature(self.config.webhook_secret, self.context.clock)
        most, agency = self.manifest.inbound.max_bytes, self.config.agency
        return [
            Route("POST", hook.path, signature, handler(hook, agency, self.context), refuse, most) for hook in HOOKS
        ]

    async def _post(self, name: str, body: Mapping[str, Any], event: Event, login: Mapping[str, str]) -> Answer:
        headers = {"X-Event-Id": event.id, **login}
        return await self._http.request("POST", f"/api/hoso/{name}", json_body=body, headers=headers, timeout=60.0)

    def _receipt(self, operation: str, answer: Answer) -> Receipt:
        code, message, reference = _said(answer) if answer.status < 300 else ("", "", "")
        return receipt_of(self.manifest, operation, answer, code=code, message=message, reference=reference)


def _said(answer: Answer) -> tuple[str, str, str]:
    """Code, message and reference of ``{data, status{success, code, type, time, message}}``: 0 is success.

    ``success`` decides: VBDLIS also writes code 0 under a refusal. Raises ``Uncertain`` for an answer that does not say
    whether it was one.
    """
    body = answer.object()
    status, data = body.get("status"), body.get("data")
    if not isinstance(status, Mapping) or "success" not in status:
        raise Uncertain("unreadable_answer", "an answer without a status")
    refusal = str(status.get("code") or REFUSED)
    code = TAKEN if status["success"] is True else refusal if refusal != TAKEN else REFUSED
    reference = str(data.get("MaHoSoVBDLIS", "")) if isinstance(data, Mapping) else ""
    return code, str(status.get("message") or ""), reference
