"""The key that hashes applicants' ids: one installation, one key, for ever. With another key every owner is another."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from router.ports import Ids
from router.refusals import refused
from router.settings import Settings

NAME: Final = "owner.key"


def key_file(settings: Settings) -> Path | None:
    """Where the key is. The embedded runtime has one in its data directory unless told otherwise; processes that share
    an installation must be told.
    """
    if settings.identity.key is not None:
        return None
    return settings.identity.key_file or (settings.data / NAME if settings.embedded else None)


def owner_key(settings: Settings) -> bytes:
    """The key; empty if there is none. Raises ``ConfigError`` for a file that cannot be read or is too short."""
    if settings.identity.key is not None:
        return settings.identity.key.get_secret_value().encode()
    path = key_file(settings)
    if path is None or (settings.embedded and not path.exists()):
        return b""  # the first start makes it
    try:
        key = path.read_bytes().strip()
    except OSError as error:
        found = error.strerror or "cannot be read"
        raise refused("fault", file=str(path), key="identity.key_file", form="`lgsp owner-key`", found=found) from None
    if len(key) < 8:
        raise refused("short_key", file=str(path), key="identity.key_file")
    return key


def make_owner_key(path: Path, ids: Ids) -> None:
    """Make a key, readable by this user alone, durable. Raises ``ConfigError``; one that is there is never replaced."""
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(f"{ids.new().hex}{ids.new().hex}\n")
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise refused(
            "fault", file=str(path), key="identity.key_file", found=error.strerror or "cannot be made",
            form="a file not there yet", form_vi="một tệp chưa có",
        ) from None  # fmt: skip
