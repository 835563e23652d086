"""The lock on a data directory: in the embedded runtime it is the lease on everything."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from router.refusals import refused


class DirectoryLock:
    """One holder at a time; it goes with the process, however that ends."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / "lock"
        self._handle: int | None = None

    def try_take(self) -> bool:
        """Take the lock; False if another process has it."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(handle)
            return False
        os.truncate(handle, 0)
        os.write(handle, str(os.getpid()).encode())
        self._handle = handle
        return True

    def take(self) -> None:
        """Take the lock. Raises ``ConfigError`` that names the process that has it."""
        if not self.try_take():
            holder = self._path.read_text("utf-8") or "?"
            raise refused("directory_taken", key="data", holder=holder)

    def release(self) -> None:
        """Let go."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None
