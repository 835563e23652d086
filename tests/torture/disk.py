"""A disk that can be full: a small tmpfs where mounting is permitted, or a limit on the size of a process's files."""

from __future__ import annotations

import resource
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from tests.torture.process import ServiceProcess

SIZE = "128m"  # room for both write-ahead logs, which may grow to 32 MB each
PIECE = 4_096
UNLIMITED = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)


class Disk(Protocol):
    """``fill`` leaves no room for a process's writes, ``free`` gives it back."""

    def fill(self, process: ServiceProcess) -> None: ...
    def free(self, process: ServiceProcess) -> None: ...


class SmallDisk:
    """A tmpfs, filled by a file that is in nobody's way."""

    def __init__(self, folder: Path) -> None:
        self._ballast = folder / "ballast"

    def fill(self, _process: ServiceProcess) -> None:
        """Write until nothing fits any more."""
        with self._ballast.open("wb", buffering=0) as ballast:
            try:
                while True:
                    ballast.write(bytes(PIECE))
            except OSError:
                return

    def free(self, _process: ServiceProcess) -> None:
        """Take the file away."""
        self._ballast.unlink()


class LimitedFiles:
    """No file of the process may grow beyond what it has: to SQLite that is a full disk as well."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def fill(self, process: ServiceProcess) -> None:
        """Set the limit where its largest file ends."""
        largest = max((path.stat().st_size for path in self._folder.rglob("*.db*")), default=0)
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (largest, resource.RLIM_INFINITY))

    def free(self, process: ServiceProcess) -> None:
        """Lift it."""
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, UNLIMITED)


@contextmanager
def mounted(folder: Path, size: str = SIZE) -> Iterator[bool]:
    """A small tmpfs at ``folder`` for the length of the block; False where mounting is not permitted."""
    folder.mkdir(exist_ok=True)
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    if shutil.which("mount") is None or subprocess.run(command, capture_output=True, check=False).returncode:
        yield False
        return
    try:
        yield True
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)
