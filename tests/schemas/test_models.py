"""Typed records against their schemas: the same fields, and nothing personal in what is printed."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from enum import StrEnum
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import AwareDatetime, BaseModel, ValidationError
from pydantic.fields import FieldInfo

from router.codec import Codec, PackagedSchemas
from router.sdk.records import RECORDS, Applicant, Record
from schemas.catalogue import current_schemas
from tests.codec.avro_values import values

CURRENT = current_schemas()
NAMES = sorted(CURRENT)
CODEC = Codec(PackagedSchemas())
PLAIN = {"string": str, "boolean": bool, "int": int, "long": int, "double": float}
LIMITS = {"int": 2**31 - 1, "long": 2**63 - 1}


def disagreements(schema: Any, annotation: Any, named: dict[str, Any], place: str) -> list[str]:
    """Where a schema's type and a model's annotation say different things."""
    if isinstance(schema, list):
        branches = set(get_args(annotation)) if get_origin(annotation) in (Union, UnionType) else {annotation}
        if NoneType not in branches:
            return [f"{place}: optional in the schema only"]
        (inner,) = branches - {NoneType}
        return disagreements(schema[1], inner, named, place)
    if get_origin(annotation) in (Union, UnionType):
        return [f"{place}: optional in the model only"]
    base = annotation.__origin__ if hasattr(annotation, "__metadata__") else annotation
    if isinstance(schema, str):
        schema = named.get(schema.rpartition(".")[2], schema)
    match schema:
        case str():
            return [] if base is PLAIN[schema] else [f"{place}: {schema} against {annotation}"]
        case {"logicalType": "timestamp-micros"}:
            return [] if base is AwareDatetime else [f"{place}: {annotation} is no instant with its zone"]
        case {"logicalType": "date"}:
            return [] if base is date else [f"{place}: {annotation} is no date"]
        case {"type": "enum", "symbols": symbols}:
            named[schema["name"]] = schema
            same = isinstance(base, type) and issubclass(base, StrEnum) and [m.value for m in base] == symbols
            return [] if same and base.__name__ == schema["name"] else [f"{place}: symbols of {annotation}"]
        case {"type": "array", "items": items}:
            return disagreements(items, get_args(annotation)[0], named, place) + (
                [] if get_origin(annotation) is tuple else [f"{place}: not a tuple"]
            )
        case {"type": "map", "values": held}:
            key, inner = get_args(annotation)
            return disagreements("string", key, named, place) + disagreements(held, inner, named, place)
        case {"type": "record", "fields": fields}:
            named[schema["name"]] = schema
            return _record(schema["name"], fields, base, named)
    return [f"{place}: {schema}"]


def _record(name: str, fields: list[Mapping[str, Any]], model: type[BaseModel], named: dict[str, Any]) -> list[str]:
    found = [] if model.__name__ == name else [f"{name}: called {model.__name__}"]
    if [field["name"] for field in fields] != list(model.model_fields):
        return [*found, f"{name}: fields {list(model.model_fields)}"]
    for field in fields:
        held = model.model_fields[field["name"]]
        place = f"{name}.{field['name']}"
        found += disagreements(field["type"], held.annotation, named, place) + _default(field, held, place)
    return found


def _default(field: Mapping[str, Any], held: FieldInfo, place: str) -> list[str]:
    if ("default" in field) == held.is_required():
        return [f"{place}: one of the two requires it"]
    given_ = held.get_default(call_default_factory=True)
    same = held.is_required() or given_ == field["default"] or (given_ == () and field["default"] == [])
    return [] if same else [f"{place}: another default"]


@pytest.mark.parametrize("name", NAMES)
def test_model_and_schema_agree_field_by_field(name: str) -> None:
    assert disagreements(CURRENT[name], RECORDS[name], {}, name) == []


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"name": "code", "type": "long"}, "Notification.code: long"),
        ({"name": "code", "type": ["null", "string"], "default": None}, "Notification.code: optional in the schema"),
        ({"name": "code", "type": "string", "default": ""}, "Notification.code: one of the two requires it"),
        ({"name": "number", "type": "string"}, "Notification: fields"),
    ],
)
def test_the_comparison_notices_a_difference(change: dict[str, Any], expected: str) -> None:
    name = "vn.lgsp.notification.Notification"
    changed = {**CURRENT[name], "fields": [change, *CURRENT[name]["fields"][1:]]}
    assert any(found.startswith(expected) for found in disagreements(changed, RECORDS[name], {}, name))


@pytest.mark.parametrize("name", NAMES)
def test_a_record_comes_back_as_it_was_sent(name: str) -> None:
    model = RECORDS[name]

    @settings(deadline=None, max_examples=40)
    @given(data=values(CURRENT[name]))
    def comes_back(data: dict[str, Any]) -> None:
        record = model.model_validate(data)
        assert model.model_validate(CODEC.decode(CODEC.encode_record(name, record.model_dump()))) == record

    comes_back()


@pytest.mark.parametrize("name", NAMES)
def test_a_record_takes_no_field_it_does_not_know(name: str) -> None:
    with pytest.raises(ValidationError, match="Extra inputs are not permitted"):
        RECORDS[name].model_validate({"unheard_of": 1})


def test_a_time_without_a_zone_is_refused() -> None:
    with pytest.raises(ValidationError, match="timezone"):
        RECORDS["vn.lgsp.document.DocumentStatus"].model_validate(
            {
                "document_id": "1",
                "sender": {"organ_id": "H39", "name": "Sở"},
                "status": "ARRIVED",
                "raw_status": "01",
                "stated_at": datetime(2026, 1, 1),
            }
        )


@settings(deadline=None)
@given(area=st.sampled_from([float("nan"), float("inf"), float("-inf")]))
def test_an_area_that_is_no_number_is_refused(area: float) -> None:
    with pytest.raises(ValidationError, match="finite number"):
        RECORDS["vn.lgsp.land.LandFile"].model_validate(
            {"message": "L1", "code": "1", "parcels": [{"parcel_number": "1", "map_sheet": "1", "area": area}]}
        )


#: Text fields that name no person: codes, numbers, vocabularies and names of agencies. A text field that is not here
#: has to stay out of what is printed.
PUBLIC = {
    field
    for line in (
        "code alternative_code portal_id procedure procedure_name sector agency receiving_agency raw_status",
        "raw_channel raw_level submitted_where round_id state title unit collection object_key sha256",
        "media_type role document_id number notation organ_id in_charge promulgation_place document_type",
        "type_name signer_position business_reason steering_type response_for organ_ids one_stop_code",
        "land_code province district commune state_code end_state template branch replaces procedure_kind",
        "legal_basis exemption_grounds obligation_number tax_kind sub_item file_hash notice_number",
        "confirmed_by partner reference transaction currency gateway agency_id old_code parent successors",
        "event_source event_id event_type cause reason partner_code parcel_number map_sheet origin purpose",
        "term component component_code document_number correction_authority waits_for related_key role kind",
        "parent_code organ_id",
    )
    for field in line.split()
}
#: Fields whose name is public in one record and personal in another.
PUBLIC_HERE = {
    ("Fee", "name"),
    ("Party", "name"),
    ("Agency", "name"),
    ("Agency", "level"),
    ("Agency", "center_code"),
    ("AgencyCode", "value"),
    ("AgencyService", "role"),
    ("AgencyService", "recipient"),
    ("AgencySuccession", "successor"),
    ("AgencySuccession", "discriminator"),
    ("Receipt", "recipient"),
    ("Failure", "recipient"),
    ("ProcedureSignal", "name"),
    ("ProcedureSignal", "text"),
    ("Apology", "channel"),
}
PERSONAL_HERE = {
    ("LandFile", "reason"),
    ("ObligationReturn", "reason"),
    ("ComponentStatus", "reason"),
    ("Apology", "reason"),
}


def models(model: type[BaseModel]) -> set[type[BaseModel]]:
    found = {model}
    for field in model.model_fields.values():
        for inner in _inner(field.annotation):
            found |= models(inner)
    return found


def _inner(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [found for argument in get_args(annotation) for found in _inner(argument)]


def _is_text(annotation: Any) -> bool:
    return annotation is str or any(_is_text(argument) for argument in get_args(annotation))


@pytest.mark.parametrize("name", NAMES)
def test_a_text_that_may_name_a_person_stays_out_of_what_is_printed(name: str) -> None:
    for model in models(RECORDS[name]):
        for field, held in model.model_fields.items():
            place = (model.__name__, field)
            public = place in PUBLIC_HERE or (field in PUBLIC and place not in PERSONAL_HERE)
            if _is_text(held.annotation) and not public:
                assert not held.repr, f"{model.__name__}.{field} is printed"


def test_who_an_applicant_is_is_not_printed() -> None:
    applicant = Applicant(
        name="Nguyễn Văn A",
        kind="CITIZEN",
        identity_number="079085001234",
        tax_code="8001234567",
        birth_date=date(1985, 3, 4),
        address="Số 1, đường số 9",
        phone="0912345678",
        email="a@example.vn",
    )
    assert repr(applicant) == "Applicant(kind=<ApplicantKind.CITIZEN: 'CITIZEN'>)"
    assert str(applicant) == "kind=<ApplicantKind.CITIZEN: 'CITIZEN'>"


@pytest.mark.parametrize("model", [Applicant, *RECORDS.values()])
def test_an_error_does_not_repeat_what_it_was_given(model: type[Record]) -> None:
    with pytest.raises(ValidationError) as refused:
        model.model_validate({field: {"x": "079085001234"} for field in model.model_fields})
    assert "079085001234" not in str(refused.value)
