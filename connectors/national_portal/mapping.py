"""Field tables of the national portal's ``DongBoHoSoMC``, ``CapNhatTienDoHoSoMC`` and its webhooks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from router.sdk.dates import COMPACT
from router.sdk.fields import Codes, Field, write
from router.sdk.national import CHANNEL, FEE, PROGRESS, STATUS
from router.sdk.records import Dossier, ProgressLine, SupplementRound

KIND: Final = Codes({"1": "CITIZEN", "2": "ENTERPRISE", "3": "STATE_AGENCY", "4": "OTHER"}, "CITIZEN")
PAID: Final = Codes({"0": "NOT_PAID", "1": "PAID"})

PAPER: Final = (
    Field("TenGiayTo", "name", required=True),
    Field("KhoaTep", "object_key", required=True),
    Field("HashTepTin", "sha256", required=True),
    Field("DungLuong", "size", number=True, required=True),
    Field("LoaiTep", "media_type", required=True),
    Field("MaThanhPhanHoSo", "role", required=True),
)
#: The applicant's fields stand beside the dossier's own.
APPLICANT: Final = (
    Field("ChuHoSo", "name", required=True),
    Field("LoaiDoiTuong", "kind", codes=KIND, required=True),
    Field("SoGiayToChuHoSo", "identity_number"),
    Field("DiaChi", "address"),
    Field("SoDienThoai", "phone"),
    Field("Email", "email"),
)
DOSSIER: Final = (
    Field("MaHoSo", "code", required=True),
    Field("IdHoSo", "portal_id"),
    Field("MaTTHC", "procedure", required=True),
    Field("TenTTHC", "procedure_name"),
    Field("MaLinhVuc", "sector"),
    Field("DonViXuLy", "agency", required=True),
    Field("TrichYeuHoSo", "summary"),
    Field("NgayNopHoSo", "submitted_at", format=COMPACT),
    Field("NgayTiepNhan", "accepted_at", format=COMPACT),
    Field("NgayHenTra", "due_at", format=COMPACT),
    Field("NgayKetThucXuLy", "finished_at", format=COMPACT),
    Field("NgayTra", "returned_at", format=COMPACT),
    Field("NgayTuChoi", "refused_at", format=COMPACT),
    Field("TrangThaiHoSo", "status", codes=STATUS, required=True),
    Field("KenhThucHien", "channel", codes=CHANNEL, required=True),
    Field("NoiNopHoSo", "submitted_where"),
    Field("GhiChu", "note"),
    Field("TaiLieuNop", "papers", fields=PAPER, many=True),
    Field("DanhSachGiayToKetQua", "results", fields=PAPER, many=True),
    Field("DanhSachLePhi", "fees", fields=FEE, many=True),
)
SUPPLEMENT: Final = (
    Field("id", "round_id", required=True),
    Field("NguoiYeuCauBoSung", "requested_by"),
    Field("NoiDungBoSung", "content", required=True),
    Field("NgayBoSung", "requested_at", format=COMPACT, required=True),
    Field("NguoiTiepNhanBoSung", "received_by"),
    Field("NgayTiepNhanBoSung", "received_at", format=COMPACT),
    Field("TrangThaiBoSung", "state"),
    Field("NgayHenTraTruoc", "old_due_date", format=COMPACT, day=True),
    Field("NgayHenTraMoi", "new_due_date", format=COMPACT, day=True),
)
PAYMENT: Final = (
    Field("MaHoSo", "code", required=True),
    Field("MaThamChieu", "reference", required=True),
    Field("MaGiaoDich", "transaction"),
    Field("MaThongBaoThue", "notice_number"),
    Field("SoTien", "amount", number=True, required=True),
    Field("MaTienTe", "currency"),
    Field("ThoiGianThanhToan", "paid_at", format=COMPACT, required=True),
    Field("MaKenhThanhToan", "gateway"),
    Field("NoiDungThanhToan", "content"),
    Field("TrangThaiThanhToan", "status", codes=PAID, required=True),
)


def dossier_data(dossier: Dossier) -> dict[str, Any]:
    """A snapshot as ``DongBoHoSoMC`` takes it. The status is never rewritten, and no identity number is invented."""
    made = {**write(dossier, DOSSIER), **write(dossier.applicant, APPLICANT)}
    if dossier.status.value == "UNKNOWN":
        made["TrangThaiHoSo"] = dossier.raw_status
    return made


def supplement_data(event_type: str, supplement: SupplementRound) -> dict[str, Any]:
    """A supplement round as an update of its dossier: status 5 while it is asked, 4 again when it was answered."""
    status = "5" if event_type == "dossier.supplement_requested" else "4"
    return {"MaHoSo": supplement.code, "TrangThaiHoSo": status, "DanhSachHoSoBoSung": [write(supplement, SUPPLEMENT)]}


def progress_data(line: ProgressLine) -> dict[str, Any]:
    """A progress line; the portal cuts nobody's name, so it is cut here at its 50 characters."""
    made = write(line, PROGRESS)
    made["NguoiXuLy"] = str(made["NguoiXuLy"])[:50]
    return made


def chunks(lines: Sequence[Mapping[str, Any]], size: int = 10) -> list[Sequence[Mapping[str, Any]]]:
    """Lines in portions that the portal takes."""
    return [lines[start : start + size] for start in range(0, len(lines), size)]
