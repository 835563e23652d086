"""Values refused before they are written, because fastavro would bend them without a word.

A time without a zone would be taken for UTC, an instant given as a date would become the date in UTC (yesterday's, in
Vietnam, until 07:00), an amount would lose its fraction, and anything at all would become true or false.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, datetime
from typing import Any, Final, TypeAlias

#: Passes a value of one schema, or raises ``TypeError``. None: the schema has nothing that could be bent.
Require: TypeAlias = Callable[[Any], None] | None


def requirement_of(schema: Any, named: dict[str, Require] | None = None) -> Require:
    """The requirement of a schema in its JSON form. Types are known by their name behind their definition."""
    named = {} if named is None else named
    if isinstance(schema, list):
        return _any_of([requirement_of(branch, named) for branch in schema if branch != "null"])
    if isinstance(schema, str):
        return _BENT[schema] if schema in _BENT else named.get(schema.rpartition(".")[2])
    kind, logical = schema["type"], schema.get("logicalType")
    if logical is not None:
        return _is_instant if logical == "timestamp-micros" else _is_date
    if kind == "record":
        own = _fields({field["name"]: requirement_of(field["type"], named) for field in schema["fields"]})
        named[schema["name"]] = own
        return own
    if kind == "array":
        return _each(requirement_of(schema["items"], named))
    return None


def _any_of(branches: list[Require]) -> Require:
    """Of an optional value: its one branch besides null."""
    only = branches[0] if len(branches) == 1 else None
    if only is None:
        return None

    def require(value: Any) -> None:
        if value is not None:
            only(value)

    return require


def _fields(requirements: Mapping[str, Require]) -> Require:
    held = [(name, require) for name, require in requirements.items() if require is not None]
    if not held:
        return None

    def require_all(value: Any) -> None:
        for name, require in held:
            if name in value:
                require(value[name])

    return require_all


def _each(item: Require) -> Require:
    if item is None:
        return None

    def require(value: Any) -> None:
        for one in value:
            item(one)

    return require


def _is_bool(value: Any) -> None:
    if type(value) is not bool:
        raise TypeError("not a truth value")


def _is_whole(value: Any) -> None:
    if type(value) is not int:
        raise TypeError("not a whole number")


def _is_instant(value: Any) -> None:
    if not isinstance(value, datetime) or value.tzinfo is None:
        raise TypeError("not an instant with its zone")


def _is_date(value: Any) -> None:
    if type(value) is not date:
        raise TypeError("not a date")


_BENT: Final[Mapping[str, Require]] = {"boolean": _is_bool, "int": _is_whole, "long": _is_whole}
