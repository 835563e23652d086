"""Field tables of the national portal: ``DongBoHoSoMC``, ``CapNhatTienDoHoSoMC``, and what its webhooks carry.

Instants are ``yyyyMMddHHmmss`` of Asia/Ho_Chi_Minh without a marker, amounts whole đồng, codes texts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from router.sdk.dates import COMPACT
from router.sdk.fields import Codes, Field, write
from router.sdk.national import CHANNEL, FEE, PROGRESS, STATUS, STEP
from router.sdk.records import Dossier, ProgressLine, ProgressStep, SupplementRound
from router.sdk.records import Receipt as RejectionRecord

KIND: Final = Codes({"1": "CITIZEN", "2": "ENTERPRISE", "3": "STATE_AGENCY", "4": "OTHER"})
#: The levels by name since Decree 42/2022/NĐ-CP, and the numbers 3 and 4 from before.
LEVEL: Final = Codes({"toàn trình": "FULL", "một phần": "PARTIAL", "4": "FULL", "3": "PARTIAL"})
RETURN: Final = Codes({"0": "ON_SITE", "1": "POSTED"})
PAID: Final = Codes({"1": "PAID"})
#: Kinds of identity numbers by their length: 1 căn cước of 12 digits, 2 chứng minh nhân dân of 9.
IDENTITY_KINDS: Final = {12: "1", 9: "2"}
LONGEST: Final = {"TrichYeuHoSo": 1000, "NguoiXuLy": 50}  # characters; the portal refuses longer texts
LINES: Final = 10  # progress lines that one call may carry

#: A file: the portal takes and gives URLs; what stands in ``url`` for us is the object's key.
_FILE: Final = (
    Field("MaThanhPhanHoSo", "role", required=True),
    Field("url", "object_key", required=True),
    Field("HashTepTin", "sha256", required=True),
    Field("DungLuong", "size", number=True, required=True),
    Field("LoaiTep", "media_type", required=True),
)
PAPER: Final = (Field("name", "name", required=True), *_FILE)
RESULT: Final = (Field("TenGiayTo", "name", required=True), *_FILE)
#: The applicant's fields stand beside the dossier's own.
APPLICANT: Final = (
    Field("ChuHoSo", "name", required=True),
    Field("LoaiDoiTuong", "kind", codes=KIND, required=True),
    Field("SoGiayToChuHoSo", "identity_number"),
    Field("DiaChi", "address"),
    Field("SoDienThoai", "phone"),
    Field("Email", "email"),
)
#: A round of supplementing as the snapshot of a dossier lists it.
ROUND: Final = (
    Field("id", "round_id", required=True),
    Field("NoiDungBoSung", "content", required=True),
    Field("NgayBoSung", "requested_at", format=COMPACT, required=True),
    Field("NgayTiepNhanBoSung", "received_at", format=COMPACT),
    Field("NgayHenTraMoi", "new_due_date", format=COMPACT, day=True),
)
DOSSIER: Final = (
    Field("MaHoSo", "code", required=True),
    Field("MaHoSoKhac", "alternative_code"),
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
    Field("HinhThuc", "delivery_status", codes=RETURN),
    Field("KenhThucHien", "channel", codes=CHANNEL, required=True),
    Field("NoiNopHoSo", "submitted_where"),
    Field("GhiChu", "note"),
    Field("TaiLieuNop", "papers", fields=PAPER, many=True),
    Field("DanhSachGiayToKetQua", "results", fields=RESULT, many=True),
    Field("DanhSachLePhi", "fees", fields=FEE, many=True),
    Field("DanhSachHoSoBoSung", "supplements", fields=ROUND, many=True),
)
SUPPLEMENT: Final = (
    *ROUND,
    Field("NguoiYeuCauBoSung", "requested_by"),
    Field("NguoiTiepNhanBoSung", "received_by"),
    Field("TrangThaiBoSung", "state"),
    Field("NgayHenTraTruoc", "old_due_date", format=COMPACT, day=True),
    Field("DanhSachGiayTo", "papers", fields=PAPER, many=True),
    Field("DanhSachLePhi", "fees", fields=FEE, many=True),
)
PAYER: Final = (
    Field("HoTen", "name", required=True),
    Field("SoCMT", "identity_number"),
    Field("DiaChi", "address"),
)
PAYMENT: Final = (
    Field("MaHoSo", "code", required=True),
    Field("MaThamChieu", "reference"),
    Field("MaGiaoDich", "transaction"),
    Field("MaThongBaoThue", "notice_number"),
    Field("SoTien", "amount", number=True, required=True),
    Field("MaTienTe", "currency"),
    Field("ThoiGianThanhToan", "paid_at", format=COMPACT, required=True),
    Field("MaKenhThanhToan", "gateway"),
    Field("NoiDungThanhToan", "content"),
    Field("TrangThaiThanhToan", "status", codes=PAID, required=True),
    Field("NguoiNop", "payer", fields=PAYER),
    Field("ChungTu", "receipts", fields=PAPER, many=True),
)
REJECTION: Final = (
    Field("MaSuKien", "event_id", required=True),
    Field("HeThong", "recipient", required=True),
    Field("MaLoi", "partner_code"),
    Field("LyDo", "reason"),
    Field("ThongBao", "message"),
)


def dossier_data(dossier: Dossier, files_url: str = "") -> dict[str, Any]:
    """A snapshot as ``DongBoHoSoMC`` takes it.

    The status goes out as it is: 5, 6 and 8 are never made a 9, and one that is not known here leaves under the
    sender's own code. An applicant without an identity number stays without one.
    """
    made = {**write(dossier, DOSSIER), **write(dossier.applicant, APPLICANT)}
    made["TrangThaiHoSo"] = made["TrangThaiHoSo"] or dossier.raw_status
    made["KenhThucHien"] = made["KenhThucHien"] or dossier.raw_channel
    number = dossier.applicant.identity_number or ""
    if number.isdigit() and len(number) in IDENTITY_KINDS:
        made["DinhDanhCHS"] = [{"LoaiDinhDanh": IDENTITY_KINDS[len(number)], "SoDinhDanh": number}]
    if dossier.digitised:
        made["HoSoCoThanhPhanSoHoa"] = "1"
    return _fitting(made, files_url)


def supplement_data(event_type: str, supplement: SupplementRound, files_url: str = "") -> dict[str, Any]:
    """A supplement round as an update of its dossier: status 5 while it is asked, 4 again when it was answered."""
    status = "5" if event_type == "dossier.supplement_requested" else "4"
    made = _fitting(write(supplement, SUPPLEMENT), files_url)
    return {"MaHoSo": supplement.code, "TrangThaiHoSo": status, "DanhSachHoSoBoSung": [made]}


def progress_data(line: ProgressLine) -> list[dict[str, Any]]:
    """The progress lines of an event, in its order."""
    first = {**write(line, PROGRESS), "TrangThai": _status(line)}
    further = [{"MaHoSo": line.code, **write(step, STEP), "TrangThai": _status(step)} for step in line.further]
    return [_fitting(made) for made in (first, *further)]


def _status(line: ProgressLine | ProgressStep) -> str:
    """The portal's code; the source's own where the portal has none."""
    return STATUS.write(line.status) or line.raw_status


def rejection_data(code: str, rejection: RejectionRecord) -> dict[str, Any]:
    """A refusal by another system of what the portal sent about a dossier."""
    return {"MaHoSo": code, **_fitting(write(rejection, REJECTION))}


def chunks(lines: Sequence[Mapping[str, Any]], size: int = LINES) -> list[Sequence[Mapping[str, Any]]]:
    """Lines in portions that the portal takes."""
    return [lines[start : start + size] for start in range(0, len(lines), size)]


def _fitting(made: Mapping[str, Any], files_url: str = "") -> dict[str, Any]:
    """Without codes that the portal does not have, with texts cut where it would refuse them, with files as URLs."""
    return {name: _fitted(name, value, files_url) for name, value in made.items() if value is not None and value != ""}


def _fitted(name: str, value: Any, files_url: str) -> Any:
    if isinstance(value, list):
        return [_fitting(item, files_url) for item in value]
    if isinstance(value, str) and name in LONGEST:
        return value[: LONGEST[name]]
    return f"{files_url.rstrip('/')}/{value}" if name == "url" and files_url else value
