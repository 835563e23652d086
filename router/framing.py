"""Headers as one blob, for adapters that store them: names and values byte for byte, order and repetitions kept.

Each header is a 2-byte name length, the UTF-8 name, a 4-byte value length and the value; lengths are big-endian.
"""

from __future__ import annotations

from functools import lru_cache
from struct import Struct
from typing import Final

from router.events import Header, Headers

_NAME: Final = Struct(">H")
_VALUE: Final = Struct(">I")


@lru_cache(maxsize=1024)
def _framed_name(name: str) -> bytes:
    encoded = name.encode()
    return _NAME.pack(len(encoded)) + encoded


@lru_cache(maxsize=1024)
def _name(encoded: bytes) -> str:
    return encoded.decode()


def pack(headers: Headers) -> bytes:
    """Headers as a blob."""
    length = _VALUE.pack
    return b"".join([part for name, value in headers for part in (_framed_name(name), length(len(value)), value)])


def unpack(blob: bytes) -> list[Header]:
    """The headers of a blob made by ``pack``."""
    headers: list[Header] = []
    at, end = 0, len(blob)
    while at < end:
        start = at + 2
        at = start + (blob[at] << 8 | blob[at + 1])
        name = _name(blob[start:at])
        start = at + 4
        at = start + int.from_bytes(blob[at:start], "big")
        headers.append((name, blob[start:at]))
    return headers
