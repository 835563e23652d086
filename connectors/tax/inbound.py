"""What the tax office sends: notice files (L7), returned requests (L6), completions (L11)."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import Any, Final

from connectors.tax.mapping import COMPLETED, RETURNED
from connectors.tax.notices import Fault, Notice, NoticeFile, read_file
from router.sdk import (
    DOSSIER_CODE,
    BadRequest,
    Context,
    Emission,
    Received,
    Reference,
    Refusal,
    Reply,
    Request,
    Unreadable,
)
from router.sdk.dates import DASHED
from router.sdk.fields import read, wrong
from router.sdk.records import ObligationCompletion, ObligationReturn
from router.sdk.webhooks import json_body, record_of, reply

Handle = Callable[[Request], Awaitable[Received]]
TAKEN, PARTLY, REFUSED = "00", "05", "99"
MOST_FAULTS: Final = 100  # told in one answer


def notice_file(agency: str, context: Context) -> Handle:
    """The handler of a notice file ``{MaTep, NoiDung: base64 XML, PhieuChuyen?}``: one event per notice of a dossier.

    One unknown dossier does not fail the others: each event waits for its own dossier. A dossier that cannot be read is
    named in the answer and becomes a dead letter with its own rows; the rest is received. The file itself is the legal
    record: it is stored as it came, under its hash, which every event carries with the file's number of dossiers and
    its sum.
    """

    async def handle(request: Request) -> Received:
        body = json_body(request)
        content = _content(body)
        file = read_file(content, body.get("PhieuChuyen"))
        if not file.notices:
            fault = file.faults[0]
            raise BadRequest(f"{fault.place}: {fault.vi}", f"{fault.place}: {fault.en}")
        await context.objects.put(content)
        emissions = [_emission(notice, agency, request.received) for notice in file.notices]
        unreadable = [_unreadable(file, fault, agency, request.received) for fault in file.faults]
        return Received(emissions, _answer(file), unreadable)

    return handle


def returned_request(agency: str) -> Handle:
    """The handler of a PCTT sent back (L6). It is identified by its transaction, else by the PCTT it is about."""

    async def handle(request: Request) -> Received:
        body = json_body(request)
        record = record_of(ObligationReturn, read(body, RETURNED))
        transaction = body.get("MA_GIAO_DICH")
        about = f"{record.number}/{record.generation}" if record.number and record.generation is not None else ""
        emission = Emission(
            type="tax.obligation_returned",
            record=record,
            subject=Reference(DOSSIER_CODE, record.code),
            operation="return",
            time=record.returned_at,
            original=request.body,
            identity=transaction if isinstance(transaction, str) and transaction else about,
            addressed_to=agency,
            correlation_id=record.code,
        )
        return Received([emission], reply({"MaKetQua": TAKEN}))

    return handle


def completed_obligation(agency: str) -> Handle:
    """The handler of a completion (L11): it knows nothing but the notice's number."""

    async def handle(request: Request) -> Received:
        record = record_of(ObligationCompletion, read(json_body(request), COMPLETED))
        day = DASHED.write_date(record.completed_date)
        emission = Emission(
            type="tax.obligation_completed",
            record=record,
            subject=Reference("notice", record.notice_number),
            operation="completion",
            time=request.received,
            original=request.body,
            identity=f"{record.notice_number}/{day}/{record.amount}",
            addressed_to=agency,
        )
        return Received([emission], reply({"MaKetQua": TAKEN}))

    return handle


def refuse(refusal: Refusal) -> Reply:
    """The tax gateway's form of a refusal."""
    return reply({"MaKetQua": REFUSED, "MoTa": refusal.vi, "Description": refusal.en}, refusal.status)


def _content(body: Mapping[str, Any]) -> bytes:
    text = body.get("NoiDung")
    try:
        content = b64decode("".join(text.split()), validate=True) if isinstance(text, str) else b""
    except ValueError:
        content = b""
    if not content:
        raise wrong("NoiDung", "tệp XML dạng base64", "an XML file in base64")
    return content


def _emission(notice: Notice, agency: str, received: datetime) -> Emission:
    """A notice as an event; it is identified by the file's hash, ``MA_HSO`` and ``SO_QUYET_DINH``."""
    record = notice.record
    return Emission(
        type="tax.notice_issued",
        record=record,
        subject=Reference(DOSSIER_CODE, record.code),
        operation="notice",
        time=received,
        original=notice.original,
        identity=f"{record.file_hash}/{record.code}/{record.number}",
        references=[Reference("notice", record.number)],
        addressed_to=agency,
        correlation_id=record.code,
    )


def _unreadable(file: NoticeFile, fault: Fault, agency: str, received: datetime) -> Unreadable:
    """A dossier of the file that nobody can read, identified by the file's hash and its place in it."""
    return Unreadable(
        type="tax.notice_issued",
        original=fault.original,
        place=f"{file.digest[:12]} {fault.place}",
        vi=fault.vi,
        en=fault.en,
        operation="notice",
        time=received,
        identity=f"{file.digest}/{fault.place}",
        subject=Reference(DOSSIER_CODE, fault.code) if fault.code else None,
        addressed_to=agency,
    )


def _answer(file: NoticeFile) -> Reply:
    """How much of a file is received, for the partner's own reconciliation."""
    said: dict[str, Any] = {
        "MaKetQua": PARTLY if file.faults else TAKEN,
        "SoHoSo": file.dossiers,
        "SoHoSoNhan": len({notice.record.code for notice in file.notices}),
        "TongTien": file.total,
        "TongTienNhan": sum(notice.record.total for notice in file.notices),
    }
    if file.faults:
        shown = file.faults[:MOST_FAULTS]
        said["Loi"] = [{"ViTri": fault.place, "MoTa": fault.vi, "Description": fault.en} for fault in shown]
    return reply(said)
