"""A walk over the named types of a schema."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


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
