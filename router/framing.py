"""Headers as one blob, for adapters that store them: names and values byte for byte, order and repetitions kept.

The blob is MessagePack: an array of pairs, each a string and bytes.
"""

from __future__ import annotations

import msgpack

from router.events import Header, Headers


def pack(headers: Headers) -> bytes:
    """Headers as a blob."""
    packed: bytes = msgpack.packb(headers if isinstance(headers, list | tuple) else list(headers))
    return packed


def unpack(blob: bytes) -> list[Header]:
    """The headers of a blob made by ``pack``."""
    return list(msgpack.unpackb(blob, use_list=False))
