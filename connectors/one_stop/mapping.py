"""Field tables of the one-stop: the Vietnamese names of its REST interface against our records."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from router.sdk.dates import COMPACT, EDXML_TIME, SLASHED
from router.sdk.fields import Codes, Field, write
from router.sdk.national import CHANNEL, FEE, STATUS
from router.sdk.records import DocumentStatus, Dossier, LandFile, Record

PAYMENT: Final = Codes({"0": "NOT_PAID", "1": "PENDING", "2": "PAID", "3": "CANCELLED", "4": "REFUNDED"})
#: A payment message counts from *paid* (L10); only the dossier has an axis of five.
PAYMENT_MESSAGE: Final = Codes({"1": "PAID", "0": "NOT_PAID", "2": "PENDING", "3": "CANCELLED", "4": "REFUNDED"})
RETURN: Final = Codes({"": "NOT_STARTED", "0": "ON_SITE", "1": "POSTED", "2": "DELIVERED"})
#: 3 and 4 of the levels until 2022, and their names since Decree 42/2022/NĐ-CP.
LEVEL: Final = Codes({"một phần": "PARTIAL", "toàn trình": "FULL", "3": "PARTIAL", "4": "FULL"})
KIND: Final = Codes({"1": "CITIZEN", "2": "ENTERPRISE", "3": "STATE_AGENCY", "4": "OTHER"})
DOCUMENT_STATUS: Final = Codes(
    {
        "01": "ARRIVED",
        "02": "REFUSED",
        "03": "RECEIVED",
        "04": "ASSIGNED",
        "05": "PROCESSING",
        "06": "COMPLETED",
        "13": "TAKE_BACK",
        "15": "AGREED",
        "16": "DECLINED",
    }
)
PRIORITY: Final = Codes({"0": "NORMAL", "1": "URGENT", "2": "VERY_URGENT", "3": "FLASH", "4": "FLASH_TIMED"}, "NORMAL")
BUSINESS: Final = Codes({"0": "NEW", "1": "RECALL", "2": "UPDATE", "3": "REPLACE"})

ATTACHMENT: Final = (
    Field("TenGiayTo", "name", required=True),
    Field("KhoaTep", "object_key", required=True),
    Field("MaBam", "sha256", required=True),
    Field("KichThuoc", "size", number=True, required=True),
    Field("LoaiTep", "media_type", required=True),
    Field("VaiTro", "role", required=True),
)
APPLICANT: Final = (
    Field("HoTen", "name", required=True),
    Field("LoaiDoiTuong", "kind", codes=KIND, required=True),
    Field("SoDinhDanh", "identity_number"),
    Field("MaSoThue", "tax_code"),
    Field("NgaySinh", "birth_date", format=SLASHED, day=True),
    Field("DiaChi", "address"),
    Field("SoDienThoai", "phone"),
    Field("Email", "email"),
)
DOSSIER: Final = (
    Field("MaHoSo", "code", required=True),
    Field("MaHoSoKhac", "alternative_code"),
    Field("MaHoSoCha", "parent_code"),
    Field("MaTTHC", "procedure", required=True),
    Field("TenTTHC", "procedure_name"),
    Field("MaLinhVuc", "sector"),
    Field("DonViXuLy", "agency", required=True),
    Field("DonViTiepNhan", "receiving_agency"),
    Field("TrichYeuHoSo", "summary"),
    Field("ChuHoSo", "applicant", fields=APPLICANT, required=True),
    Field("TrangThaiHoSo", "status", codes=STATUS, required=True),
    Field("TrangThaiThanhToan", "payment_status", codes=PAYMENT),
    Field("HinhThuc", "delivery_status", codes=RETURN),
    Field("NgayNopHoSo", "submitted_at", format=COMPACT),
    Field("NgayTiepNhan", "accepted_at", format=COMPACT),
    Field("NgayHenTra", "due_at", format=COMPACT),
    Field("NgayKetThucXuLy", "finished_at", format=COMPACT),
    Field("NgayTra", "returned_at", format=COMPACT),
    Field("NgayTuChoi", "refused_at", format=COMPACT),
    Field("KenhThucHien", "channel", codes=CHANNEL, required=True),
    Field("MucDo", "level", codes=LEVEL),
    Field("NoiNopHoSo", "submitted_where"),
    Field("GhiChu", "note"),
    Field("TaiLieuNop", "papers", fields=ATTACHMENT, many=True),
    Field("DanhSachGiayToKetQua", "results", fields=ATTACHMENT, many=True),
    Field("DanhSachLePhi", "fees", fields=FEE, many=True),
    Field("HoSoCoThanhPhanSoHoa", "digitised", flag=True),
)
SUPPLEMENT: Final = (
    Field("MaHoSo", "code", required=True),
    Field("id", "round_id", required=True),
    Field("NguoiYeuCauBoSung", "requested_by"),
    Field("NoiDungBoSung", "content", required=True),
    Field("NgayBoSung", "requested_at", format=COMPACT, required=True),
    Field("NguoiTiepNhanBoSung", "received_by"),
    Field("NgayTiepNhanBoSung", "received_at", format=COMPACT),
    Field("TrangThaiBoSung", "state"),
    Field("NgayHenTraTruoc", "old_due_date", format=SLASHED, day=True),
    Field("NgayHenTraMoi", "new_due_date", format=SLASHED, day=True),
    Field("DanhSachGiayTo", "papers", fields=ATTACHMENT, many=True),
    Field("DanhSachLePhi", "fees", fields=FEE, many=True),
)
PARCEL: Final = (
    Field("SoThuTuThua", "parcel_number", required=True),
    Field("SoHieuBanDo", "map_sheet", required=True),
    Field("DienTich", "area", required=True),
    Field("DiaChi", "address"),
)
LAND: Final = (
    Field("SoBienNhan", "code", required=True),
    Field("MaHoSoMotCua", "one_stop_code"),
    Field("MaHoSoDatDai", "land_code"),
    Field("LaQuyTrinhCapTinh", "provincial", flag=True),
    Field("TinhId", "province"),
    Field("HuyenId", "district"),
    Field("XaId", "commune"),
    Field("MaQuyTrinh", "procedure"),
    Field("NguoiTiepNhan", "received_by"),
    Field("NgayTiepNhan", "received_at", format=COMPACT),
    Field("NgayHenTra", "due_date", format=SLASHED, day=True),
    Field("DiaChiTaiSan", "asset_address"),
    Field("NguoiNop", "applicant", fields=APPLICANT),
    Field("ThongTinThuaDat", "parcels", fields=PARCEL, many=True),
    Field("DanhSachGiayToDinhKem", "papers", fields=ATTACHMENT, many=True),
    Field("NguoiChuyen", "from_officer"),
    Field("NguoiNhan", "to_officer"),
    Field("MaTrangThai", "state_code"),
    Field("LaTrangThaiChuyenLai", "is_return", flag=True),
    Field("HanXuLy", "deadline", format=COMPACT),
    Field("LyDo", "reason"),
    Field("LaTamDung", "pauses", flag=True),
    Field("NgayChoBoSung", "supplement_until", format=SLASHED, day=True),
    Field("NgayKetThuc", "ended_at", format=COMPACT),
    Field("TrangThaiKetThuc", "end_state"),
    Field("DanhSachKetQua", "results", fields=ATTACHMENT, many=True),
)
NOTICE_LINE: Final = (
    Field("TenTieuMuc", "sub_item", required=True),
    Field("SoTien", "amount", number=True, required=True),
    Field("HanNop", "due_date", format=SLASHED, day=True),
)
NOTICE: Final = (
    Field("SoThongBaoThue", "number", required=True),
    Field("NgayThongBao", "issued_date", format=SLASHED, day=True, required=True),
    Field("MaHoSo", "code", required=True),
    Field("SoPhieuChuyen", "obligation_number"),
    Field("TongTien", "total", number=True, required=True),
    Field("DanhSachKhoanNop", "lines", fields=NOTICE_LINE, many=True),
    Field("DanhSachTep", "attachments", fields=ATTACHMENT, many=True),
)
PAID: Final = (
    Field("MaHoSo", "code", required=True),
    Field("MaThamChieu", "reference", required=True),
    Field("MaGiaoDich", "transaction"),
    Field("MaThongBaoThue", "notice_number"),
    Field("SoTien", "amount", number=True, required=True),
    Field("MaTienTe", "currency", required=True),
    Field("ThoiGianThanhToan", "paid_at", format=COMPACT, required=True),
    Field("TrangThaiThanhToan", "status", codes=PAYMENT_MESSAGE, required=True),
    Field("DanhSachChungTu", "receipts", fields=ATTACHMENT, many=True),
)
PARTY: Final = (
    Field("OrganId", "organ_id", required=True),
    Field("OrganName", "name", required=True),
    Field("OrganizationInCharge", "in_charge"),
)
TRACE: Final = (
    Field("OrganId", "organ_id", required=True),
    Field("Timestamp", "passed_at", format=EDXML_TIME, required=True),
)
RECEIVER: Final = (
    Field("OrganId", "organ_id", required=True),
    Field("ReceiverType", "added", flag=True, required=True),  # 1: added, 0: removed
)
REPLACEMENT: Final = (
    Field("DocumentId", "document_id", required=True),
    Field("OrganIdList", "organ_ids", many=True),
)
DOCUMENT: Final = (
    Field("DocumentId", "document_id", required=True),
    Field("CodeNumber", "number", required=True),
    Field("CodeNotation", "notation", required=True),
    Field("From", "sender", fields=PARTY, required=True),
    Field("To", "receivers", fields=PARTY, many=True, required=True),
    Field("Place", "promulgation_place"),
    Field("PromulgationDate", "promulgation_date", format=SLASHED, day=True, required=True),
    Field("DocumentType", "document_type", required=True),
    Field("TypeName", "type_name"),
    Field("Subject", "subject", required=True),
    Field("Content", "content"),
    Field("FullName", "signer"),
    Field("Position", "signer_position"),
    Field("DueDate", "due_date", format=SLASHED, day=True),
    Field("Priority", "priority", codes=PRIORITY, required=True),
    Field("BussinessDocType", "business_type", codes=BUSINESS, required=True),
    Field("BussinessDocReason", "business_reason"),
    Field("ReceiverList", "receiver_changes", fields=RECEIVER, many=True),
    Field("ReplacementInfoList", "replacements", fields=REPLACEMENT, many=True),
    Field("SteeringType", "steering_type"),
    Field("ResponseFor", "response_for", many=True),
    Field("TraceHeaderList", "traces", fields=TRACE, many=True),
    Field("Attachments", "attachments", fields=ATTACHMENT, many=True),
)
DOCUMENT_STATE: Final = (
    Field("DocumentId", "document_id", required=True),
    Field("From", "sender", fields=PARTY, required=True),
    Field("StatusCode", "status", codes=DOCUMENT_STATUS, required=True),
    Field("Description", "description"),
    Field("StaffInfo", "staff"),
    Field("Timestamp", "stated_at", format=COMPACT, required=True),
)
REPLY: Final = (
    Field("HeThong", "recipient", required=True),
    Field("MaSuKienGoc", "event_id", required=True),
    Field("LoaiSuKienGoc", "event_type", required=True),
    Field("MaLoi", "partner_code"),
    Field("LyDo", "reason"),
    Field("NoiDung", "message"),
)

COMPONENT_STATE: Final = Codes(
    {
        "1": "RECEIVED",
        "2": "SUPPLEMENT_REQUESTED",
        "3": "ACCEPTED",
        "4": "DONE",
        "5": "RETURNED",
        "6": "REFUSED",
        "7": "FORWARDED",
    }
)
COMPONENT: Final = (
    Field("MaHoSo", "code", required=True),
    Field("ThanhPhan", "component", required=True),
    Field("TrangThai", "status", codes=COMPONENT_STATE, required=True),
    Field("MaHoSoLT", "component_code"),
    Field("DonVi", "agency"),
    Field("SoKyHieu", "document_number"),
    Field("LyDo", "reason"),
    Field("ThoiDiem", "stated_at", format=COMPACT, required=True),
)
APOLOGY: Final = (
    Field("MaHoSo", "code", required=True),
    Field("SoKyHieu", "number"),
    Field("LyDo", "reason", required=True),
    Field("NgayHenTraTruoc", "old_due_date", format=SLASHED, day=True),
    Field("NgayHenTraMoi", "new_due_date", format=SLASHED, day=True),
    Field("HinhThucGui", "channel"),
    Field("NgayGui", "sent_at", format=COMPACT, required=True),
)
OVERDUE: Final = (
    Field("MaHoSo", "code", required=True),
    Field("MaTTHC", "procedure", required=True),
    Field("DonViXuLy", "agency", required=True),
    Field("NgayHenTra", "due_date", format=SLASHED, day=True, required=True),
    Field("ThoiDiem", "detected_at", format=COMPACT, required=True),
)
REFUND: Final = (
    Field("MaHoSo", "code", required=True),
    Field("MaThamChieu", "reference", required=True),
    Field("MaGiaoDich", "transaction"),
    Field("SoThongBaoThue", "notice_number"),
    Field("SoTien", "amount", number=True, required=True),
    Field("LyDo", "content"),
    Field("ThoiDiem", "paid_at", format=COMPACT, required=True),
)
COMPENSATION: Final = (
    Field("Buoc", "name", required=True),
    Field("VaiTro", "role"),
    Field("HinhThuc", "kind"),
    Field("NoiDung", "text"),
    Field("ThoiDiem", "stated_at", format=COMPACT, required=True),
)


def message(record: Record, table: Sequence[Field]) -> dict[str, Any]:
    """A record in the one-stop's words. A status that has no code here goes out as its source wrote it."""
    made = write(record, table)
    if isinstance(record, LandFile):
        made["LoaiBanTin"] = record.message.value
    elif isinstance(record, Dossier) and not made["TrangThaiHoSo"]:
        made["TrangThaiHoSo"] = record.raw_status
    elif isinstance(record, DocumentStatus) and not made["StatusCode"]:
        made["StatusCode"] = record.raw_status
    return made
