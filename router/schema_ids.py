"""The numbers that a schema registry gave to our schemas, kept in a file: nothing stops while the registry is away.

::

    [written]                                # today's schemas: written in Confluent framing under this id, and read
    "vn.lgsp.dossier.Dossier" = 12
    [read]                                   # what else may come: id = fingerprint (`lgsp schemas list` shows them)
    7 = "c4a1e0f29b7d3355"
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from router.codec import fingerprint_of
from router.errors import ConfigError
from router.refusals import refused
from router.text_file import text_of
from schemas.catalogue import current_schemas, released_schemas

LARGEST: Final = 2**32 - 1
PARTS: Final = ("written", "read")


class SchemaIds(NamedTuple):
    """``known``: fingerprint by id, for reading. ``written``: id by a record's full name."""

    known: Mapping[int, bytes]
    written: Mapping[str, int]


def load_schema_ids(path: Path) -> SchemaIds:
    """Read the file. Raises ``ConfigError`` with file, key and expected form."""
    try:
        values = tomllib.loads(text_of(path, "TOML"))
    except tomllib.TOMLDecodeError as error:
        raise refused("no_syntax", file=str(path), kind="TOML", found=str(error)) from error
    for part, found in values.items():
        if part not in PARTS or not isinstance(found, Mapping):
            raise refused("no_table", file=str(path), key=part, form=" | ".join(PARTS))
    current = {name: fingerprint_of(schema) for name, schema in current_schemas().items()}
    shipped = {*current.values(), *map(fingerprint_of, released_schemas())}
    known: dict[int, bytes] = {}
    written: dict[str, int] = {}
    for name, number in values.get("written", {}).items():
        if name not in current:
            raise _wrong(path, f"written.{name}", "the full name of a record of this release")
        written[name] = _id(path, f"written.{name}", number)
        _add(path, f"written.{name}", known, written[name], current[name])
    for text, fingerprint in values.get("read", {}).items():
        key = f"read.{text}"
        number = _id(path, key, int(text) if text.isascii() and text.isdigit() else None)
        _add(path, key, known, number, _fingerprint(path, key, fingerprint, shipped))
    return SchemaIds(known, written)


def _id(path: Path, key: str, number: Any) -> int:
    if not isinstance(number, int) or isinstance(number, bool) or not 0 <= number <= LARGEST:
        raise _wrong(path, key, f"an id from 0 to {LARGEST}")
    return number


def _fingerprint(path: Path, key: str, text: Any, shipped: set[bytes]) -> bytes:
    try:
        found = bytes.fromhex(text) if isinstance(text, str) else b""
    except ValueError:
        found = b""
    if found not in shipped:
        raise _wrong(path, key, "the fingerprint (16 hexadecimal digits) of a schema that ships with this release")
    return found


def _add(path: Path, key: str, known: dict[int, bytes], number: int, fingerprint: bytes) -> None:
    if known.setdefault(number, fingerprint) != fingerprint:
        raise _wrong(path, key, f"another id: {number} is taken")


def _wrong(path: Path, key: str, expected: str) -> ConfigError:
    return refused("unusable", file=str(path), key=key, form=expected)
