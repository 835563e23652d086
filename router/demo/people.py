"""The demo's dossiers and documents: realistic, made from a number, the same in every run."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any, Final

from router.sdk.dates import COMPACT, SLASHED, VIETNAM

PROCEDURE: Final = "1.012783"
FAMILY: Final = ("Nguyễn", "Trần", "Lê", "Phạm", "Huỳnh", "Võ", "Đặng", "Bùi", "Đỗ", "Hồ")
MIDDLE: Final = ("Văn", "Thị", "Minh", "Ngọc", "Quốc", "Thanh", "Kim", "Hoàng")
GIVEN: Final = ("An", "Bình", "Cường", "Dung", "Giang", "Hạnh", "Khánh", "Lan", "Mai", "Phúc", "Quyên", "Tâm", "Yến")
STREETS: Final = ("Nguyễn Hữu Thọ", "Võ Công Tồn", "Quốc lộ 1A", "Nguyễn Trung Trực", "Phan Văn Mảng")


def dossier_code(unit: str, day: date, number: int) -> str:
    """``unit-yyMMdd-number``, at least four digits."""
    return f"{unit}-{day:%y%m%d}-{number:04d}"


def person(number: int) -> dict[str, Any]:
    """An applicant; the numbers are made up and belong to nobody."""
    name = f"{FAMILY[number % 10]} {MIDDLE[number % 8]} {GIVEN[number % 13]}"
    return {
        "HoTen": name,
        "LoaiDoiTuong": "1",
        "SoDinhDanh": f"080{100_000_000 + number:09d}",
        "MaSoThue": f"83{10_000_000 + number:08d}",
        "NgaySinh": SLASHED.write_date(date(1970, 1, 1) + timedelta(days=number % 12_000)),
        "DiaChi": f"{number % 300 + 1} {STREETS[number % 5]}, thị trấn Bến Lức, Long An",
        "SoDienThoai": f"090{number % 10_000_000:07d}",
        "Email": f"congdan{number}@example.vn",
    }


def portal_dossier(code: str, unit: str, number: int, at: datetime) -> dict[str, Any]:
    """A submission as the portal has it."""
    who = person(number)
    return {
        "MaHoSo": code,
        "MaTTHC": PROCEDURE,
        "TenTTHC": "Đăng ký biến động quyền sử dụng đất do chuyển nhượng",
        "DonViXuLy": unit,
        "TrichYeuHoSo": f"Chuyển nhượng thửa đất số {number % 900 + 1}",
        "ChuHoSo": who["HoTen"],
        "LoaiDoiTuong": "1",
        "SoGiayToChuHoSo": who["SoDinhDanh"],
        "DiaChi": who["DiaChi"],
        "SoDienThoai": who["SoDienThoai"],
        "Email": who["Email"],
        "NgayNopHoSo": COMPACT.write(at),
        "TrangThaiHoSo": "1",
        "KenhThucHien": "2",
        "NoiNopHoSo": "1",
    }


def counter_dossier(code: str, unit: str, number: int, at: datetime) -> dict[str, Any]:
    """A dossier filed at the one-stop's counter."""
    return {
        "MaHoSo": code,
        "MaTTHC": PROCEDURE,
        "TenTTHC": "Đăng ký biến động quyền sử dụng đất do chuyển nhượng",
        "DonViXuLy": unit,
        "ChuHoSo": person(number),
        "NgayNopHoSo": COMPACT.write(at),
        "TrangThaiHoSo": "2",
        "KenhThucHien": "1",
        "NoiNopHoSo": "2",
        "MucDo": "toàn trình",
    }


def document(number: int, sender: str, receiver: str, at: datetime) -> dict[str, Any]:
    """An official letter between two units; every seventh is urgent."""
    day = at.astimezone(VIETNAM)
    return {
        "DocumentId": f"{sender},{day:%Y/%m/%d},{number}/UBND-VP",
        "CodeNumber": str(number),
        "CodeNotation": "UBND-VP",
        "From": {"OrganId": sender, "OrganName": "UBND thị trấn Bến Lức"},
        "To": [{"OrganId": receiver, "OrganName": "UBND tỉnh Tây Ninh"}],
        "Place": "Bến Lức",
        "PromulgationDate": SLASHED.write(at),
        "DocumentType": "2",
        "TypeName": "Công văn",
        "Subject": f"V/v phối hợp xác minh nguồn gốc đất, hồ sơ số {number}",
        "Priority": "3" if number % 7 == 0 else "0",
        "BussinessDocType": "0",
    }
