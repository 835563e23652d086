"""Field tables of the tax gateway. Dates are ``dd-MM-yyyy``, money is whole dong."""

from __future__ import annotations

from typing import Final

from router.sdk.dates import COMPACT, DASHED
from router.sdk.fields import Field

LINE: Final = (  # LIST of a notice file (L7)
    Field("MA_SO_THUE", "tax_code", required=True),
    Field("SO_QUYET_DINH", "notice", required=True),
    Field("NGAY_QUYET_DINH", "issued", format=DASHED, day=True, required=True),
    Field("TEN_TIEUMUC", "sub_item", required=True),
    Field("SO_TIEN", "amount", number=True, required=True),
    Field("HAN_NOP", "due_date", format=DASHED, day=True),
)
ANSWERED: Final = (  # which PCTT a dossier's notices answer
    Field("SoPhieu", "obligation_number"),
    Field("LanLap", "generation", number=True),
)
RETURNED: Final = (  # L6
    Field("SO_BIEN_NHAN", "code", required=True),
    Field("SO_PHIEU", "number"),
    Field("LAN_LAP", "generation", number=True),
    Field("LY_DO", "reason", required=True),
    Field("THOI_GIAN", "returned_at", format=COMPACT, required=True),
)
COMPLETED: Final = (  # L11
    Field("SO_QUYET_DINH", "notice_number", required=True),
    Field("SO_TIEN", "amount", number=True, required=True),
    Field("NGAY_HOAN_THANH", "completed_date", format=DASHED, day=True, required=True),
    Field("DON_VI", "confirmed_by", required=True),
)
REJECTION: Final = (
    Field("MaBanTin", "event_id", required=True),
    Field("HeThong", "recipient", required=True),
    Field("LyDo", "reason"),
    Field("MaLoi", "partner_code"),
)
