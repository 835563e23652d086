"""Payloads: what is written can be read, and whatever else comes is refused by name."""

from __future__ import annotations

from datetime import UTC, datetime
from io import BytesIO

import pytest
from fastavro import parse_schema, schemaless_writer
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from router.codec import SINGLE_OBJECT, Codec, PackagedSchemas, fingerprint_of
from router.errors import MalformedPayload, UnknownSchema
from router.sdk.records import RECORDS
from schemas.catalogue import EVENT_TYPES, current_schemas
from tests.codec.avro_values import values

SCHEMAS = current_schemas()
CODEC = Codec(PackagedSchemas())
IDS = {name: number for number, name in enumerate(sorted(SCHEMAS), 300)}
REGISTERED = Codec(PackagedSchemas({number: fingerprint_of(SCHEMAS[name]) for name, number in IDS.items()}), ids=IDS)
NAMES = st.sampled_from(sorted(SCHEMAS))
STRATEGIES = {name: values(schema) for name, schema in SCHEMAS.items()}
RECORD_VALUES = NAMES.flatmap(lambda name: st.tuples(st.just(name), STRATEGIES[name]))
PAYLOADS = RECORD_VALUES.map(lambda pair: CODEC.encode_record(*pair))
few = settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
RECEIPT = "vn.lgsp.operations.Receipt"


def decoded_or_refused(payload: bytes) -> None:
    """Any other exception escapes and fails the test."""
    try:
        record = CODEC.decode(payload)
    except (MalformedPayload, UnknownSchema):
        return
    assert isinstance(record, dict)


@few
@given(RECORD_VALUES)
def test_a_model_comes_back_as_it_was_written(pair):
    name, data = pair
    model = RECORDS[name].model_validate(data)
    payload = CODEC.encode_record(name, model.model_dump())
    assert RECORDS[name].model_validate(CODEC.decode(payload)) == model
    assert CODEC.record_name(payload) == name


@few
@given(event_type=st.sampled_from(sorted(EVENT_TYPES)), data=st.data())
def test_an_event_type_is_encoded_as_its_record(event_type, data):
    name = EVENT_TYPES[event_type]
    payload = CODEC.encode(event_type, data.draw(STRATEGIES[name]))
    assert payload[:10] == SINGLE_OBJECT + fingerprint_of(SCHEMAS[name])
    assert CODEC.record_name(payload) == name


@few
@given(st.binary(max_size=200))
def test_any_bytes_are_refused_by_name(payload):
    decoded_or_refused(payload)


@few
@given(NAMES, st.binary(max_size=200))
def test_any_bytes_behind_a_known_fingerprint_are_a_record_or_malformed(name, body):
    try:
        record = CODEC.decode(SINGLE_OBJECT + fingerprint_of(SCHEMAS[name]) + body)
    except MalformedPayload:
        return
    assert record.keys() == {field["name"] for field in SCHEMAS[name]["fields"]}


@few
@given(PAYLOADS, st.data())
def test_a_payload_with_bytes_changed_is_a_record_or_refused(payload, data):
    changed = bytearray(payload)
    for at in data.draw(st.lists(st.integers(0, len(payload) - 1), min_size=1, max_size=4)):
        changed[at] = data.draw(st.integers(0, 255))
    decoded_or_refused(bytes(changed))


@few
@given(PAYLOADS, st.data())
def test_a_payload_cut_short_is_malformed(payload, data):
    with pytest.raises(MalformedPayload):
        CODEC.decode(payload[: data.draw(st.integers(0, len(payload) - 1))])


@few
@given(PAYLOADS, st.binary(min_size=1, max_size=8))
def test_bytes_behind_a_record_are_malformed(payload, more):
    with pytest.raises(MalformedPayload, match="behind the record"):
        CODEC.decode(payload + more)


def test_an_unknown_fingerprint_is_named():
    with pytest.raises(UnknownSchema, match="0102030405060708"):
        CODEC.decode(SINGLE_OBJECT + bytes(range(1, 9)) + b"\0")


