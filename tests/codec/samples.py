"""A payload of each record, filled in every field, made once."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Any

from router.codec import Codec, PackagedSchemas
from schemas.catalogue import current_schemas

CURRENT = current_schemas()
NAMES = sorted(CURRENT)
STORE = PackagedSchemas()
CODEC = Codec(STORE)

VALUES: Mapping[str, Any] = {
    "string": "Nguyễn Văn A, xã Đức Hòa",
    "boolean": True,
    "int": -(2**31),
    "long": 2**63 - 1,
    "double": 120.5,
}


def filled(schema: Any, named: dict[str, Any] | None = None) -> Any:
    """A value with something in every optional field and list."""
    named = {} if named is None else named
    if isinstance(schema, list):
        return filled(schema[1], named)
    if isinstance(schema, str):
        return VALUES[schema] if schema in VALUES else named[schema.rpartition(".")[2]]
    match schema:
        case {"logicalType": "timestamp-micros"}:
            return datetime(2025, 8, 15, 2, 30, 0, 123456, tzinfo=UTC)
        case {"logicalType": "date"}:
            return date(2025, 8, 15)
        case {"type": "enum"}:
            return named.setdefault(schema["name"], schema["symbols"][-1])
        case {"type": "array"}:
            return [filled(schema["items"], named)] * 2
        case {"type": "map"}:
            return {"ten": filled(schema["values"], named)}
    made = {field["name"]: filled(field["type"], named) for field in schema["fields"]}
    return named.setdefault(schema["name"], made)


RECORDS: Mapping[str, dict[str, Any]] = {name: filled(schema) for name, schema in CURRENT.items()}
PAYLOADS: Mapping[str, bytes] = {name: CODEC.encode_record(name, record) for name, record in RECORDS.items()}


def zigzag(number: int) -> bytes:
    """A number as Avro writes it."""
    left = (number << 1) ^ (number >> 63)
    out = bytearray()
    while left > 127:
        out.append(left & 127 | 128)
        left >>= 7
    out.append(left)
    return bytes(out)
