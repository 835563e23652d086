"""Poison by name: what Avro's decoders differ on or take amiss, and claims that would eat the memory."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from struct import pack
from typing import Any

import pytest

from router.codec import Codec, fingerprint_of
from router.errors import MalformedPayload
from router.ports import WriterSchema
from tests.codec.samples import CODEC, NAMES, PAYLOADS, zigzag

HUGE = [2**62, 2**63 - 1, 2**31, 2**40, -1, -5, -(2**63)]


def whole(payload: bytes) -> bool:
    try:
        CODEC.decode(payload)
    except MalformedPayload:
        return False
    return True


@pytest.mark.parametrize("name", NAMES)
def test_a_payload_cut_anywhere_is_malformed(name: str) -> None:
    payload = PAYLOADS[name]
    assert not any(whole(payload[:length]) for length in range(10, len(payload)))


def single(kind: Any) -> tuple[Codec, Callable[[bytes], bytes]]:
    """A codec that knows a record of one field of this type, and what makes a payload of its body."""
    schema = {"type": "record", "name": "One", "namespace": "x", "fields": [{"name": "a", "type": kind}]}

    class Store:
        def by_fingerprint(self, _: bytes) -> WriterSchema:
            return WriterSchema("x.One", schema)

        def by_id(self, _: int) -> WriterSchema:
            return WriterSchema("x.One", schema)

    return Codec(Store()), lambda body: b"\xc3\x01" + fingerprint_of(schema) + body


ENUM = {"type": "enum", "name": "E", "symbols": ["UNKNOWN", "A", "B"], "default": "UNKNOWN"}
INSTANT = {"type": "long", "logicalType": "timestamp-micros"}
DATE = {"type": "int", "logicalType": "date"}
NESTED = {"type": "record", "name": "N", "fields": [{"name": "b", "type": ["null", "string"]}]}

MALFORMED: list[tuple[str, Any, bytes]] = [
    ("a negative symbol", ENUM, zigzag(-1)),
    ("a symbol behind the last", ENUM, zigzag(3)),
    ("a symbol far behind the last", ENUM, zigzag(2**40)),
    ("a negative branch", ["null", "string"], zigzag(-1) + zigzag(1) + b"a"),
    ("a branch behind the last", ["null", "string"], zigzag(2) + zigzag(1) + b"a"),
    ("an int of 33 bits", "int", zigzag(2**31)),
    ("an int of 33 bits below zero", "int", zigzag(-(2**31) - 1)),
    ("a long of 65 bits", "long", b"\xff" * 9 + b"\x02"),
    ("a number without an end", "long", b"\xff" * 200),
    ("a number longer than any", "long", b"\x80" * 11 + b"\x00"),
    ("neither true nor false", "boolean", b"\x02"),
    ("text that is not UTF-8", "string", zigzag(2) + b"\xff\xfe"),
    ("text with half a surrogate pair", "string", zigzag(3) + b"\xed\xa0\x80"),
    ("text that ends within a letter", "string", zigzag(1) + "ễ".encode()[:1]),
    ("no number", "double", pack("<d", float("nan"))),
    ("infinity", "double", pack("<d", float("-inf"))),
    ("half a number", "double", b"\x00" * 7),
    ("a time after the last", INSTANT, zigzag(2**62)),
    ("a time before the first", INSTANT, zigzag(-(2**62))),
    ("a day after the last", DATE, zigzag(2**31 - 1)),
    ("a day before the first", DATE, zigzag(-(2**31))),
    ("a list without an end", {"type": "array", "items": "string"}, zigzag(1) + zigzag(1) + b"a"),
    ("a block longer than it says", {"type": "array", "items": "string"}, zigzag(-1) + zigzag(1) + b"\x02a\x00"),
    ("a block of negative size", {"type": "array", "items": "string"}, zigzag(-1) + zigzag(-2) + b"\x02a\x00"),
    ("a list of nothings", {"type": "array", "items": "null"}, zigzag(2**62) + b"\x00"),
    ("a map key outside", {"type": "map", "values": "string"}, zigzag(1) + zigzag(99) + b"a"),
    ("a nested negative branch", {"type": "array", "items": NESTED}, zigzag(1) + b"\x01\x02a\x00"),
]


@pytest.mark.parametrize(("kind", "body"), [row[1:] for row in MALFORMED], ids=[row[0] for row in MALFORMED])
def test_what_decoders_take_amiss_is_malformed(kind: Any, body: bytes) -> None:
    codec, framed = single(kind)
    with pytest.raises(MalformedPayload):
        codec.decode(framed(body))


SOUND: list[tuple[str, Any, bytes, Any]] = [
    ("the last symbol", ENUM, zigzag(2), "B"),
    ("a symbol spelt longer than need be", ENUM, b"\x82\x00", "A"),
    ("the greatest int", "int", zigzag(2**31 - 1), 2**31 - 1),
    ("the least long", "long", b"\xff" * 9 + b"\x01", -(2**63)),
    ("a long text", "string", zigzag(3000) + b"a" * 3000, "a" * 3000),
    ("a list in two blocks", {"type": "array", "items": "string"}, b"\x02\x02a\x02\x02b\x00", ["a", "b"]),
    ("a block with its size", {"type": "array", "items": "string"}, zigzag(-1) + zigzag(2) + b"\x02a\x00", ["a"]),
    ("an empty list", {"type": "array", "items": "string"}, b"\x00", []),
    ("bytes", "bytes", b"\x04\xff\x00", b"\xff\x00"),
    ("a map", {"type": "map", "values": "boolean"}, b"\x02\x02k\x01\x00", {"k": True}),
    ("a type by its name", [NESTED, {"type": "array", "items": "N"}], b"\x02\x02\x02\x02z\x00", [{"b": "z"}]),
]


@pytest.mark.parametrize(("kind", "body", "value"), [row[1:] for row in SOUND], ids=[row[0] for row in SOUND])
def test_what_the_specification_allows_is_read(kind: Any, body: bytes, value: Any) -> None:
    codec, framed = single(kind)
    assert codec.decode(framed(body)) == {"a": value}


@pytest.mark.parametrize("claimed", HUGE)
@pytest.mark.parametrize(
    "kind",
    ["string", "bytes", {"type": "array", "items": "long"}, {"type": "map", "values": "string"}],
    ids=["text", "bytes", "list", "map"],
)
def test_a_huge_claim_is_malformed_and_takes_no_memory(kind: Any, claimed: int) -> None:
    codec, framed = single(kind)
    payload = framed(zigzag(claimed) + b"abcdefgh" * 4)
    tracemalloc.start()
    try:
        with pytest.raises(MalformedPayload):
            codec.decode(payload)
        assert tracemalloc.get_traced_memory()[1] < 100_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("name", NAMES)
def test_an_error_tells_the_record_and_nothing_of_its_content(name: str) -> None:
    broken = PAYLOADS[name].replace("ễ".encode(), b"\xff\xff\xff")
    if broken == PAYLOADS[name]:
        broken += b"\x00"
    with pytest.raises(MalformedPayload) as refused:
        CODEC.decode(broken)
    assert name in str(refused.value)
    assert "Nguy" not in str(refused.value)
