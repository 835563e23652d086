"""Payloads: Avro single-object encoding or Confluent framing written, both read.

Single-object encoding is ``C3 01``, the CRC-64-AVRO fingerprint of the writer's schema (8 bytes, little endian) and the
body, so it needs no registry. Confluent framing is ``00`` and a 4-byte big-endian schema id. Whatever the bytes are,
``decode`` answers with a record or raises ``MalformedPayload`` or ``UnknownSchema``, and nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping
from io import BytesIO
from typing import Any, Final, NamedTuple

from fastavro import parse_schema, schemaless_reader, schemaless_writer
from fastavro.read import SchemaResolutionError
from fastavro.schema import fingerprint, to_parsing_canonical_form

from router.errors import MalformedPayload, UnknownSchema
from router.ports import SchemaStore, WriterSchema
from router.values import Require, requirement_of
from router.wire import Check, check_of
from schemas.catalogue import EVENT_TYPES, current_schemas, released_schemas

SINGLE_OBJECT: Final = b"\xc3\x01"
CONFLUENT: Final = b"\x00"
_SINGLE_HEAD: Final = 10
_CONFLUENT_HEAD: Final = 5
#: What fastavro and the logical types raise for values or bytes that do not fit. Their texts can quote personal data,
#: so none of them is kept as a cause.
_UNFIT: Final = (ValueError, TypeError, LookupError, ArithmeticError, AttributeError, EOFError, SchemaResolutionError)


class PackagedSchemas:
    """The schemas of this release and of every release before it; registry ids as they were registered
    (id → fingerprint). A ``SchemaStore``.
    """

    def __init__(self, ids: Mapping[int, bytes] | None = None) -> None:
        self._ids = dict(ids or {})
        shipped = [*released_schemas(), *current_schemas().values()]
        self._by_fingerprint = {fingerprint_of(schema): WriterSchema(name_of(schema), schema) for schema in shipped}

    def by_fingerprint(self, wanted: bytes) -> WriterSchema:
        """The schema with this fingerprint. Raises ``UnknownSchema``."""
        if wanted not in self._by_fingerprint:
            raise UnknownSchema(f"fingerprint {wanted.hex()}")
        return self._by_fingerprint[wanted]

    def by_id(self, schema_id: int) -> WriterSchema:
        """The schema a registry knows by this id. Raises ``UnknownSchema``."""
        if schema_id not in self._ids:
            raise UnknownSchema(f"registry id {schema_id}")
        return self.by_fingerprint(self._ids[schema_id])


class _Current(NamedTuple):
    """Today's schema of a record: what goes before its bytes, and how values and bytes are checked."""

    head: bytes
    parsed: Any
    require: Require
    check: Check


class _Written(NamedTuple):
    """How payloads with one head are read. ``reader`` is none where the writer's schema is today's own."""

    name: str
    parsed: Any
    reader: Any
    check: Check


class Codec:
    """Encodes with today's schemas; decodes what any known schema wrote into today's shape of that record.

    ``ids`` (record's full name → registry id of today's schema) names the records written in Confluent framing; all
    others are written in single-object encoding. Reading takes both, always.
    """

    def __init__(self, store: SchemaStore, *, ids: Mapping[str, int] | None = None) -> None:
        self._store = store
        self._current: dict[str, _Current] = {}
        self._fingerprints: dict[bytes, str] = {}
        self._written: dict[bytes, _Written] = {}  # by head; only of schemas found, so what is unknown is asked again
        for name, schema in current_schemas().items():
            own = fingerprint_of(schema)
            self._fingerprints[own] = name
            head = CONFLUENT + ids[name].to_bytes(4, "big") if ids and name in ids else SINGLE_OBJECT + own
            self._current[name] = _Current(head, parse_schema(schema), requirement_of(schema), check_of(schema))

    def encode(self, event_type: str, record: Mapping[str, Any]) -> bytes:
        """The payload of an event type. Raises ``UnknownSchema`` for a type that is not in the catalogue and
        ``MalformedPayload`` for a record that does not fit.
        """
        name = EVENT_TYPES.get(event_type)
        if name is None:
            raise UnknownSchema(f"event type {event_type} is not in the catalogue")
        return self.encode_record(name, record)

    def encode_record(self, name: str, record: Mapping[str, Any]) -> bytes:
        """A record by its full name. Fields with a default may be left out. Raises as ``encode`` does."""
        if name not in self._current:
            raise UnknownSchema(f"{name} is not a record of this release")
        head, schema, require, check = self._current[name]
        out = BytesIO()
        out.write(head)
        try:
            if require is not None:
                require(record)
            schemaless_writer(out, schema, record, strict_allow_default=True)
            payload = out.getvalue()
            check(payload, len(head))
        except _UNFIT as error:
            raise MalformedPayload(f"{name}: the record does not fit its schema ({type(error).__name__})") from None
        return payload

    def decode(self, payload: bytes) -> dict[str, Any]:
        """The record in a payload, in today's shape of its schema. Raises ``MalformedPayload``, ``UnknownSchema``."""
        start = _head_length(payload)
        name, schema, reader, check = self._writer(payload[:start])
        body = BytesIO(payload)
        body.seek(start)
        try:
            end = check(payload, start)
            record = schemaless_reader(body, schema, reader) if end == len(payload) else None
        except _UNFIT as error:
            raise MalformedPayload(f"{name}: not a record of its schema ({type(error).__name__})") from None
        if not isinstance(record, dict):
            raise MalformedPayload(f"{name}: {len(payload) - end} bytes behind the record")
        return record

    def record_name(self, payload: bytes) -> str:
        """The full name of the record in a payload, without decoding it. Raises as ``decode`` does."""
        return self._writer(payload[: _head_length(payload)]).name

    def _writer(self, head: bytes) -> _Written:
        found = self._written.get(head)
        if found is None:
            found = self._written[head] = self._prepared(head)
        return found

    def _prepared(self, head: bytes) -> _Written:
        single = len(head) == _SINGLE_HEAD
        name, schema = (
            self._store.by_fingerprint(head[2:]) if single else self._store.by_id(int.from_bytes(head, "big"))
        )
        own = self._fingerprints.get(fingerprint_of(schema))
        if own is not None:
            return _Written(own, self._current[own].parsed, None, self._current[own].check)
        current = self._current.get(name)
        return _Written(name, parse_schema(dict(schema)), current.parsed if current else None, check_of(schema))


def fingerprint_of(schema: Mapping[str, Any]) -> bytes:
    """CRC-64-AVRO of the parsing canonical form, as it stands in the payload."""
    canonical = to_parsing_canonical_form(dict(schema))
    return bytes.fromhex(fingerprint(canonical, "CRC-64-AVRO"))


def name_of(schema: Mapping[str, Any]) -> str:
    """The full name of a record's schema."""
    return f"{schema['namespace']}.{schema['name']}"


def _head_length(payload: bytes) -> int:
    if payload[:2] == SINGLE_OBJECT and len(payload) >= _SINGLE_HEAD:
        return _SINGLE_HEAD
    if payload[:1] == CONFLUENT and len(payload) >= _CONFLUENT_HEAD:
        return _CONFLUENT_HEAD
    raise MalformedPayload("neither single-object encoding nor Confluent framing")
