"""Field tables: how a partner's names, dates and codes stand for those of a record. One table serves both directions.

A table is a tuple of ``Field``; a domain expert can read it in a diff.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Any, Final

from router.errors import BadRequest
from router.sdk.dates import Format

#: A whole number as text, plain or with its thousands set apart as Vietnamese do it: 1200000 or 1.200.000.
_WHOLE: Final = re.compile(r"-?(?:[0-9]{1,30}|[0-9]{1,3}(?:\.[0-9]{3}){1,9})")


@dataclass(frozen=True, slots=True)
class Codes:
    """A partner's codes for the symbols of an enumeration. ``other`` is the symbol for a code that is not listed."""

    symbols: Mapping[str, str]  # partner's code → symbol
    other: str = "UNKNOWN"

    def read(self, code: Any) -> str:
        """The symbol of a code."""
        return self.symbols.get(str(code), self.other)

    def write(self, symbol: str) -> str:
        """The first code of a symbol; empty where the partner has none."""
        return next((code for code, known in self.symbols.items() if known == symbol), "")


@dataclass(frozen=True, slots=True)
class Field:
    """``partner`` is the partner's name, ``ours`` the record's.

    ``format`` reads and writes instants (or dates with ``day``); ``codes`` enumerations; ``fields`` nested records,
    ``many`` lists of them, or of texts. ``number`` is a whole number that the partner may write as text; ``required``
    is refused when it is missing or empty.
    """

    partner: str
    ours: str
    format: Format | None = None
    day: bool = False
    codes: Codes | None = None
    fields: Sequence[Field] = ()
    many: bool = False
    number: bool = False
    flag: bool = False
    required: bool = False


def read(values: Any, table: Sequence[Field], where: str = "") -> dict[str, Any]:
    """A partner's object as the keyword arguments of a record. Raises ``BadRequest`` naming the field.

    Fields that the partner leaves out, or sends empty, are left out.
    """
    if not isinstance(values, Mapping):
        raise wrong(where or "body", "một đối tượng JSON", "a JSON object")
    found: dict[str, Any] = {}
    for field in table:
        value = values.get(field.partner)
        name = f"{where}.{field.partner}" if where else field.partner
        if value is None or value in ("", []):
            if field.required:
                raise wrong(name, "bắt buộc phải có", "a value")
            continue
        found[field.ours] = _read_value(value, field, name)
    return found


def write(record: Any, table: Sequence[Field]) -> dict[str, Any]:
    """A record (model or mapping) as the partner's object; empty parts are left out."""
    made: dict[str, Any] = {}
    for field in table:
        value = record.get(field.ours) if isinstance(record, Mapping) else getattr(record, field.ours)
        if value is None or (isinstance(value, tuple | list) and not value):
            continue
        made[field.partner] = _write_value(value, field)
    return made


def wrong(name: str, vi: str, en: str) -> BadRequest:
    """The refusal of a field: what is expected, in Vietnamese and English; never the value."""
    return BadRequest(f"Trường {name} không hợp lệ: {vi}", f"field {name}: expected {en}")


def _read_value(value: Any, field: Field, name: str) -> Any:
    if field.many:
        if not isinstance(value, Sequence) or isinstance(value, str):
            raise wrong(name, "một danh sách", "a list")
        return tuple(_read_one(item, field, f"{name}[{index}]") for index, item in enumerate(value))
    return _read_one(value, field, name)


def _read_one(value: Any, field: Field, name: str) -> Any:
    if field.fields:
        return read(value, field.fields, name)
    if field.format is not None:
        reading = field.format.read_date if field.day else field.format.read
        try:
            return reading(str(value), name)
        except ValueError:
            raise wrong(name, field.format.written, field.format.written) from None
    if field.codes is not None:
        return field.codes.read(value)
    if field.number:
        return _whole(value, name)
    if field.flag:
        return str(value).lower() in ("true", "1")
    if not isinstance(value, str | int | float):
        raise wrong(name, "một chuỗi", "a text")
    return str(value)


def _whole(value: Any, name: str) -> int:
    """A whole number. A fraction is refused, not rounded: most of these are amounts of money."""
    if isinstance(value, str) and _WHOLE.fullmatch(value.strip()):
        return int(value.replace(".", ""))
    if isinstance(value, int | float) and not isinstance(value, bool) and value == value // 1:
        return int(value)
    raise wrong(name, "một số nguyên", "a whole number")


def _write_value(value: Any, field: Field) -> Any:
    if field.many:
        return [_write_one(item, field) for item in value]
    return _write_one(value, field)


def _write_one(value: Any, field: Field) -> Any:
    if field.fields:
        return write(value, field.fields)
    if field.format is not None:
        if isinstance(value, datetime):
            return field.format.write(value)
        if isinstance(value, date):
            return field.format.write_date(value)
    if field.codes is not None:
        return field.codes.write(str(value))
    return value.value if isinstance(value, StrEnum) else value
