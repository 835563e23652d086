"""The shipped schemas: complete, explained, and the same thing everywhere under one name."""

from __future__ import annotations

import re
import zipfile
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from hatchling.builders.wheel import WheelBuilder

from router.sdk.records import RECORDS
from schemas.catalogue import EVENT_TYPES, current_schemas, released_schemas
from tests.schemas.named_types import types

CURRENT = current_schemas()
NAMES = sorted(CURRENT)
ROOT = Path(__file__).resolve().parents[2]

EVENTS = {
    "Dossier": """dossier.submitted dossier.accepted dossier.refused dossier.status_changed dossier.withdrawn
        dossier.result_ready dossier.result_returned dossier.corrected""",
    "ProgressLine": "dossier.progressed",
    "SupplementRound": "dossier.supplement_requested dossier.supplement_answered",
    "Document": "document.sent",
    "DocumentStatus": "document.status_changed",
    "LandFile": """land.file_submitted land.file_transferred land.supplement_requested land.supplement_answered
        land.finished land.result_returned land.result_disputed land.receipt_assigned land.correction_requested
        land.wrong_procedure""",
    "ObligationRequest": "tax.obligation_requested",
    "ObligationReturn": "tax.obligation_returned",
    "TaxNotice": "tax.notice_issued",
    "ObligationCompletion": "tax.obligation_completed",
    "ComponentStatus": "dossier.component_changed",
    "Apology": "dossier.apology_sent",
    "Overdue": "dossier.overdue_detected",
    "Payment": "payment.evidenced payment.confirmed payment.refund_requested",
    "Notification": "notification.requested",
    "Agency": "reference.agency_changed",
    "ProcedureSignal": """procedure.timer_due procedure.child_opened procedure.child_progressed procedure.child_ended
        procedure.recall_requested procedure.compensation_requested""",
    "Receipt": "delivery.rejected",
    "Failure": "delivery.failed",
}


def test_the_event_types_and_their_records_are_these() -> None:
    expected = {event: record for record, events in EVENTS.items() for event in events.split()}
    assert {event: name.rpartition(".")[2] for event, name in EVENT_TYPES.items()} == expected


def test_every_record_has_an_event_a_schema_and_a_model() -> None:
    assert set(EVENT_TYPES.values()) == set(CURRENT) == set(RECORDS)


@pytest.mark.parametrize("name", NAMES)
def test_a_schema_stands_in_the_folder_of_its_family_under_its_own_name(name: str) -> None:
    _, _, family, record = name.split(".")
    file = re.sub("(?<=[a-z])(?=[A-Z])", "_", record).lower()
    assert (files("schemas") / family / f"{file}.avsc").is_file()


@pytest.mark.parametrize("name", NAMES)
def test_every_record_field_and_enumeration_says_what_it_is(name: str) -> None:
    for kind in types(CURRENT[name]):
        assert len(kind["doc"]) > 10, kind["name"]
        for field in kind.get("fields", []):
            assert len(field["doc"].strip()) > 4, f"{kind['name']}.{field['name']}"


@pytest.mark.parametrize("name", NAMES)
def test_every_enumeration_can_grow_without_meaning_something_else_to_older_readers(name: str) -> None:
    for kind in types(CURRENT[name]):
        if kind["type"] == "enum":
            assert kind["default"] == "UNKNOWN", kind["name"]
            assert "UNKNOWN" in kind["symbols"], kind["name"]


@pytest.mark.parametrize("name", NAMES)
def test_every_union_is_one_optional_type_with_null_as_its_default(name: str) -> None:
    for kind in types(CURRENT[name]):
        for field in kind.get("fields", []):
            if isinstance(field["type"], list):
                first, *others = field["type"]
                assert (first, len(others)) == ("null", 1), field["name"]
                assert field.get("default", "required") is None, field["name"]


@pytest.mark.parametrize("name", NAMES)
def test_times_are_micros_in_utc_and_days_are_local_dates_by_their_names(name: str) -> None:
    for kind in types(CURRENT[name]):
        for field in kind.get("fields", []):
            logical = _logical(field["type"])
            if field["name"].endswith("_at") or field["name"] == "deadline":
                assert logical == "timestamp-micros", field["name"]
                assert "UTC" in field["doc"], field["name"]
            elif logical is not None:
                assert logical == "date", field["name"]
                assert "local date" in field["doc"], field["name"]


@pytest.mark.parametrize("name", NAMES)
def test_money_is_a_whole_number_of_dong(name: str) -> None:
    for kind in types(CURRENT[name]):
        for field in kind.get("fields", []):
            if field["name"] in ("amount", "total", "file_total", "transfer_price"):
                assert field["type"] in ("long", ["null", "long"]), field["name"]
                assert "VND" in field["doc"], field["name"]


def test_a_type_that_several_families_use_is_the_same_in_all() -> None:
    seen: dict[str, Any] = {}
    for name in NAMES:
        for kind in types(CURRENT[name]):
            assert seen.setdefault(kind["name"], kind) == kind, f"{kind['name']} in {name}"


def test_the_wheel_carries_every_schema(tmp_path: Path) -> None:
    (wheel,) = WheelBuilder(str(ROOT)).build(directory=str(tmp_path), versions=["standard"])
    with zipfile.ZipFile(wheel) as packed:
        inside = {name for name in packed.namelist() if name.endswith(".avsc")}
    assert inside == {str(path.relative_to(ROOT)) for path in (ROOT / "schemas").rglob("*.avsc")}
    assert len(inside) == len(CURRENT) + len(released_schemas())


def _logical(kind: Any) -> str | None:
    if isinstance(kind, list):
        return next((found for branch in kind if (found := _logical(branch))), None)
    return kind.get("logicalType") if isinstance(kind, dict) else None
