"""What the portal sends: submissions of citizens, and evidence of payment (L10)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from connectors.national_portal import mapping
from connectors.national_portal.files import Files
from router.sdk import DOSSIER_CODE, Emission, Received, Reference, Refusal, Reply, Request
from router.sdk.dates import local_date
from router.sdk.fields import read, wrong
from router.sdk.records import Dossier, Payment
from router.sdk.webhooks import json_body, record_of, reply


class Inbox:
    """The two webhooks."""

    def __init__(self, files: Files) -> None:
        self._files = files

    async def submission(self, request: Request) -> Received:
        """A citizen's submission with its papers: the portal introduces the dossier's code."""
        body = dict(json_body(request))
        submission_of(body, request)  # what is wrong anyway costs the portal no download
        if "TaiLieuNop" in body:
            body["TaiLieuNop"] = await self._files.papers(body["TaiLieuNop"], "TaiLieuNop")
        return _taken(submission_of(body, request, papers=True))

    async def payment(self, request: Request) -> Received:
        """Evidence that a citizen has paid (L10), with the receipt's file if there is one."""
        body = dict(json_body(request))
        body.pop("ChungTu", None)  # ours alone: made from the URL
        payment_of(body, request)
        url = body.get("UrlFileChungTu")
        if url:
            check = await self._files.claim_check(url, "UrlFileChungTu")
            body["ChungTu"] = [{"name": "Chứng từ nộp tiền", "MaThanhPhanHoSo": "chung-tu", **check}]
        return _taken(payment_of(body, request))


def submission_of(body: Mapping[str, Any], request: Request, *, papers: bool = False) -> Emission:
    """A submission as an event; without ``papers`` they are left aside. Raises ``BadRequest``.

    Its identity is code, status and time of submission: a citizen who answers a supplement submits the code again.
    """
    table = [field for field in mapping.DOSSIER if papers or field.partner != "TaiLieuNop"]
    values = {"delivery_status": "NOT_STARTED", **read(body, table)}
    due, raw_level = values.get("due_at"), body.get("MucDo")
    values |= {
        "applicant": _applicant(body),
        "raw_status": str(body.get("TrangThaiHoSo", "")),
        "raw_channel": str(body.get("KenhThucHien", "")),
        "level": mapping.LEVEL.read(raw_level),
        "raw_level": str(raw_level) if raw_level else None,
        "payment_status": "NOT_PAID",
        "synchronisation_status": "ACKNOWLEDGED",
        "due_date": local_date(due) if due else None,
        "digitised": str(body.get("HoSoCoThanhPhanSoHoa", "")).lower() in ("1", "true"),
    }
    record = record_of(Dossier, values)
    time = body.get("NgayNopHoSo")
    return Emission(
        type="dossier.submitted",
        record=record,
        subject=Reference(DOSSIER_CODE, record.code),
        operation="submission",
        time=record.submitted_at or request.received,
        original=request.body,
        identity=f"{record.code}/{record.raw_status}/{time}" if time else "",
        mints=True,
        owner=record.applicant.owner,
        procedure=record.procedure,
        addressed_to=record.agency,
        correlation_id=record.code,
    )


def payment_of(body: Mapping[str, Any], request: Request) -> Emission:
    """Evidence of payment as an event. Raises ``BadRequest``, also for what is no evidence of money that was paid.

    Its identity is the payment's own reference; where the portal gives none, notice and time, since a notice may be
    paid in instalments.
    """
    values = {"currency": "VND", **read(body, mapping.PAYMENT)}
    if values["status"] != "PAID":
        raise wrong("TrangThaiThanhToan", "1 (đã thanh toán)", "1 (paid)")
    if values["amount"] <= 0:
        raise wrong("SoTien", "số tiền lớn hơn 0", "an amount above 0")
    notice = values.get("notice_number")
    if "reference" not in values:
        if not notice:
            raise wrong("MaThamChieu", "MaThamChieu hoặc MaThongBaoThue", "MaThamChieu or MaThongBaoThue")
        values["reference"] = f"{notice}/{body['ThoiGianThanhToan']}"
    if "payer" in values:
        tax_code = body.get("MaSoThue")
        values["payer"] |= {"kind": "UNKNOWN", "tax_code": str(tax_code) if tax_code else None}
    record = record_of(Payment, {**values, "phase": "EVIDENCE"})
    references = [Reference("payment", record.reference)]
    if notice:
        references.append(Reference("notice", notice))
    return Emission(
        type="payment.evidenced",
        record=record,
        subject=Reference(DOSSIER_CODE, record.code),
        operation="payment",
        time=record.paid_at,
        original=request.body,
        identity=record.reference,
        references=references,
        addressed_to=str(body.get("DonViXuLy") or ""),
        correlation_id=record.code,
    )


def refuse(refusal: Refusal) -> Reply:
    """A refusal in the portal's own form."""
    return reply({"error_code": str(refusal.status), "message": refusal.vi, "message_en": refusal.en}, refusal.status)


def _applicant(body: Mapping[str, Any]) -> dict[str, Any]:
    """The applicant; the number stands in ``SoGiayToChuHoSo`` or only in the first of ``DinhDanhCHS``."""
    values = read(body, mapping.APPLICANT)
    listed = body.get("DinhDanhCHS")
    first = listed[0] if isinstance(listed, list) and listed else None
    if "identity_number" not in values and isinstance(first, Mapping) and first.get("SoDinhDanh"):
        values["identity_number"] = str(first["SoDinhDanh"])
    return values


def _taken(emission: Emission) -> Received:
    return Received([emission], reply({"error_code": "00", "message": "Thành công"}))
