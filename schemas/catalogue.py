"""Which record an event type carries, and the schemas that ship with the release."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any, Final

_DOSSIER: Final = "vn.lgsp.dossier.Dossier"
_LAND_FILE: Final = "vn.lgsp.land.LandFile"
_SIGNAL: Final = "vn.lgsp.operations.ProcedureSignal"

#: Event type → full name of the record in its payload.
EVENT_TYPES: Final[Mapping[str, str]] = {
    "dossier.submitted": _DOSSIER,
    "dossier.accepted": _DOSSIER,
    "dossier.refused": _DOSSIER,
    "dossier.status_changed": _DOSSIER,
    "dossier.withdrawn": _DOSSIER,
    "dossier.result_ready": _DOSSIER,
    "dossier.result_returned": _DOSSIER,
    "dossier.corrected": _DOSSIER,
    "dossier.progressed": "vn.lgsp.dossier.ProgressLine",
    "dossier.supplement_requested": "vn.lgsp.dossier.SupplementRound",
    "dossier.supplement_answered": "vn.lgsp.dossier.SupplementRound",
    "dossier.component_changed": "vn.lgsp.dossier.ComponentStatus",
    "dossier.apology_sent": "vn.lgsp.dossier.Apology",
    "dossier.overdue_detected": "vn.lgsp.dossier.Overdue",
    "document.sent": "vn.lgsp.document.Document",
    "document.status_changed": "vn.lgsp.document.DocumentStatus",
    "land.file_submitted": _LAND_FILE,  # L1
    "land.file_transferred": _LAND_FILE,  # L2
    "land.supplement_requested": _LAND_FILE,  # L3
    "land.supplement_answered": _LAND_FILE,  # L4
    "land.finished": _LAND_FILE,  # L12
    "land.result_returned": _LAND_FILE,  # L13
    "land.result_disputed": _LAND_FILE,  # L14
    "land.receipt_assigned": _LAND_FILE,  # L15
    "land.correction_requested": _LAND_FILE,  # L15
    "land.wrong_procedure": _LAND_FILE,  # L15
    "tax.obligation_requested": "vn.lgsp.tax.ObligationRequest",  # L5
    "tax.obligation_returned": "vn.lgsp.tax.ObligationReturn",  # L6
    "tax.notice_issued": "vn.lgsp.tax.TaxNotice",  # L7
    "tax.obligation_completed": "vn.lgsp.tax.ObligationCompletion",  # L11
    "payment.confirmed": "vn.lgsp.payment.Payment",  # L9
    "payment.evidenced": "vn.lgsp.payment.Payment",  # L10
    "payment.refund_requested": "vn.lgsp.payment.Payment",
    "notification.requested": "vn.lgsp.notification.Notification",
    "reference.agency_changed": "vn.lgsp.reference.Agency",
    "procedure.timer_due": _SIGNAL,
    "procedure.child_opened": _SIGNAL,
    "procedure.child_progressed": _SIGNAL,
    "procedure.child_ended": _SIGNAL,
    "procedure.recall_requested": _SIGNAL,
    "procedure.compensation_requested": _SIGNAL,
    "delivery.rejected": "vn.lgsp.operations.Receipt",
    "delivery.failed": "vn.lgsp.operations.Failure",
}

RELEASED: Final = "released"


def current_schemas() -> dict[str, dict[str, Any]]:
    """Today's schemas by full name."""
    found: dict[str, dict[str, Any]] = {}
    for family in files("schemas").iterdir():
        if family.is_dir() and family.name != RELEASED:
            found.update({_full_name(schema): schema for schema in _read(family)})
    return found


def released_schemas() -> list[dict[str, Any]]:
    """Every version that was ever released, oldest first per record."""
    return [schema for family in sorted((files("schemas") / RELEASED).iterdir(), key=_name) for schema in _read(family)]


def _read(folder: Traversable) -> Iterator[dict[str, Any]]:
    for file in sorted(folder.iterdir(), key=_name):
        if file.name.endswith(".avsc"):
            yield json.loads(file.read_text("utf-8"))


def _name(entry: Traversable) -> str:
    return entry.name


def _full_name(schema: Mapping[str, Any]) -> str:
    return f"{schema['namespace']}.{schema['name']}"
