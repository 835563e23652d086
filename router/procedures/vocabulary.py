"""What events tell: the facts of each event type, with their kinds and values, as the reader of facts makes them.

Nothing is written down twice: a record is made up from each schema, with every choice of its enums, and read as an
event is read. What comes out are the names and values that a guard may use.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import cache
from typing import Any, Final

from router.procedures.facts import facts_of
from schemas.catalogue import EVENT_TYPES, current_schemas

_MADE_UP: Final[Mapping[str, Any]] = {
    "string": "1", "int": 1, "long": 1, "boolean": True, "bytes": b"", "float": 1.0, "double": 1.0, "null": None,
    "timestamp-micros": datetime(2025, 8, 4, tzinfo=UTC), "date": date(2025, 8, 4),
}  # fmt: skip
_KINDS: Final[Mapping[type, str]] = {bool: "truth", int: "number", str: "text", list: "list"}


@dataclass(frozen=True, slots=True)
class Fact:
    """One fact of an event type. ``values`` are all it can be, for facts that come of an enum; empty: not limited."""

    kind: str  # text, number, truth or list
    values: tuple[str | int, ...] = ()


def event_types(pattern: str) -> list[str]:
    """Event types that a name or ``name.*`` means."""
    if pattern.endswith("*"):
        return [name for name in EVENT_TYPES if name.startswith(pattern[:-1])]
    return [pattern] if pattern in EVENT_TYPES else []


@cache
def facts_told(event_type: str) -> Mapping[str, Fact]:
    """The facts of an event type by name. Raises ``KeyError`` for one that does not exist."""
    schemas, named = _schemas()
    schema = schemas[EVENT_TYPES[event_type]]
    record = {field["name"]: _sample(field["type"], named) for field in schema["fields"]}
    facts = facts_of(event_type, record, "H00")
    varied: dict[str, dict[str | int, None]] = {}
    for field in schema["fields"]:
        told = [facts_of(event_type, {**record, field["name"]: symbol}) for symbol in _symbols(field["type"], named)]
        for name in (name for name, value in facts.items() if isinstance(value, str | int)):
            values = dict.fromkeys(one[name] for one in told if name in one)
            if len(values) > 1:
                varied.setdefault(name, {}).update(values)
    return {name: Fact(_KINDS[type(value)], tuple(varied.get(name, ()))) for name, value in facts.items()}


@cache
def _schemas() -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """The records by full name, and whatever they name inside by its short one."""
    schemas = current_schemas()
    return schemas, {name: each for schema in schemas.values() for name, each in _named(schema)}


def _sample(shape: Any, named: Mapping[str, Any]) -> Any:
    """A value of an Avro type with nothing left out."""
    if isinstance(shape, list):
        return _sample(next(each for each in shape if each != "null"), named)
    if isinstance(shape, str):
        return _MADE_UP[shape] if shape in _MADE_UP else _sample(named[shape.rpartition(".")[2]], named)
    match shape["type"]:
        case "record":
            return {field["name"]: _sample(field["type"], named) for field in shape["fields"]}
        case "array":
            return [_sample(shape["items"], named)]
        case "map":
            return {"1": _sample(shape["values"], named)}
        case "enum":
            return next(symbol for symbol in shape["symbols"] if symbol != "UNKNOWN")
        case inner:
            return _MADE_UP[shape["logicalType"]] if "logicalType" in shape else _sample(inner, named)


def _symbols(shape: Any, named: Mapping[str, Any]) -> list[str]:
    """The symbols of an enum, or of an optional one; none for other types."""
    for each in shape if isinstance(shape, list) else [shape]:
        found = named.get(each.rpartition(".")[2]) if isinstance(each, str) else each
        if isinstance(found, Mapping) and found["type"] == "enum":
            return list(found["symbols"])
    return []


def _named(shape: Any) -> Iterator[tuple[str, Any]]:
    """Every record and enum that a schema names, inside it too."""
    if isinstance(shape, list):
        for each in shape:
            yield from _named(each)
    elif isinstance(shape, Mapping):
        if shape["type"] in ("record", "enum"):
            yield shape["name"], shape
        for field in shape.get("fields", ()):
            yield from _named(field["type"])
        yield from _named(shape.get("items", "null"))
        yield from _named(shape["type"])
