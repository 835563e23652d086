"""What the engine reads of an event: codes, numbers, dates and states. Never a name, an id or an address.

The facts of an event go into the instance's log; with them a history can be replayed when its payload is gone.
Instants are µs UTC, dates ISO text, amounts whole đồng.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, datetime
from enum import Enum
from typing import Any, Final

from router.procedures.status import Status

Facts = dict[str, Any]
_Record = Mapping[str, Any]

_STATUS: Final = {status.name: int(status) for status in Status if status}


def facts_of(event_type: str, record: _Record, addressed_to: str = "") -> Facts:
    """The facts of a decoded record; empty for a type that procedures know nothing of."""
    read = _READERS.get(event_type) or _READERS.get(event_type.partition(".")[0] + ".*")
    if read is None:
        return {}
    facts = {name: _plain(value) for name, value in read(record).items() if value is not None}
    if addressed_to:
        facts["addressed_to"] = addressed_to
    return facts


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return int(value.timestamp() * 1_000_000)
    if isinstance(value, date):
        return value.isoformat()
    return value.value if isinstance(value, Enum) else value


def _dossier(record: _Record) -> Facts:
    """A snapshot: the business status and what statistics count."""
    return {
        "status": _STATUS.get(str(record["status"])),
        "code": record["code"],
        "procedure": record["procedure"],
        "sector": record.get("sector"),
        "agency": record["agency"],
        "receiving_agency": record.get("receiving_agency"),
        "channel": str(record.get("channel") or "UNKNOWN"),
        "level": str(record.get("level") or "UNKNOWN"),
        "submitted_at": record.get("submitted_at"),
        "accepted_at": record.get("accepted_at"),
        "due_at": record.get("due_at"),
        "due_date": record.get("due_date"),
        "finished_at": record.get("finished_at"),
        "returned_at": record.get("returned_at"),
        "authority": record.get("correction_authority"),
        "parent": record.get("parent_code"),
        "corrects": bool(record.get("correction_reason") and record.get("correction_authority")) or None,
    }


def _progress(record: _Record) -> Facts:
    return {"line_status": _STATUS.get(str(record["status"])), "processed_at": record["processed_at"]}


def _supplement(status: Status) -> Callable[[_Record], Facts]:
    def read(record: _Record) -> Facts:
        return {
            "status": int(status),
            "round": record["round_id"],
            "requested_at": record.get("requested_at"),
            "answered_at": record.get("received_at"),
            "old_due_date": record.get("old_due_date"),
            "new_due_date": record.get("new_due_date"),
        }

    return read


def _component(record: _Record) -> Facts:
    return {
        "component": record["component"],
        "state": str(record["status"]),
        "component_code": record.get("component_code"),
        "agency": record.get("agency"),
        "number": record.get("document_number"),
    }


def _apology(record: _Record) -> Facts:
    return {"sent_at": record["sent_at"], "new_due_date": record.get("new_due_date"), "number": record.get("number")}


def _land(record: _Record) -> Facts:
    return {
        "message": str(record["message"]),
        "end_state": record.get("end_state"),
        "returned": bool(record.get("is_return")),
        "ended_at": record.get("ended_at"),
    }


def _request(record: _Record) -> Facts:
    return {"number": record["number"], "generation": record["generation"], "replaces": record.get("replaces")}


def _return(record: _Record) -> Facts:
    return {"number": record.get("number"), "generation": record.get("generation")}


def _notice(record: _Record) -> Facts:
    return {
        "number": record["number"],
        "generation": record["generation"],
        "request": record.get("obligation_number"),
        "total": record["total"],
        "lines": [
            {"item": line["sub_item"], "amount": line["amount"], "due_date": _plain(line.get("due_date"))}
            for line in record["lines"]
        ],
        "notice_status": str(record["status"]),
    }


def _completion(record: _Record) -> Facts:
    return {"notice": record["notice_number"], "amount": record["amount"]}


def _payment(record: _Record) -> Facts:
    return {
        "phase": str(record["phase"]),
        "partner": record.get("partner"),
        "reference": record["reference"],
        "transaction": record.get("transaction"),
        "notice": record.get("notice_number"),
        "amount": record["amount"],
        "payment_status": str(record["status"]),
        "paid_at": record["paid_at"],
    }


def _document(record: _Record) -> Facts:
    return {
        "document": record["document_id"],
        "business": str(record["business_type"]),
        "sender": record["sender"]["organ_id"],
        "receivers": [receiver["organ_id"] for receiver in record["receivers"]],
        "response_for": list(record.get("response_for") or ()),
        "traces": [trace["organ_id"] for trace in record.get("traces") or ()],
        "urgency": str(record["priority"]),
        "added": [each["organ_id"] for each in record.get("receiver_changes") or () if each["added"]],
        "removed": [each["organ_id"] for each in record.get("receiver_changes") or () if not each["added"]],
        "instead_of": [
            {"document": each["document_id"], "organs": list(each["organ_ids"])}
            for each in record.get("replacements") or ()
        ],
    }


def _document_status(record: _Record) -> Facts:
    return {"document": record["document_id"], "organ": record["sender"]["organ_id"], "state": str(record["status"])}


def _signal(record: _Record) -> Facts:
    return {
        "name": record["name"],
        "definition": record["procedure"],
        "related": record.get("related_key"),
        "organ": record.get("organ_id"),
        "stated_at": record["stated_at"],
    }


_READERS: Final[Mapping[str, Callable[[_Record], Facts]]] = {
    "dossier.progressed": _progress,
    "dossier.supplement_requested": _supplement(Status.SUPPLEMENT_REQUESTED),
    "dossier.supplement_answered": _supplement(Status.PROCESSING),
    "dossier.component_changed": _component,
    "dossier.apology_sent": _apology,
    "dossier.overdue_detected": lambda record: {},
    "dossier.*": _dossier,
    "land.*": _land,
    "tax.obligation_requested": _request,
    "tax.obligation_returned": _return,
    "tax.notice_issued": _notice,
    "tax.obligation_completed": _completion,
    "payment.*": _payment,
    "document.sent": _document,
    "document.status_changed": _document_status,
    "procedure.*": _signal,
}
