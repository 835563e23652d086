"""Avro's binary form, checked byte by byte before anything is built from it.

A check walks the bytes of one record and gives the place behind it. It refuses what decoders differ on or take amiss:
enum and union indexes that are negative or too large, ``int`` beyond 32 and ``long`` beyond 64 bits, numbers that are
not finite, booleans other than 0 and 1, lengths that point behind the end. It allocates nothing, whatever a length
claims. Text is left to the decoder, which refuses what is not UTF-8.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import isfinite
from struct import Struct
from typing import Any, Final, TypeAlias

#: ``(payload, place) -> place behind the value``. Raises ``ValueError`` or ``IndexError`` (the bytes end too early).
Check: TypeAlias = Callable[[bytes, int], int]

_FLOAT: Final = Struct("<f")
_DOUBLE: Final = Struct("<d")
_INT_MAX: Final = 2**32 - 1
_LONG_BYTES: Final = 10
_BYTE: Final = 128


def check_of(schema: Any) -> Check:
    """The check of a schema in its JSON form; named types are known behind their definition."""
    return _compiled(schema, "", {})


def _compiled(schema: Any, space: str, named: dict[str, Check]) -> Check:
    if isinstance(schema, list):
        return _union([_compiled(branch, space, named) for branch in schema])
    if isinstance(schema, str):
        return _PRIMITIVES[schema] if schema in _PRIMITIVES else named[_full(schema, space)]
    kind = schema["type"]
    if kind == "record":
        return _record(schema, space, named)
    if kind == "enum":
        return named.setdefault(_full(schema["name"], schema.get("namespace", space)), _enum(len(schema["symbols"])))
    if kind == "array":
        return _blocks(_compiled(schema["items"], space, named))
    if kind == "map":
        return _blocks(_entry(_compiled(schema["values"], space, named)))
    return _compiled(kind, space, named)


def _full(name: str, space: str) -> str:
    return name if "." in name or not space else f"{space}.{name}"


def _record(schema: Mapping[str, Any], space: str, named: dict[str, Check]) -> Check:
    space = schema.get("namespace", space)
    fields: list[Check] = []

    def check(payload: bytes, at: int) -> int:
        for field in fields:
            at = field(payload, at)
        return at

    named[_full(schema["name"], space)] = check
    fields += [_compiled(field["type"], space, named) for field in schema["fields"]]
    return check


def _enum(symbols: int) -> Check:
    def check(payload: bytes, at: int) -> int:
        if payload[at] < _BYTE:
            index, at = payload[at], at + 1
        else:
            index, at = _zigzag(payload, at)
        if index & 1 or index >> 1 >= symbols:
            raise ValueError("no such symbol")
        return at

    return check


def _union(branches: list[Check]) -> Check:
    choices = {2 * index: branch for index, branch in enumerate(branches)}
    if len(branches) > _BYTE // 2:
        raise ValueError("a union of more branches than one byte can name")

    def check(payload: bytes, at: int) -> int:
        branch = choices.get(payload[at])
        if branch is None:
            raise ValueError("no such branch")
        return branch(payload, at + 1)

    return check


def _blocks(item: Check) -> Check:
    def check(payload: bytes, at: int) -> int:
        while count := payload[at]:
            count, at = _zigzag(payload, at)
            end = 0
            if count & 1:  # a negative count: the block's size in bytes follows
                count += 1
                size, at = _zigzag(payload, at)
                if size & 1:
                    raise ValueError("a block of negative size")
                end = at + (size >> 1)
            for _ in range(count >> 1):
                start, at = at, item(payload, at)
                if at == start:
                    raise ValueError("an item of no bytes")
            if end and at != end:
                raise ValueError("a block is not as long as it says")
        return at + 1

    return check


def _entry(value: Check) -> Check:
    return lambda payload, at: value(payload, _text(payload, at))


def _null(payload: bytes, at: int) -> int:
    return at


def _boolean(payload: bytes, at: int) -> int:
    if payload[at] > 1:
        raise ValueError("neither true nor false")
    return at + 1


def _zigzag(payload: bytes, at: int) -> tuple[int, int]:
    """A variable-length number as it stands (its sign in the lowest bit), and the place behind it."""
    value = shift = 0
    for read in range(_LONG_BYTES):
        byte = payload[at + read]
        value |= (byte & 127) << shift
        if byte < _BYTE:
            if value >> 64:
                break
            return value, at + read + 1
        shift += 7
    raise ValueError("a number beyond 64 bits")


def _int(payload: bytes, at: int) -> int:
    value, at = _zigzag(payload, at)
    if value > _INT_MAX:
        raise ValueError("an int beyond 32 bits")
    return at


def _long(payload: bytes, at: int) -> int:
    return _zigzag(payload, at)[1]


def _text(payload: bytes, at: int) -> int:
    length = payload[at]
    if length < _BYTE:
        at += 1
    else:
        length, at = _zigzag(payload, at)
    end = at + (length >> 1)
    if length & 1 or end > len(payload):
        raise ValueError("a length that points outside the payload")
    return end


def _finite(number: Struct) -> Check:
    def check(payload: bytes, at: int) -> int:
        end = at + number.size
        if end > len(payload) or not isfinite(number.unpack_from(payload, at)[0]):
            raise ValueError("not a finite number")
        return end

    return check


_PRIMITIVES: Final[Mapping[str, Check]] = {
    "null": _null,
    "boolean": _boolean,
    "int": _int,
    "long": _long,
    "float": _finite(_FLOAT),
    "double": _finite(_DOUBLE),
    "bytes": _text,
    "string": _text,
}