def test_an_unknown_registry_id_is_named():
    with pytest.raises(UnknownSchema, match="registry id 77"):
        CODEC.decode(b"\0" + (77).to_bytes(4, "big") + b"\0")


@few
@given(RECORD_VALUES)
def test_confluent_framing_is_read_by_the_registrys_id(pair):
    name, data = pair
    payload = CODEC.encode_record(name, data)
    assert REGISTERED.decode(b"\0" + IDS[name].to_bytes(4, "big") + payload[10:]) == CODEC.decode(payload)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_number_that_is_not_finite_is_refused(bad):
    parcel = {"parcel_number": "12", "map_sheet": "4", "area": bad}
    record = {"message": "L1", "code": "H39.1", "applicant": None, "parcels": [parcel]}
    CODEC.encode("land.file_submitted", {**record, "parcels": [{**parcel, "area": 81.5}]})
    with pytest.raises(MalformedPayload, match="does not fit"):
        CODEC.encode("land.file_submitted", record)


@few
@given(RECORD_VALUES)
def test_confluent_framing_is_written_for_a_record_with_a_registry_id(pair):
    name, data = pair
    payload = REGISTERED.encode_record(name, data)
    assert payload == b"\0" + IDS[name].to_bytes(4, "big") + CODEC.encode_record(name, data)[10:]
    assert REGISTERED.record_name(payload) == name


INSTANT = datetime(2025, 6, 16, 1, 0, tzinfo=UTC)
ROUND = {"code": "H39.1", "round_id": "1", "content": "Bổ sung trích lục", "requested_at": INSTANT}


@pytest.mark.parametrize(
    "bent",
    [
        {"requested_at": datetime(2025, 6, 16, 8, 0)},  # no zone
        {"old_due_date": datetime(2025, 6, 16, 0, 30, tzinfo=UTC)},  # an instant for a date
        {"fees": [{"name": "Lệ phí", "amount": 2.5}]},  # a fraction of a đồng
    ],
)
def test_a_value_that_would_be_bent_is_refused(bent):
    CODEC.encode("dossier.supplement_requested", ROUND)
    with pytest.raises(MalformedPayload, match="does not fit"):
        CODEC.encode("dossier.supplement_requested", {**ROUND, **bent})


def test_an_event_type_outside_the_catalogue_is_not_encoded():
    with pytest.raises(UnknownSchema, match=r"dossier\.vanished"):
        CODEC.encode("dossier.vanished", {})


@pytest.mark.parametrize("event_type", ["dossier.accepted", "payment.confirmed"])
def test_a_record_that_does_not_fit_is_refused_without_its_values(event_type):
    with pytest.raises(MalformedPayload) as refused:
        CODEC.encode(event_type, {"code": "001099012345", "identity_number": "001099012345"})
    assert "001099012345" not in str(refused.value)
    assert refused.value.__cause__ is None


def test_a_string_that_is_not_utf8_is_malformed():
    schema = SCHEMAS[RECEIPT]
    body = SINGLE_OBJECT + fingerprint_of(schema) + b"\x04\xff\xfe"
    with pytest.raises(MalformedPayload):
        CODEC.decode(body)


def test_a_payload_of_an_older_schema_is_read_in_todays_shape(monkeypatch):
    name = "vn.lgsp.operations.Failure"
    old = {**SCHEMAS[name], "fields": [f for f in SCHEMAS[name]["fields"] if f["name"] != "message"]}
    monkeypatch.setattr("router.codec.released_schemas", lambda: [old])
    codec = Codec(PackagedSchemas())
    record = {f["name"]: "x" for f in old["fields"]} | {"attempts": 3, "failed_at": 0, "partner_code": None}
    out = BytesIO()
    schemaless_writer(out, parse_schema(old), record)
    read = codec.decode(SINGLE_OBJECT + fingerprint_of(old) + out.getvalue())
    assert read["message"] is None
    assert read["attempts"] == 3
