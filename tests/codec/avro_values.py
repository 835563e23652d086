"""Hypothesis strategies for values of an Avro schema, as Python code holds them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any

from hypothesis import strategies as st

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
TEXT = st.text(max_size=12)
# Instants by their microseconds: the wire's own unit, so nothing is lost on the way.
INSTANTS = st.integers(-(10**15), 10**16).map(lambda micros: EPOCH + timedelta(microseconds=micros))
DAYS = st.dates(min_value=date(1900, 1, 1), max_value=date(2200, 1, 1))
PRIMITIVES: Mapping[str, st.SearchStrategy[Any]] = {
    "null": st.none(),
    "boolean": st.booleans(),
    "int": st.integers(-(2**31), 2**31 - 1),
    "long": st.integers(-(2**63), 2**63 - 1),
    "double": st.floats(allow_nan=False, allow_infinity=False),
    "bytes": st.binary(max_size=20),
    "string": TEXT,
}
LOGICAL = {"timestamp-micros": INSTANTS, "date": DAYS}


def values(schema: Any, named: dict[str, Any] | None = None, namespace: str = "") -> st.SearchStrategy[Any]:
    """Values that fit a schema; a named type may be used again by its name."""
    named = {} if named is None else named
    if isinstance(schema, list):
        return st.one_of(*(values(branch, named, namespace) for branch in schema))
    if isinstance(schema, str):
        if schema in PRIMITIVES:
            return PRIMITIVES[schema]
        return values(named.get(schema) or named[f"{namespace}.{schema}"], named, namespace)
    if schema.get("logicalType") in LOGICAL:
        return LOGICAL[schema["logicalType"]]
    kind = schema["type"]
    if kind in {"record", "enum"}:
        namespace = schema.get("namespace", namespace)
        named[f"{namespace}.{schema['name']}"] = schema
    if kind == "enum":
        return st.sampled_from(schema["symbols"])
    if kind == "array":
        return st.lists(values(schema["items"], named, namespace), max_size=2)
    if kind == "map":
        return st.dictionaries(TEXT, values(schema["values"], named, namespace), max_size=2)
    if kind == "record":
        fields = {field["name"]: values(field["type"], named, namespace) for field in schema["fields"]}
        return st.fixed_dictionaries(fields)
    return values(kind, named, namespace)
