"""What an event says, in a few words: from the facts that procedures read, which hold no personal data. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

#: Names of TrangThaiHoSo, as the national portal shows them.
STATUS: Final[Mapping[int, str]] = {
    1: "Mới đăng ký",
    2: "Được tiếp nhận",
    3: "Không được tiếp nhận",
    4: "Đang xử lý",
    5: "Yêu cầu bổ sung giấy tờ",
    6: "Yêu cầu thực hiện nghĩa vụ tài chính",
    7: "Công dân yêu cầu rút hồ sơ",
    8: "Dừng xử lý",
    9: "Đã xử lý xong",
    10: "Đã trả kết quả",
}

#: Names of levels of agencies, as the registry has them.
LEVEL: Final[Mapping[str, str]] = {
    "central": "Trung ương",
    "province": "Cấp tỉnh",
    "department": "Sở, ban, ngành",
    "district": "Cấp huyện",
    "commune": "Cấp xã",
    "office": "Đơn vị trực thuộc",
}

#: Names of StatusCode (edXML) of receivers, by the state in the record.
STATED: Final[Mapping[str, str]] = {
    "ARRIVED": "01 Đã đến",
    "REFUSED": "02 Từ chối tiếp nhận",
    "RECEIVED": "03 Đã tiếp nhận",
    "ASSIGNED": "04 Phân công",
    "PROCESSING": "05 Đang xử lý",
    "COMPLETED": "06 Hoàn thành",
}


def stated(state: str) -> str:
    """``03 Đã tiếp nhận``; the state itself where it has no name."""
    return STATED.get(state, state)


def status(code: int) -> str:
    """``4 Đang xử lý``; a bare number where there is no name."""
    return f"{code} {STATUS.get(code, '')}".strip()


def money(amount: int) -> str:
    """Whole đồng."""
    return f"{grouped(amount)} đ"


def grouped(number: int) -> str:
    """A whole number, grouped as in Vietnam: ``987.406``."""
    return f"{number:,}".replace(",", ".")


def said(facts: Mapping[str, Any]) -> str:
    """The facts that tell people something, in the order of ``_TOLD``."""
    return ", ".join(tell(facts[name]) for name, tell in _TOLD.items() if facts.get(name) not in (None, "", []))


def _with(label: str) -> Callable[[Any], str]:
    return lambda value: f"{label} {value}"


#: What is told of which fact. What is not here is of use to the engine only.
_TOLD: Final[Mapping[str, Callable[[Any], str]]] = {
    "status": status,
    "line_status": status,
    "message": _with("message"),
    "component": _with("component"),
    "state": str,
    "round": _with("round"),
    "phase": str,
    "number": _with("number"),
    "generation": _with("generation"),
    "replaces": _with("replaces"),
    "request": _with("PCTT"),
    "notice": _with("notice"),
    "reference": _with("reference"),
    "transaction": _with("transaction"),
    "order": _with("order"),
    "amount": money,
    "total": money,
    "payment_status": str,
    "notice_status": str,
    "old_due_date": _with("due before"),
    "new_due_date": _with("due from now on"),
    "due_date": _with("due"),
    "document": str,
    "business": str,
    "organ": str,
    "name": str,
    "authority": _with("corrected by authority of"),
}
