"""The national vocabulary that several partners speak: statuses, channels, fees and progress lines.

``TrangThaiHoSo`` 1 to 10, ``KenhThucHien``, ``DanhSachLePhi`` and ``CapNhatTienDoHoSoMC`` as the national portal
defines them; one-stops use the same.
"""

from __future__ import annotations

from typing import Final

from router.sdk.dates import COMPACT
from router.sdk.fields import Codes, Field

STATUS: Final = Codes(
    {
        "1": "SUBMITTED",
        "2": "ACCEPTED",
        "3": "NOT_ACCEPTED",
        "4": "PROCESSING",
        "5": "SUPPLEMENT_REQUESTED",
        "6": "FINANCIAL_OBLIGATION",
        "7": "WITHDRAWN",
        "8": "STOPPED",
        "9": "RESULT_READY",
        "10": "RESULT_RETURNED",
    }
)

CHANNEL: Final = Codes({"1": "DIRECT", "2": "ONLINE", "3": "POSTAL"})

FEE: Final = (
    Field("MaPhiLePhi", "code"),
    Field("TenPhiLePhi", "name", required=True),
    Field("Gia", "amount", number=True, required=True),
    Field("HinhThucThu", "collection"),
)

#: A line without the code of its dossier.
STEP: Final = (
    Field("NguoiXuLy", "officer", required=True),
    Field("ChucDanh", "title"),
    Field("ThoiDiemXuLy", "processed_at", format=COMPACT, required=True),
    Field("PhongBanXuLy", "unit", required=True),
    Field("NoiDungXuLy", "content", required=True),
    Field("TrangThai", "status", codes=STATUS, required=True),
    Field("NgayBatDau", "started_at", format=COMPACT),
    Field("NgayKetThucTheoQuyDinh", "due_at", format=COMPACT),
)

PROGRESS: Final = (Field("MaHoSo", "code", required=True), *STEP)
