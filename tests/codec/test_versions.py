"""Payloads of other versions of a record, read into today's shape."""

from __future__ import annotations

import copy
from datetime import UTC, datetime
from io import BytesIO
from typing import Any

import pytest
from fastavro import parse_schema, schemaless_writer

from router.codec import SINGLE_OBJECT, Codec, fingerprint_of
from router.errors import MalformedPayload, UnknownSchema
from router.ports import WriterSchema
from tests.codec.samples import CURRENT, RECORDS

NAME = "vn.lgsp.operations.Failure"


class Holding:
    """A store of the given schemas."""

    def __init__(self, *schemas: dict[str, Any]) -> None:
        self.held = {fingerprint_of(s): WriterSchema(f"{s['namespace']}.{s['name']}", s) for s in schemas}

    def by_fingerprint(self, fingerprint: bytes) -> WriterSchema:
        if fingerprint not in self.held:
            raise UnknownSchema(fingerprint.hex())
        return self.held[fingerprint]

    def by_id(self, schema_id: int) -> WriterSchema:
        raise UnknownSchema(str(schema_id))


def written(schema: dict[str, Any], record: dict[str, Any]) -> bytes:
    body = BytesIO()
    schemaless_writer(body, parse_schema(schema), record)
    return SINGLE_OBJECT + fingerprint_of(schema) + body.getvalue()


def without(schema: dict[str, Any], *fields: str) -> dict[str, Any]:
    return {**schema, "fields": [field for field in schema["fields"] if field["name"] not in fields]}


def test_fields_that_a_newer_writer_added_are_left_out() -> None:
    newer = copy.deepcopy(CURRENT[NAME])
    newer["fields"].insert(2, {"name": "added", "type": ["null", "string"], "default": None})
    record = Codec(Holding(newer)).decode(written(newer, {**RECORDS[NAME], "added": "x"}))
    assert record == RECORDS[NAME]


def test_a_symbol_that_only_the_writer_knows_is_read_as_unknown() -> None:
    name = "vn.lgsp.operations.Receipt"
    newer = copy.deepcopy(CURRENT[name])
    next(f for f in newer["fields"] if f["name"] == "outcome")["type"]["symbols"].append("TELEPORTED")
    record = Codec(Holding(newer)).decode(written(newer, {**RECORDS[name], "outcome": "TELEPORTED"}))
    assert record == {**RECORDS[name], "outcome": "UNKNOWN"}


def test_a_schema_that_cannot_be_resolved_is_malformed() -> None:
    alien = without(CURRENT[NAME], "reason")
    with pytest.raises(MalformedPayload):
        Codec(Holding(alien)).decode(written(alien, RECORDS[NAME]))


def test_a_record_that_is_no_longer_shipped_is_read_as_it_was_written() -> None:
    gone = {"type": "record", "name": "Gone", "namespace": "vn.lgsp.old", "fields": [{"name": "a", "type": "string"}]}
    payload = written(gone, {"a": "b"})
    codec = Codec(Holding(gone))
    assert codec.decode(payload) == {"a": "b"}
    assert codec.record_name(payload) == "vn.lgsp.old.Gone"


def test_a_writer_whose_schema_differs_in_words_only_is_read_as_today() -> None:
    """Documentation, defaults and logical types are no part of the fingerprint: today's stand."""
    bare = copy.deepcopy(CURRENT[NAME])
    for field in bare["fields"]:
        field["doc"] = "other words"
        if isinstance(field["type"], dict):
            field["type"].pop("logicalType", None)
    stated = {**RECORDS[NAME], "failed_at": 1_000_000}
    record = Codec(Holding(bare)).decode(written(bare, stated))
    assert record["failed_at"] == datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC)
