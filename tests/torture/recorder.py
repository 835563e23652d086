"""A connector for partners that only record: every event they are handed, in order. Its class of idempotency is a
setting, so that all three are played by the same few lines.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime

from router.sdk import (
    DOSSIER_CODE,
    Checked,
    Connector,
    ConnectorConfig,
    Context,
    Emission,
    ErrorRow,
    Event,
    Idempotency,
    Limits,
    Manifest,
    Operation,
    Outcome,
    Receipt,
    Received,
    Reference,
    Refusal,
    Reply,
    Request,
    Retry,
    Route,
)
from router.sdk.http import Http, HttpConfig, classify
from router.sdk.records import DossierStatus, ProgressLine

EVENT = "dossier.progressed"
REPLY = "delivery.rejected"
REFUSED, MALFORMED = 422, 400
OPERATION = "say"
CALL_LIMIT = 1.5
CONCURRENCY = 8
WHEN = datetime(2025, 6, 16, 1, 0, tzinfo=UTC)


class RecorderConfig(ConnectorConfig):
    """Where the partner is, and how its operation is made idempotent."""

    http: HttpConfig
    idempotency: Idempotency = Idempotency.NATURAL_KEY
    concurrency: int = CONCURRENCY


def manifest(config: RecorderConfig) -> Manifest:
    """The manifest of one recipient: patient, since these partners are often away."""
    operation = Operation(name="take", events=(EVENT, REPLY), idempotency=config.idempotency, timeout=CALL_LIMIT)
    retry = Retry(in_place=1, first_delay=0.05, factor=1.5, longest_delay=0.5, budget=1_000, unclassified_budget=1_000)
    errors = (
        ErrorRow(outcome=Outcome.REJECTED, reason="refused", http=REFUSED),
        ErrorRow(outcome=Outcome.INVALID, reason="malformed", http=MALFORMED),
    )
    limits = Limits(concurrency=config.concurrency, urgent_reserved=0)
    return Manifest(
        name="recorder", version="1", partner="Đối tác ghi sổ", role="other",
        operations=(operation,), emits=(EVENT,), limits=limits, retry=retry, errors=errors,
    )  # fmt: skip


class Recorder(Connector[RecorderConfig]):
    """Outbound: one POST an event. Inbound: ``POST /say`` with ``{"code", "identity"}``."""

    config_model = RecorderConfig

    def __init__(self, config: RecorderConfig, context: Context) -> None:
        super().__init__(config, context)
        self.manifest = manifest(config)
        self._http = Http(config.http)

    async def open(self) -> None:
        await self._http.open()

    async def close(self) -> None:
        await self._http.close()

    async def deliver(self, event: Event) -> Receipt:
        facts = {"source": event.source, "id": event.id, "key": str(event.key), "subject": event.subject}
        facts["answers"] = event.causation_id
        answer = await self._http.request("POST", "/take", json_body=facts)
        said = answer.object() if answer.status < 300 else {}
        met = classify(self.manifest, "take", status=answer.status, code="")
        if met is not None and not isinstance(met, Outcome):
            raise met
        return Receipt(code="00", duplicate=said.get("effect") == "recognised")

    async def check(self, event: Event) -> Checked:
        answer = await self._http.request("GET", "/taken", query={"source": event.source, "id": event.id})
        if answer.status != 200:
            return Checked.UNKNOWN
        return Checked.DONE if answer.object()["taken"] else Checked.NOT_DONE

    async def probe(self) -> bool:
        answer = await self._http.request("GET", "/alive", timeout=CALL_LIMIT)
        return answer.status == 200

    def routes(self) -> Sequence[Route]:
        return [Route("POST", "/say", _anyone, self._said, _refused)]

    async def _said(self, request: Request) -> Received:
        message = json.loads(request.body)
        code = message["code"]
        line = ProgressLine(
            code=code, officer="Nguyễn Văn A", processed_at=WHEN, unit="Một cửa", content="Đã tiếp nhận",
            status=DossierStatus.PROCESSING, raw_status="4",
        )  # fmt: skip
        emission = Emission(
            type=EVENT, record=line, subject=Reference(DOSSIER_CODE, code), operation=OPERATION, time=WHEN,
            original=request.body, identity=message["identity"], mints=True,
        )  # fmt: skip
        return Received([emission], Reply(200, b"{}"))


def _anyone(_request: Request) -> None:
    """These partners share a machine with the router."""


def _refused(refusal: Refusal) -> Reply:
    return Reply(refusal.status, json.dumps({"en": refusal.en}).encode())
