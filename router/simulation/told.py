"""What the source tells of simulated dossiers and documents: a story in its order, and what chance makes of it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from random import Random  # the one source of chance of a whole simulation
from typing import Any, Final, NamedTuple

DOCUMENTS: Final = ("D0", "D1", "D2", "D3")  # D1 and D2 pass D0 on
AGENCY: Final = "H39.16"
_ORGANS: Final = ("H39.01", "H39.02")
_TOTAL: Final = 1_000_000  # đồng
_DAY: Final = date(2025, 6, 16)
_NOON: Final = datetime(2025, 6, 16, 5, tzinfo=UTC)


class Said(NamedTuple):
    """An event to be published: its type and its record, without the instant at which it is said."""

    type: str
    record: Mapping[str, Any]


def story_of(code: str, chance: Random, length: int, start: datetime) -> list[Said]:
    """``length`` events of one dossier or document. ``start`` is the business time at which the simulation begins."""
    told = _document(code, chance) if code in DOCUMENTS else _dossier(code, chance, start)
    told = told[:length]
    while len(told) < length:
        told.insert(chance.randrange(1, len(told)), _extra(code, chance, start))
    for _ in range(chance.choice((0, 1, 1, 2))):  # what comes in another order than it happened
        place = chance.randrange(length - 1)
        told[place], told[place + 1] = told[place + 1], told[place]
    if chance.random() < 0.15:  # what never comes
        told[chance.randrange(length)] = _extra(code, chance, start)
    return told


def _dossier(code: str, chance: Random, start: datetime) -> list[Said]:
    """A transfer of land from its acceptance to the returned result, with its money."""
    claimed = start + timedelta(days=chance.randint(3, 6)) if chance.random() < 0.4 else None
    paid = chance.choice((_TOTAL, _TOTAL, _TOTAL, _TOTAL // 2, 2 * _TOTAL))
    return [
        _snapshot(code, "ACCEPTED", "dossier.accepted", due_at=claimed),
        _land(code, "L1", "land.file_submitted"),
        _request(code, 1),
        _notice(code, 1),
        _payment(code, paid, "R1", 1),
        _land(code, "L12", "land.finished", end_state="0"),
        _snapshot(code, "RESULT_READY", "dossier.result_ready"),
        _snapshot(code, "RESULT_RETURNED", "dossier.result_returned"),
    ]


def _document(code: str, chance: Random) -> list[Said]:
    """An official document and what its receivers say; sometimes it is taken back."""
    statuses = [_status(code, organ, state) for organ in _ORGANS for state in ("ARRIVED", "RECEIVED", "COMPLETED")]
    if chance.random() < 0.5:
        place = chance.randrange(len(statuses))
        statuses.insert(place, _status(code, "G22", "TAKE_BACK"))
        statuses += [_status(code, organ, chance.choice(("AGREED", "DECLINED"))) for organ in _ORGANS]
    return [_sent(code), *statuses]


def _extra(code: str, chance: Random, start: datetime) -> Said:
    """Something that a story may hold at almost any place."""
    if code in DOCUMENTS:
        return _status(code, chance.choice(_ORGANS), chance.choice(("PROCESSING", "ASSIGNED", "AGREED")))
    match chance.randrange(7):
        case 0:
            return _request(code, 2)
        case 1:
            return _notice(code, chance.choice((1, 2)))
        case 2:
            return _payment(code, chance.choice((_TOTAL, 1)), chance.choice(("R1", "R2")), chance.choice((1, 2)))
        case 3:
            new = (start + timedelta(days=8)).date()
            return Said(
                "dossier.apology_sent",
                {"code": code, "reason": "xin lỗi", "new_due_date": chance.choice((None, new)), "sent_at": start},
            )
        case 4:
            return _snapshot(code, "WITHDRAWN", "dossier.withdrawn")
        case 5:
            return _snapshot(code, "SUPPLEMENT_REQUESTED", "dossier.status_changed")
    return _snapshot(code, "PROCESSING", "dossier.status_changed")


def _snapshot(code: str, status: str, event_type: str, **more: Any) -> Said:
    record = {
        "code": code,
        "procedure": "1.012783",
        "agency": AGENCY,
        "status": status,
        "raw_status": "2",
        "applicant": {"name": "Nguyễn Văn Ả", "kind": "CITIZEN"},
        "payment_status": "NOT_PAID",
        "delivery_status": "NOT_STARTED",
        "synchronisation_status": "NOT_SYNCHRONISED",
        "channel": "ONLINE",
        "level": "FULL",
        **more,
    }
    return Said(event_type, record)


def _land(code: str, message: str, event_type: str, **more: Any) -> Said:
    return Said(event_type, {"message": message, "code": code, **more})


def _request(code: str, generation: int) -> Said:
    record = {
        "number": f"PC-{code}-{generation}",
        "issued_date": _DAY,
        "branch": "Chi nhánh Đức Hòa",
        "generation": generation,
        "code": code,
        "procedure_kind": "chuyển nhượng",
    }
    return Said("tax.obligation_requested", record)


def _notice(code: str, generation: int) -> Said:
    number = f"TB-{code}-{generation}"
    record = {
        "number": number,
        "issued_date": _DAY,
        "code": code,
        "generation": generation,
        "tax_code": "",
        "lines": [],
        "total": _TOTAL,
        "status": "ACTIVE",
        "file_hash": number,
        "file_lines": 1,
        "file_total": _TOTAL,
    }
    return Said("tax.notice_issued", record)


def _payment(code: str, amount: int, reference: str, generation: int) -> Said:
    record = {
        "phase": "EVIDENCE",
        "code": code,
        "reference": f"{reference}-{code}",
        "notice_number": f"TB-{code}-{generation}",
        "amount": amount,
        "currency": "VND",
        "paid_at": _NOON,
        "status": "PAID",
    }
    return Said("payment.evidenced", record)


def _sent(code: str) -> Said:
    record = {
        "document_id": code,
        "number": "12",
        "notation": "UBND-NC",
        "sender": {"organ_id": "G22", "name": "Ủy ban nhân dân tỉnh"},
        "receivers": [{"organ_id": organ, "name": organ} for organ in _ORGANS],
        "promulgation_date": _DAY,
        "document_type": "Công văn",
        "subject": "Về việc chuyển tiếp",
        "priority": "NORMAL",
        "business_type": "NEW",
        "response_for": [DOCUMENTS[0]] if code in DOCUMENTS[1:3] else [],
    }
    return Said("document.sent", record)


def _status(code: str, organ: str, state: str) -> Said:
    record = {
        "document_id": code,
        "sender": {"organ_id": organ, "name": organ},
        "status": state,
        "raw_status": state,
        "stated_at": _NOON,
    }
    return Said("document.status_changed", record)
