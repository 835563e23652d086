"""Files of settings and data as text. What cannot be read is refused with file, and line where it is known."""

from __future__ import annotations

from pathlib import Path

from router.errors import ConfigError
from router.refusals import refused


def text_of(path: Path, kind: str = "YAML") -> str:
    """The text of a file in UTF-8. Raises ``ConfigError``."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise unreadable(error, str(path), kind) from error
    return decoded(content, str(path), kind)


def unreadable(error: OSError, file: str, kind: str) -> ConfigError:
    """The refusal of a file that the system does not give."""
    return refused("unreadable", file=file, kind=kind, found=error.strerror or type(error).__name__)


def decoded(content: bytes, file: str, kind: str, encoding: str = "utf-8") -> str:
    """A file's bytes as text. Raises ``ConfigError`` with the line that is not UTF-8."""
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise refused("not_utf8", file=file, line=line, kind=kind) from None
