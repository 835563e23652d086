"""Attachments and legal originals in a folder, by content: a key is the SHA-256 of the bytes."""

from __future__ import annotations

import os
import re
from hashlib import sha256
from pathlib import Path
from typing import Final

from router.errors import ObjectError

_KEY: Final = re.compile("[0-9a-f]{64}")


class FolderObjectStore:
    """Objects below ``root`` as ``ab/cd/<sha256>``; an ``ObjectStore``.

    An object is whole or not there: written aside, made durable, then renamed. What a disk has spoiled is put right
    when the same content is stored again. ``most_bytes`` is the longest object it takes.
    """

    def __init__(self, root: Path, *, most_bytes: int = 50 * 1_048_576) -> None:
        self._root, self._most = root, most_bytes

    async def put(self, content: bytes) -> str:
        """Store durably; the key. Raises ``ObjectError`` for what is above the limit or cannot be written."""
        if len(content) > self._most:
            raise ObjectError(f"{len(content)} bytes are above the limit of {self._most}")
        key = sha256(content).hexdigest()
        try:
            self._write(self._path(key), content)
        except OSError as error:
            raise ObjectError(f"object {key} cannot be written: {error.strerror}") from error
        return key

    async def get(self, key: str) -> bytes:
        """The bytes of a key. Raises ``ObjectError`` when they are missing or are not what the key says."""
        try:
            content = self._path(key).read_bytes()
        except FileNotFoundError:
            raise ObjectError(f"there is no object {key}") from None
        except OSError as error:
            raise ObjectError(f"object {key} cannot be read: {error.strerror}") from error
        if sha256(content).hexdigest() != key:
            raise ObjectError(f"object {key} is not what its hash says")
        return content

    def _path(self, key: str) -> Path:
        if not _KEY.fullmatch(key):
            raise ObjectError("not an object key: 64 hexadecimal digits are expected")
        return self._root / key[:2] / key[2:4] / key

    def _write(self, path: Path, content: bytes) -> None:
        """Durable when it returns, also where another process wrote the same object a moment ago."""
        path.parent.mkdir(parents=True, exist_ok=True)
        if not (path.is_file() and path.read_bytes() == content):
            aside = path.with_name(f"{path.name}.{os.getpid()}.part")
            try:
                with aside.open("wb") as file:
                    file.write(content)
                    file.flush()
                    os.fsync(file.fileno())
                aside.replace(path)
            finally:
                aside.unlink(missing_ok=True)
        for folder in (path.parent, path.parent.parent, self._root, self._root.parent):
            _sync(folder)


def _sync(folder: Path) -> None:
    """Make the names in a folder durable."""
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
