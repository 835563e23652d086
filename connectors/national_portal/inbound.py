"""What the portal sends: submissions of citizens, and evidence of payment (L10)."""

from __future__ import annotations

from router.sdk import DOSSIER_CODE, Emission, Received, Reference, Request
from router.sdk.dates import local_date
from router.sdk.fields import read
from router.sdk.records import Dossier, Payment
from router.sdk.webhooks import json_body, record_of, reply

from connectors.national_portal import mapping  # isort: skip


async def submission(request: Request) -> Received:
    """A citizen's submission: the portal introduces the dossier's code."""
    body = json_body(request)
    values = read(body, mapping.DOSSIER)
    due = values.get("due_at")
    values |= {
        "applicant": read(body, mapping.APPLICANT),
        "raw_status": str(body.get("TrangThaiHoSo", "")),
        "payment_status": "NOT_PAID",
        "delivery_status": "NOT_STARTED",
        "synchronisation_status": "ACKNOWLEDGED",
        "level": "FULL",
        "raw_level": "toàn trình",
        "due_date": local_date(due) if due else None,
    }
    record = record_of(Dossier, values)
    emission = Emission(
        type="dossier.submitted",
        record=record,
        subject=Reference(DOSSIER_CODE, record.code),
        operation="submission",
        time=record.submitted_at or request.received,
        original=request.body,
        identity=f"{record.code}/{record.raw_status}/{body.get('NgayNopHoSo', '')}",
        mints=True,
        owner=record.applicant.identity_number or "",
        procedure=record.procedure,
        addressed_to=record.agency,
        correlation_id=record.code,
    )
    return Received([emission], reply({"error_code": "00", "message": "Thành công"}))


async def payment(request: Request) -> Received:
    """Evidence that a citizen has paid; its identity is the payment's own reference."""
    body = json_body(request)
    record = record_of(Payment, {"currency": "VND", **read(body, mapping.PAYMENT), "phase": "EVIDENCE"})
    emission = Emission(
        type="payment.evidenced",
        record=record,
        subject=Reference(DOSSIER_CODE, record.code),
        operation="payment",
        time=record.paid_at,
        original=request.body,
        identity=record.reference,
        references=[Reference("payment", record.reference)],
        addressed_to=str(body.get("DonViXuLy") or ""),
        correlation_id=record.code,
    )
    return Received([emission], reply({"error_code": "00", "message": "Thành công"}))
