"""Headers as one blob, for adapters that store them: names and values byte for byte, order and repetitions kept.

The blob is MessagePack: an array of pairs, each a string and bytes.
"""

from __future__ import annotations

from typing import Final

import msgpack

from router.events import Header, Headers

_PACK: Final = msgpack.Packer().pack  # made once: its buffer costs more than what is written to it


def pack(headers: Headers) -> bytes:
    """Headers as a blob."""
    packed: bytes = _PACK(headers if isinstance(headers, list | tuple) else list(headers))
    return packed


def unpack(blob: bytes) -> list[Header]:
    """The headers of a blob made by ``pack``."""
    return list(msgpack.unpackb(blob, use_list=False))
