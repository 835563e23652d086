"""Attachments and legal originals in a folder, by content: a key is the SHA-256 of the bytes."""

from __future__ import annotations

import os
import re
from hashlib import sha256
from pathlib import Path
from typing import Final

from router.errors import ObjectError

KEY: Final = re.compile(r"^[0-9a-f]{64}$")


class FolderObjectStore:
    """Objects below ``root`` as ``ab/cd/<sha256>``. An object is whole or not there: written aside, then renamed."""

    def __init__(self, root: Path, *, most_bytes: int = 50 * 1_048_576) -> None:
        self._root, self._most = root, most_bytes

    async def put(self, content: bytes) -> str:
        """Store durably; the key. Raises ``ObjectError`` for what is above the limit."""
        if len(content) > self._most:
            raise ObjectError(f"{len(content)} bytes are above the limit of {self._most}")
        key = sha256(content).hexdigest()
        path = self._path(key)
        if path.exists():
            return key
        path.parent.mkdir(parents=True, exist_ok=True)
        aside = path.with_suffix(f".{os.getpid()}.part")
        with aside.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        aside.rename(path)
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
        return key

    async def get(self, key: str) -> bytes:
        """The bytes of a key. Raises ``ObjectError`` when they are missing or are not what the key says."""
        try:
            content = self._path(key).read_bytes()
        except OSError:
            raise ObjectError(f"there is no object {key}") from None
        if sha256(content).hexdigest() != key:
            raise ObjectError(f"object {key} is not what its hash says")
        return content

    def _path(self, key: str) -> Path:
        if not KEY.match(key):
            raise ObjectError(f"{key!r} is no object key")
        return self._root / key[:2] / key[2:4] / key
