"""Field tables of VBDLIS, one for each message. Its times are UTC without a marker; its dates are local."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from router.sdk.dates import SLASHED, UTC_UNMARKED
from router.sdk.fields import Codes, Field, write
from router.sdk.records import Record

KIND: Final = Codes({"1": "CITIZEN", "2": "ENTERPRISE", "3": "STATE_AGENCY", "4": "OTHER"}, "CITIZEN")
PAID_STATE: Final = Codes({"0": "NOT_PAID", "1": "PAID", "2": "PENDING", "3": "CANCELLED", "4": "REFUNDED"})
NOTICE_STATE: Final = Codes({"1": "ACTIVE", "0": "VOID", "2": "PAID", "3": "EXEMPT", "4": "CANCELLED"})

FILE: Final = (
    Field("TenGiayTo", "name", required=True),
    Field("Khoa", "object_key", required=True),
    Field("Sha256", "sha256", required=True),
    Field("DungLuong", "size", number=True, required=True),
    Field("LoaiTep", "media_type", required=True),
    Field("VaiTro", "role", required=True),
)
PERSON: Final = (
    Field("HoTen", "name", required=True),
    Field("LoaiChu", "kind", codes=KIND, required=True),
    Field("SoChungMinh", "identity_number"),
    Field("MaSoThue", "tax_code"),
    Field("NgaySinh", "birth_date", format=SLASHED, day=True),
    Field("DiaChi", "address"),
    Field("SDT", "phone"),
    Field("Email", "email"),
)
PARCEL: Final = (
    Field("SoThuTuThua", "parcel_number", required=True),
    Field("SoHieuBanDo", "map_sheet", required=True),
    Field("DienTich", "area", required=True),
    Field("DiaChi", "address"),
    Field("NguonGoc", "origin"),
    Field("MucDich", "purpose"),
    Field("ThoiHan", "term"),
)
NUMBERS: Final = (
    Field("SoBienNhan", "code", required=True),
    Field("MaHoSoMotCua", "one_stop_code"),
    Field("MaHoSoVBDLIS", "land_code"),
)
PAPERS: Final = Field("DanhSachGiayToDinhKem", "papers", fields=FILE, many=True)

# To the land office
RECEPTION: Final = (  # L1
    *NUMBERS,
    Field("LaQuyTrinhCapTinh", "provincial", flag=True),
    Field("TinhId", "province"),
    Field("HuyenId", "district"),
    Field("XaId", "commune"),
    Field("MaQuyTrinh", "procedure"),
    Field("NguoiTiepNhan", "received_by"),
    Field("NgayTiepNhan", "received_at", format=UTC_UNMARKED),
    Field("NgayHenTra", "due_date", format=SLASHED, day=True),
    Field("DiaChiTaiSan", "asset_address"),
    Field("NguoiNop", "applicant", fields=PERSON),
    Field("ThongTinThuaDat", "parcels", fields=PARCEL, many=True),
    PAPERS,
)
SUPPLEMENTED: Final = (  # L4
    *NUMBERS,
    Field("NgayHenTraMoi", "due_date", format=SLASHED, day=True),
    Field("LyDo", "reason"),
    PAPERS,
)
RETURNED_RESULT: Final = (*NUMBERS, Field("NgayTra", "ended_at", format=UTC_UNMARKED))  # L13
DISPUTED: Final = (*NUMBERS, Field("LyDo", "reason"), PAPERS)  # L14
RETURNED: Final = (  # L6
    Field("SoBienNhan", "code", required=True),
    Field("SoPhieuChuyen", "number"),
    Field("LanLap", "generation", number=True),
    Field("LyDo", "reason", required=True),
    Field("NgayTra", "returned_at", format=UTC_UNMARKED, required=True),
)
NOTICE_LINE: Final = (
    Field("LoaiThue", "sub_item", required=True),
    Field("SoTien", "amount", number=True, required=True),
    Field("HanNop", "due_date", format=SLASHED, day=True),
)
NOTICE: Final = (  # L7
    Field("SoBienNhan", "code", required=True),
    Field("SoThongBaoThue", "number", required=True),
    Field("NgayCoKetQuaThue", "issued_date", format=SLASHED, day=True, required=True),
    Field("SoPhieuChuyen", "obligation_number"),
    Field("LanLap", "generation", number=True),
    Field("TrangThai", "status", codes=NOTICE_STATE, required=True),
    Field("HoTenChu", "payer"),
    Field("TongTien", "total", number=True, required=True),
    Field("DanhSachThue", "lines", fields=NOTICE_LINE, many=True, required=True),
    Field("TepThongBao", "attachments", fields=FILE, many=True),
)
PAYMENT: Final = (  # L10
    Field("SoBienNhan", "code", required=True),
    Field("MaThamChieu", "reference", required=True),
    Field("MaGiaoDich", "transaction"),
    Field("SoThongBaoThue", "notice_number"),
    Field("SoTien", "amount", number=True, required=True),
    Field("ThoiGianThanhToan", "paid_at", format=UTC_UNMARKED, required=True),
    Field("NoiDungThanhToan", "content"),
    Field("NguoiNopTien", "payer", fields=PERSON),
    Field("TrangThaiThanhToan", "status", codes=PAID_STATE, required=True),
    Field("TepChungTu", "receipts", fields=FILE, many=True),
)
COMPLETION: Final = (  # L11
    Field("SoThongBaoThue", "notice_number", required=True),
    Field("SoTien", "amount", number=True, required=True),
    Field("NgayHoanThanh", "completed_date", format=SLASHED, day=True, required=True),
    Field("DonViXacNhan", "confirmed_by", required=True),
)
REJECTION: Final = (
    Field("MaBanTin", "event_id", required=True),
    Field("HeThong", "recipient", required=True),
    Field("MaLoi", "partner_code"),
    Field("LyDo", "reason"),
)

# From the land office
TRANSFERRED: Final = (  # L2
    *NUMBERS,
    Field("NguoiChuyen", "from_officer"),
    Field("NguoiNhan", "to_officer"),
    Field("MaTrangThai", "state_code", required=True),
    Field("LaTrangThaiChuyenLai", "is_return", flag=True),
    Field("HanXuLy", "deadline", format=UTC_UNMARKED),
    Field("LyDo", "reason"),
)
SUPPLEMENT: Final = (  # L3
    *NUMBERS,
    Field("LyDo", "reason", required=True),
    Field("LaTamDung", "pauses", flag=True),
    Field("NgayChoBoSung", "supplement_until", format=SLASHED, day=True),
    PAPERS,
)
FINISHED: Final = (  # L12
    *NUMBERS,
    Field("NgayKetThuc", "ended_at", format=UTC_UNMARKED, required=True),
    Field("TrangThaiKetThuc", "end_state", required=True),
    Field("LyDo", "reason"),
    Field("TepKetQua", "results", fields=FILE, many=True),
)
RECEIPT_NUMBER: Final = (*NUMBERS[:2], Field("MaHoSoVBDLIS", "land_code", required=True))  # L15
FAULT: Final = (*NUMBERS, Field("LyDo", "reason", required=True), PAPERS)  # L15: correction, wrong procedure
OBLIGATION: Final = (  # L5
    Field("SoPhieuChuyen", "number", required=True),
    Field("NgayPhieu", "issued_date", format=SLASHED, day=True, required=True),
    Field("DonViLap", "branch", required=True),
    Field("LanLap", "generation", number=True, required=True),
    Field("ThayThePhieu", "replaces"),
    Field("SoBienNhan", "code", required=True),
    Field("NgayNhanDu", "complete_date", format=SLASHED, day=True),
    Field("LoaiThuTuc", "procedure_kind", required=True),
    Field("CanCu", "legal_basis"),
    Field("NguoiSuDung", "users", fields=PERSON, many=True, required=True),
    Field("ThuaDat", "parcels", fields=PARCEL, many=True, required=True),
    Field("GiaChuyenNhuong", "transfer_price", number=True),
    Field("CanCuMienGiam", "exemption_grounds"),
    Field("GiayTo", "papers", fields=FILE, many=True),
)

#: Where files stand in messages, either way.
FILE_LISTS: Final = ("DanhSachGiayToDinhKem", "TepKetQua", "TepThongBao", "TepChungTu", "GiayTo")


def message(record: Record, table: Sequence[Field]) -> dict[str, Any]:
    """A record in the words of VBDLIS, which wraps the process code of L1: ``ThongTinQuyTrinh{MaQuyTrinh}``."""
    made = write(record, table)
    if "MaQuyTrinh" in made:
        made["ThongTinQuyTrinh"] = {"MaQuyTrinh": made.pop("MaQuyTrinh")}
    return made
