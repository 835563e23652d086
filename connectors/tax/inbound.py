"""What the tax office sends: notice files (L7), returned requests (L6), completions (L11)."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from hashlib import sha256
from typing import Any

from connectors.tax import xml
from router.sdk import DOSSIER_CODE, BadRequest, Emission, Received, Reference, Refusal, Reply, Request
from router.sdk.dates import COMPACT, DASHED
from router.sdk.fields import Field, read
from router.sdk.records import NoticeLine, ObligationCompletion, ObligationReturn, TaxNotice
from router.sdk.webhooks import json_body, record_of, reply

RETURNED = (
    Field("SO_BIEN_NHAN", "code", required=True),
    Field("SO_PHIEU", "number"),
    Field("LAN_LAP", "generation", number=True),
    Field("LY_DO", "reason", required=True),
    Field("THOI_GIAN", "returned_at", format=COMPACT, required=True),
)
COMPLETED = (
    Field("SO_QUYET_DINH", "notice_number", required=True),
    Field("SO_TIEN", "amount", number=True, required=True),
    Field("NGAY_HOAN_THANH", "completed_date", format=DASHED, day=True, required=True),
    Field("DON_VI", "confirmed_by", required=True),
)


def notice_file(agency: str) -> Callable[[Request], Any]:
    """The handler of a notice file ``{MaTep, NoiDung: base64 XML, SoPhieu?}``: one event per notice of a dossier.

    One unknown dossier does not fail the others: each event waits for its own dossier. Every event carries the file's
    hash, its number of dossiers and its sum, so that the file can be reconciled.
    """

    async def handle(request: Request) -> Received:
        body = json_body(request)
        try:
            content = b64decode(str(body.get("NoiDung", "")), validate=True)
        except ValueError:
            raise BadRequest("NoiDung không phải base64", "NoiDung is not base64") from None
        rows = xml.notices(content)
        file_hash = sha256(content).hexdigest()
        requests = body.get("PhieuChuyen")
        generations = requests if isinstance(requests, Mapping) else {}
        emissions = [
            emission
            for row in rows
            for emission in _notices(row, rows, file_hash, generations.get(row.code), request.received, agency)
        ]
        return Received(emissions, reply({"MaKetQua": "00", "SoHoSo": len(rows), "TongTien": xml.total(rows)}))

    return handle


def _notices(
    row: xml.DossierRow, rows: Sequence[xml.DossierRow], file_hash: str, answers: Any, received: datetime, agency: str
) -> list[Emission]:
    """The notices of one dossier: lines of the same number are one notice."""
    by_number: dict[str, list[xml.Line]] = {}
    for line in row.lines:
        by_number.setdefault(line.notice, []).append(line)
    request = answers if isinstance(answers, Mapping) else {}
    emissions: list[Emission] = []
    for number, lines in by_number.items():
        record = TaxNotice(
            number=number,
            issued_date=lines[0].issued,
            code=row.code,
            obligation_number=str(request["SoPhieu"]) if request.get("SoPhieu") else None,
            generation=int(request.get("LanLap") or 0),
            tax_code=lines[0].tax_code,
            lines=tuple(NoticeLine(sub_item=line.sub_item, amount=line.amount) for line in lines),
            total=sum(line.amount for line in lines),
            status="ACTIVE",
            file_hash=file_hash,
            file_lines=len(rows),
            file_total=xml.total(rows),
        )
        emissions.append(
            Emission(
                type="tax.notice_issued",
                record=record,
                subject=Reference(DOSSIER_CODE, row.code),
                operation="notice",
                time=received,
                original=row.original,
                identity=f"{file_hash}/{row.code}/{number}",
                references=[Reference("notice", number)],
                addressed_to=agency,
                correlation_id=row.code,
            )
        )
    return emissions


def returned_request(agency: str) -> Callable[[Request], Any]:
    """The handler of a PCTT sent back (L6)."""

    async def handle(request: Request) -> Received:
        body = json_body(request)
        record = record_of(ObligationReturn, read(body, RETURNED))
        emission = Emission(
            type="tax.obligation_returned",
            record=record,
            subject=Reference(DOSSIER_CODE, record.code),
            operation="return",
            time=record.returned_at,
            original=request.body,
            identity=str(body.get("MA_GIAO_DICH") or ""),
            addressed_to=agency,
            correlation_id=record.code,
        )
        return Received([emission], reply({"MaKetQua": "00"}))

    return handle


def completed_obligation(agency: str) -> Callable[[Request], Any]:
    """The handler of a completion (L11): it knows nothing but the notice's number."""

    async def handle(request: Request) -> Received:
        body = json_body(request)
        record = record_of(ObligationCompletion, read(body, COMPLETED))
        emission = Emission(
            type="tax.obligation_completed",
            record=record,
            subject=Reference("notice", record.notice_number),
            operation="completion",
            time=request.received,
            original=request.body,
            identity=f"{record.notice_number}/{_day(record.completed_date)}/{record.amount}",
            addressed_to=agency,
        )
        return Received([emission], reply({"MaKetQua": "00"}))

    return handle


def refuse(refusal: Refusal) -> Reply:
    """The tax gateway's form of a refusal."""
    return reply({"MaKetQua": "99", "MoTa": refusal.vi, "Description": refusal.en}, refusal.status)


def _day(day: date) -> str:
    return DASHED.write_date(day)
