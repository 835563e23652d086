"""Models and schemas say the same, field by field; the catalogue and the schemas cover each other."""

from __future__ import annotations

import types
from collections.abc import Iterator
from datetime import date
from enum import StrEnum
from typing import Any, Union, get_args, get_origin, get_type_hints

import pytest
from pydantic import AwareDatetime, BaseModel

from router.sdk.records import RECORDS
from schemas.catalogue import EVENT_TYPES, current_schemas

SCHEMAS = current_schemas()
PYTHON = {"string": str, "int": int, "long": int, "double": float, "boolean": bool}
LOGICAL = {"timestamp-micros": AwareDatetime, "date": date}


def named_types(schema: Any) -> Iterator[dict[str, Any]]:
    """A schema and every record or enum inside it."""
    if isinstance(schema, list):
        for branch in schema:
            yield from named_types(branch)
    elif isinstance(schema, dict):
        if schema["type"] in ("record", "enum"):
            yield schema
        for field in schema.get("fields", ()):
            yield from named_types(field["type"])
        for inner in ("items", "values"):
            yield from named_types(schema.get(inner, []))
        if isinstance(schema["type"], dict | list):
            yield from named_types(schema["type"])


def without_null(annotation: Any) -> tuple[Any, bool]:
    """An annotation without its ``None``, and whether it had one."""
    if get_origin(annotation) in (Union, types.UnionType):
        (inner,) = [a for a in get_args(annotation) if a is not type(None)]
        return inner, True
    return annotation, False


def agree(where: str, annotation: Any, schema: Any, named: dict[str, Any]) -> None:
    """Asserts that a model's annotation and a schema mean the same values."""
    annotation, optional = without_null(annotation)
    assert isinstance(schema, list) == optional, f"{where}: optional on one side only"
    if optional:
        (schema,) = [branch for branch in schema if branch != "null"]
    if isinstance(schema, str) and schema not in PYTHON:
        schema = named[schema.rpartition(".")[2]]
    kind = schema if isinstance(schema, str) else schema["type"]
    if isinstance(schema, dict) and "logicalType" in schema:
        assert annotation is LOGICAL[schema["logicalType"]], where
    elif kind == "array":
        assert get_origin(annotation) is tuple, where
        agree(f"{where}[]", get_args(annotation)[0], schema["items"], named)
    elif kind == "map":
        assert get_args(annotation)[0] is str, where
        agree(f"{where}{{}}", get_args(annotation)[1], schema["values"], named)
    elif kind == "enum":
        assert issubclass(annotation, StrEnum), where
        assert [member.value for member in annotation] == schema["symbols"], where
    elif kind == "record":
        same_fields(where, annotation, schema, named)
    else:
        assert annotation is PYTHON[kind], where


def same_fields(where: str, model: type[BaseModel], schema: dict[str, Any], named: dict[str, Any]) -> None:
    """Asserts that a model and a record's schema have the same fields in the same order."""
    assert list(model.model_fields) == [field["name"] for field in schema["fields"]], where
    hints = get_type_hints(model)
    for field in schema["fields"]:
        here = f"{where}.{field['name']}"
        agree(here, hints[field["name"]], field["type"], named)
        assert model.model_fields[field["name"]].is_required() == ("default" not in field), f"{here}: default"


@pytest.mark.parametrize("name", sorted(RECORDS))
def test_model_and_schema_agree(name):
    named = {schema["name"]: schema for schema in named_types(SCHEMAS[name])}
    same_fields(name, RECORDS[name], SCHEMAS[name], named)


def test_every_schema_has_a_model_and_every_model_a_schema():
    assert set(RECORDS) == set(SCHEMAS)


def test_every_event_type_has_a_schema_and_every_schema_an_event_type():
    assert set(EVENT_TYPES.values()) == set(SCHEMAS)


@pytest.mark.parametrize("name", sorted(SCHEMAS))
def test_every_record_enum_and_field_has_a_doc(name):
    for schema in named_types(SCHEMAS[name]):
        assert schema.get("doc", "").strip(), schema["name"]
        for field in schema.get("fields", ()):
            assert field.get("doc", "").strip(), f"{schema['name']}.{field['name']}"


@pytest.mark.parametrize("name", sorted(SCHEMAS))
def test_every_enum_can_grow(name):
    for schema in named_types(SCHEMAS[name]):
        if schema["type"] == "enum":
            assert schema["default"] in schema["symbols"], schema["name"]
