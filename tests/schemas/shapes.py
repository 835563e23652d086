"""Values of any schema, for hypothesis; and a walk over a schema's named types."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime
from typing import Any

from hypothesis import strategies as st

TEXT = st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=12)
INSTANTS = st.datetimes(datetime(1900, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC))
PRIMITIVES: Mapping[str, st.SearchStrategy[Any]] = {
    "null": st.none(),
    "string": TEXT | st.sampled_from(["Nguyễn Văn A", "Đường số 9, xã Đức Hòa", "\x00", "\U0001f600"]),
    "boolean": st.booleans(),
    "int": st.integers(-(2**31), 2**31 - 1),
    "long": st.integers(-(2**63), 2**63 - 1),
    "double": st.floats(allow_nan=False, allow_infinity=False),
}


def values(schema: Any, named: dict[str, Any] | None = None) -> st.SearchStrategy[Any]:
    """Values that fit a schema, as the codec gives and takes them."""
    named = {} if named is None else named
    if isinstance(schema, list):
        return st.one_of([values(branch, named) for branch in schema])
    if isinstance(schema, str):
        return PRIMITIVES[schema] if schema in PRIMITIVES else named[schema.rpartition(".")[2]]
    match schema:
        case {"logicalType": "timestamp-micros"}:
            return INSTANTS
        case {"logicalType": "date"}:
            return st.dates(date(1900, 1, 1), date(2200, 1, 1))
        case {"type": "enum"}:
            return named.setdefault(schema["name"], st.sampled_from(schema["symbols"]))
        case {"type": "array"}:
            return st.lists(values(schema["items"], named), max_size=3)
        case {"type": "map"}:
            return st.dictionaries(TEXT, values(schema["values"], named), max_size=3)
        case {"type": "record"}:
            fields = {field["name"]: values(field["type"], named) for field in schema["fields"]}
            return named.setdefault(schema["name"], st.fixed_dictionaries(fields))
    raise AssertionError(f"no values for {schema}")


def types(schema: Any) -> Iterator[Mapping[str, Any]]:
    """Every record and enumeration a schema defines, itself first."""
    if isinstance(schema, list):
        for branch in schema:
            yield from types(branch)
    elif isinstance(schema, dict):
        if schema["type"] in ("record", "enum"):
            yield schema
        for field in schema.get("fields", []):
            yield from types(field["type"])
        for inner in ("items", "values"):
            yield from types(schema.get(inner))
        if isinstance(schema["type"], dict | list):
            yield from types(schema["type"])
