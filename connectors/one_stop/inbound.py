"""What the one-stop sends: one webhook, one kind of message per event type. Pure apart from the authenticator."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from hashlib import sha256
from typing import Any, Final, NamedTuple

from pydantic import BaseModel

from connectors.one_stop import mapping
from router.sdk import DOCUMENT_ID, DOSSIER_CODE, BadRequest, Emission, Received, Reference, Request
from router.sdk.dates import COMPACT, local_date
from router.sdk.fields import Field, read
from router.sdk.national import PROGRESS, STEP
from router.sdk.records import (
    Apology,
    ComponentStatus,
    Document,
    DocumentStatus,
    Dossier,
    LandFile,
    ProgressLine,
    SupplementRound,
)
from router.sdk.webhooks import json_body, record_of, reply


class Kind(NamedTuple):
    """A kind of message: event type, record, field table, and the land message it is (L1, L4, …)."""

    event: str
    record: type[BaseModel]
    table: Sequence[Field]
    land: str = ""


#: A progress line, and the lines after it where the one-stop says several of a dossier at once.
LINES: Final = (*PROGRESS, Field("CacDongTiepTheo", "further", fields=STEP, many=True))
KINDS: Final[Mapping[str, Kind]] = {
    "NopHoSo": Kind("dossier.submitted", Dossier, mapping.DOSSIER),
    "TiepNhan": Kind("dossier.accepted", Dossier, mapping.DOSSIER),
    "TuChoi": Kind("dossier.refused", Dossier, mapping.DOSSIER),
    "CapNhatTrangThai": Kind("dossier.status_changed", Dossier, mapping.DOSSIER),
    "RutHoSo": Kind("dossier.withdrawn", Dossier, mapping.DOSSIER),
    "CoKetQua": Kind("dossier.result_ready", Dossier, mapping.DOSSIER),
    "TraKetQua": Kind("dossier.result_returned", Dossier, mapping.DOSSIER),
    "DinhChinh": Kind("dossier.corrected", Dossier, mapping.DOSSIER),
    "TienDo": Kind("dossier.progressed", ProgressLine, LINES),
    "YeuCauBoSung": Kind("dossier.supplement_requested", SupplementRound, mapping.SUPPLEMENT),
    "DaBoSung": Kind("dossier.supplement_answered", SupplementRound, mapping.SUPPLEMENT),
    "ThanhPhan": Kind("dossier.component_changed", ComponentStatus, mapping.COMPONENT),
    "ThuXinLoi": Kind("dossier.apology_sent", Apology, mapping.APOLOGY),
    "HoSoDatDai": Kind("land.file_submitted", LandFile, mapping.LAND, "L1"),
    "BoSungDatDai": Kind("land.supplement_answered", LandFile, mapping.LAND, "L4"),
    "TraKetQuaDatDai": Kind("land.result_returned", LandFile, mapping.LAND, "L13"),
    "KetQuaDatDaiSai": Kind("land.result_disputed", LandFile, mapping.LAND, "L14"),
    "VanBan": Kind("document.sent", Document, mapping.DOCUMENT),
    "TrangThaiVanBan": Kind("document.status_changed", DocumentStatus, mapping.DOCUMENT_STATE),
}
URGENT: Final = frozenset({"URGENT", "VERY_URGENT", "FLASH", "FLASH_TIMED"})
#: What a dossier says of its axes when the one-stop leaves them out.
_AXES: Final = {
    "payment_status": "NOT_PAID",
    "delivery_status": "NOT_STARTED",
    "synchronisation_status": "NOT_SYNCHRONISED",
    "level": "UNKNOWN",
}


def receiver(check_unit: Callable[[str, datetime], None]) -> Callable[[Request], Any]:
    """The handler of the webhook; ``check_unit`` refuses units that do not receive on that day."""

    async def handle(request: Request) -> Received:
        emission = emission_of(json_body(request), request.body)
        if isinstance(emission.record, Dossier) and emission.mints:
            check_unit(emission.record.receiving_agency or emission.record.agency, emission.time)
        return Received(to_each_receiver(emission), reply({"code": "00", "message": "Đã nhận"}))

    return handle


def to_each_receiver(emission: Emission) -> list[Emission]:
    """A document to several receivers is one event for each of them, under ids of their own."""
    record = emission.record
    if not isinstance(record, Document) or len(record.receivers) == 1:
        return [emission]
    message = emission.identity or sha256(emission.original).hexdigest()
    codes = dict.fromkeys(receiver.organ_id for receiver in record.receivers)
    return [replace(emission, identity=f"{message}/{code}", addressed_to=code) for code in codes]


def emission_of(message: Mapping[str, Any], original: bytes) -> Emission:
    """A message ``{LoaiSuKien, MaTinNhan, ThoiGian, DonVi, DuLieu}`` as an event. Raises ``BadRequest``."""
    kind = KINDS.get(str(message.get("LoaiSuKien")))
    if kind is None:
        raise BadRequest("LoaiSuKien không được hỗ trợ", "LoaiSuKien is not supported")
    try:
        time = COMPACT.read(str(message.get("ThoiGian", "")), "ThoiGian")
    except ValueError as error:
        raise BadRequest(f"ThoiGian không hợp lệ: {COMPACT.written}", str(error)) from None
    data = message.get("DuLieu")
    record = record_of(kind.record, _completed(kind, read(data, kind.table, "DuLieu"), data))
    is_document = kind.event.startswith("document.")
    code = str(getattr(record, "document_id" if is_document else "code"))
    return Emission(
        type=kind.event,
        record=record,
        subject=Reference(DOCUMENT_ID if is_document else DOSSIER_CODE, code),
        operation=str(message["LoaiSuKien"]),
        time=time,
        original=original,
        identity=str(message.get("MaTinNhan") or ""),
        mints=kind.event in ("dossier.submitted", "dossier.accepted", "document.sent"),
        owner=_owner(record),
        procedure=str(getattr(record, "procedure", None) or ""),
        addressed_to=_addressee(record, message),
        urgent=str(getattr(record, "priority", "")) in URGENT,
        correlation_id=code,
        passed=record.passed() if isinstance(record, Document) else (),
    )


def _completed(kind: Kind, values: dict[str, Any], data: Any) -> dict[str, Any]:
    """What follows from the partner's fields: the raw status beside the mapped one, dates that the law counts."""
    raw = data if isinstance(data, Mapping) else {}
    if kind.record is Dossier:
        due = values.get("due_at")
        values = {**_AXES, **values, "raw_status": str(raw.get("TrangThaiHoSo", "")), "raw_level": raw.get("MucDo")}
        values["due_date"] = local_date(due) if due else None
    elif kind.record in (ProgressLine, ComponentStatus):
        values["raw_status"] = str(raw.get("TrangThai", ""))
        steps = zip(values.get("further", ()), raw.get("CacDongTiepTheo") or (), strict=False)
        if kind.record is ProgressLine:
            values["further"] = tuple({**step, "raw_status": str(said["TrangThai"])} for step, said in steps)
    elif kind.record is LandFile:
        values["message"] = kind.land
    elif kind.record is DocumentStatus:
        values["raw_status"] = str(raw.get("StatusCode", ""))
    return values


def _owner(record: BaseModel) -> str:
    return record.applicant.owner if isinstance(record, Dossier) else ""


def _addressee(record: BaseModel, message: Mapping[str, Any]) -> str:
    """The agency the event is for: a document's first receiver, else the unit that handles the dossier."""
    if isinstance(record, Document):
        return record.receivers[0].organ_id
    if isinstance(record, Dossier):
        return record.agency
    return str(message.get("DonVi") or "")
