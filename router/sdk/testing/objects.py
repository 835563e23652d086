"""An object store in memory, for tests."""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha256

from router.errors import ObjectError


class MemoryObjects:
    """Objects by their SHA-256, some of them there from the start."""

    def __init__(self, contents: Iterable[bytes] = ()) -> None:
        self.stored = {sha256(content).hexdigest(): content for content in contents}

    async def put(self, content: bytes) -> str:
        """Keep it; the key."""
        key = sha256(content).hexdigest()
        self.stored[key] = content
        return key

    async def get(self, key: str) -> bytes:
        """The bytes of a key. Raises ``ObjectError``."""
        if key not in self.stored:
            raise ObjectError(f"there is no object {key}")
        return self.stored[key]
