"""Heads, and what the encoder takes: every value that fits, and none that would have to be bent."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from router.codec import Codec
from router.errors import MalformedPayload, UnknownSchema
from router.ports import SchemaStore, WriterSchema
from tests.codec.samples import CODEC, NAMES, PAYLOADS, RECORDS, STORE

RECEIPT = "vn.lgsp.operations.Receipt"


def test_the_fingerprint_is_crc_64_avro_little_endian() -> None:
    """The value that Avro's specification leads to for the schema ``"int"``: 0x7275d51a3f395c8f."""
    from fastavro.schema import fingerprint

    assert bytes.fromhex(fingerprint('"int"', "CRC-64-AVRO")) == (0x7275D51A3F395C8F).to_bytes(8, "little")


@pytest.mark.parametrize("name", NAMES)
def test_every_record_comes_back_with_every_field(name: str) -> None:
    assert CODEC.decode(PAYLOADS[name]) == RECORDS[name]


def test_a_record_that_is_not_of_this_release_is_refused() -> None:
    with pytest.raises(UnknownSchema, match="Teapot"):
        CODEC.encode_record("vn.lgsp.dossier.Teapot", {})


@pytest.mark.parametrize(
    "payload", [b"", b"\xc3", b"\xc3\x01", b"\xc3\x01" + b"x" * 7, b"\x00", b"\x00abc", b'{"a":1}']
)
def test_bytes_without_a_head_are_malformed(payload: bytes) -> None:
    for ask in (CODEC.decode, CODEC.record_name):
        with pytest.raises(MalformedPayload, match="neither"):
            ask(payload)


def test_a_schema_that_becomes_known_later_is_found_when_asked_again() -> None:
    class Growing:
        known: SchemaStore | None = None

        def by_fingerprint(self, fingerprint: bytes) -> WriterSchema:
            if self.known is None:
                raise UnknownSchema("not yet")
            return self.known.by_fingerprint(fingerprint)

        def by_id(self, schema_id: int) -> WriterSchema:
            raise UnknownSchema("not yet")

    store = Growing()
    codec = Codec(store)
    with pytest.raises(UnknownSchema):
        codec.decode(PAYLOADS[RECEIPT])
    store.known = STORE
    assert codec.decode(PAYLOADS[RECEIPT]) == RECORDS[RECEIPT]


def test_the_name_is_known_without_looking_at_the_body() -> None:
    assert CODEC.record_name(PAYLOADS[RECEIPT][:10] + b"\xff") == RECEIPT


def test_an_instant_of_any_zone_is_the_same_instant_in_utc() -> None:
    local = datetime(2025, 8, 6, 9, 30, tzinfo=timezone(timedelta(hours=7)))
    record = {**RECORDS[RECEIPT], "received_at": local}
    back = CODEC.decode(CODEC.encode("delivery.rejected", record))["received_at"]
    assert (back, back.tzinfo) == (datetime(2025, 8, 6, 2, 30, tzinfo=UTC), UTC)


def test_fields_with_a_default_may_be_left_out_also_in_parts() -> None:
    payload = CODEC.encode(
        "land.file_submitted",
        {"message": "L1", "code": "1", "parcels": [{"parcel_number": "2", "map_sheet": "3", "area": 1.0}]},
    )
    record = CODEC.decode(payload)
    assert record["parcels"][0]["purpose"] is None
    assert (record["reason"], record["pauses"], record["results"]) == (None, False, [])


DOSSIER = RECORDS["vn.lgsp.dossier.Dossier"]


@pytest.mark.parametrize(
    "change",
    [
        {"code": None},
        {"code": 5},
        {"code": b"bytes"},
        {"code": "\ud800"},
        {"status": "TELEPORTED"},
        {"unheard_of": 1},
        {"due_at": datetime(2025, 8, 6)},
        {"due_at": 5},
        {"due_date": datetime(2025, 8, 6, tzinfo=UTC)},
        {"due_date": "2025-08-06"},
        {"digitised": "no"},
        {"digitised": 1},
        {"fees": [{"name": "a", "amount": 2**63}]},
        {"fees": [{"name": "a", "amount": 1.5}]},
        {"fees": [{"name": "a", "amount": True}]},
        {"fees": "abc"},
        {"fees": {"name": "a"}},
        {"supplements": [{"round_id": "1", "content": "a", "requested_at": datetime(2025, 8, 6)}]},
        {"applicant": {**DOSSIER["applicant"], "birth_date": datetime(1985, 3, 4, tzinfo=UTC)}},
        {"applicant": 5},
        {"applicant": None},
    ],
)
def test_a_value_that_does_not_fit_is_refused_and_never_bent(change: dict[str, Any]) -> None:
    with pytest.raises(MalformedPayload, match="does not fit"):
        CODEC.encode("dossier.accepted", {**DOSSIER, **change})


def test_an_int_beyond_32_bits_is_not_written() -> None:
    with pytest.raises(MalformedPayload, match="does not fit"):
        CODEC.encode("delivery.failed", {**RECORDS["vn.lgsp.operations.Failure"], "attempts": 2**31})
