"""Payloads: Avro single-object encoding written, single-object and Confluent framing read.

Single-object encoding is ``C3 01``, the CRC-64-AVRO fingerprint of the writer's schema (8 bytes, little endian) and the
body, so it needs no registry. Confluent framing is ``00`` and a 4-byte big-endian schema id. Whatever the bytes are,
``decode`` answers with a record or raises ``MalformedPayload`` or ``UnknownSchema``, and nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping
from io import BytesIO
from typing import Any, Final, NamedTuple

from fastavro import parse_schema, schemaless_reader, schemaless_writer
from fastavro.schema import fingerprint, to_parsing_canonical_form

from router.errors import MalformedPayload, UnknownSchema
from schemas.catalogue import EVENT_TYPES, current_schemas, released_schemas

SINGLE_OBJECT: Final = b"\xc3\x01"
CONFLUENT: Final = 0
_HEAD: Final = 10


class Writer(NamedTuple):
    """A writer's schema, parsed, with the record's full name."""

    name: str
    schema: Any


class PackagedSchemas:
    """The schemas of this release and every released version before it; registry ids as they were registered."""

    def __init__(self, ids: Mapping[int, bytes] | None = None) -> None:
        self._by_fingerprint: dict[bytes, Writer] = {}
        self._ids = dict(ids or {})
        for schema in [*released_schemas(), *current_schemas().values()]:
            name = f"{schema['namespace']}.{schema['name']}"
            self._by_fingerprint[fingerprint_of(schema)] = Writer(name, parse_schema(schema))

    def by_fingerprint(self, wanted: bytes) -> Writer:
        """The schema with this fingerprint. Raises ``UnknownSchema``."""
        try:
            return self._by_fingerprint[wanted]
        except KeyError:
            raise UnknownSchema(f"fingerprint {wanted.hex()}") from None

    def by_id(self, schema_id: int) -> Writer:
        """The schema a registry knows by this id. Raises ``UnknownSchema``."""
        if schema_id not in self._ids:
            raise UnknownSchema(f"registry id {schema_id}")
        return self.by_fingerprint(self._ids[schema_id])


class Codec:
    """Encodes with today's schemas; decodes what any known schema wrote into today's shape."""

    def __init__(self, schemas: PackagedSchemas) -> None:
        self._schemas = schemas
        self._current: dict[str, tuple[bytes, Any]] = {}
        for name, schema in current_schemas().items():
            self._current[name] = (SINGLE_OBJECT + fingerprint_of(schema), parse_schema(schema))

    def encode(self, event_type: str, record: Mapping[str, Any]) -> bytes:
        """The payload of an event type. Raises ``UnknownSchema`` for a type that is not in the catalogue and
        ``MalformedPayload`` for a record that does not fit.
        """
        name = EVENT_TYPES.get(event_type)
        if name is None:
            raise UnknownSchema(f"event type {event_type} is not in the catalogue")
        return self.encode_record(name, record)

    def encode_record(self, name: str, record: Mapping[str, Any]) -> bytes:
        """A record by its full name."""
        head, schema = self._current[name]
        out = BytesIO()
        out.write(head)
        try:
            schemaless_writer(out, schema, record, strict=True)
        except Exception as error:
            raise MalformedPayload(f"{name}: the record does not fit its schema ({type(error).__name__})") from None
        return out.getvalue()

    def decode(self, payload: bytes) -> dict[str, Any]:
        """The record in a payload, in today's shape of its schema."""
        writer, start = self._writer(payload)
        body = BytesIO(payload)
        body.seek(start)
        current = self._current.get(writer.name)
        try:
            record = schemaless_reader(body, writer.schema, current[1] if current else None)
        except Exception as error:
            raise MalformedPayload(f"{writer.name}: not a record of its schema ({type(error).__name__})") from None
        if body.tell() != len(payload):
            raise MalformedPayload(f"{writer.name}: {len(payload) - body.tell()} bytes behind the record")
        assert isinstance(record, dict)
        return record

    def record_name(self, payload: bytes) -> str:
        """The full name of the record in a payload, without decoding it."""
        return self._writer(payload)[0].name

    def _writer(self, payload: bytes) -> tuple[Writer, int]:
        if payload[:2] == SINGLE_OBJECT and len(payload) >= _HEAD:
            return self._schemas.by_fingerprint(payload[2:_HEAD]), _HEAD
        if payload[:1] == bytes([CONFLUENT]) and len(payload) >= 5:
            return self._schemas.by_id(int.from_bytes(payload[1:5], "big")), 5
        raise MalformedPayload("neither single-object encoding nor Confluent framing")


def fingerprint_of(schema: Mapping[str, Any]) -> bytes:
    """CRC-64-AVRO of the parsing canonical form, as it stands in the payload."""
    canonical = to_parsing_canonical_form(dict(schema))
    return bytes.fromhex(fingerprint(canonical, "CRC-64-AVRO"))
