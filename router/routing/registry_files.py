"""The agency registry as CSV files, validated at the door: ``agencies.csv``, ``codes.csv``, ``successions.csv``.

Columns are named in the first row. Lines that begin with ``#`` are comments. Every refusal names file, line and form.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from datetime import date
from hashlib import sha256
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Protocol

from router.errors import ConfigError
from router.routing.agencies import Agency, Code, Registry, Relation, Succession

AGENCIES, CODES, SUCCESSIONS = "agencies.csv", "codes.csv", "successions.csv"


def shipped_registry() -> Registry:
    """The extract that comes with the package: five provinces before and after 1 July 2025."""
    return _load(files("router.routing") / "data" / "agencies")


def load_registry(folder: Path) -> Registry:
    """The registry in a folder. Raises ``ConfigError``."""
    return _load(folder)


def _load(folder: Traversable) -> Registry:
    digest = sha256()
    agencies = [_agency(row) for row in _rows(folder, AGENCIES, digest)]
    known = {agency.id for agency in agencies}
    codes = [_code(row, known) for row in _rows(folder, CODES, digest)]
    successions = [_succession(row, known) for row in _rows(folder, SUCCESSIONS, digest)]
    return Registry(digest.hexdigest()[:12], agencies, codes, successions)


class Digest(Protocol):
    """What gathers the content's hash."""

    def update(self, data: bytes, /) -> None:
        """Add content."""


class _Row:
    """A line of a file; asking for a cell that is not as expected raises ``ConfigError`` with file and line."""

    def __init__(self, file: str, line: int, cells: dict[str, str]) -> None:
        self.file, self.line, self._cells = file, line, cells

    def text(self, column: str, *, required: bool = True) -> str:
        value = (self._cells.get(column) or "").strip()
        if required and not value:
            raise self.refused(column, "is empty", "a text")
        return value

    def day(self, column: str, default: date) -> date:
        value = self.text(column, required=False)
        try:
            return date.fromisoformat(value) if value else default
        except ValueError:
            raise self.refused(column, f"{value!r} is no date", "yyyy-mm-dd") from None

    def refused(self, column: str, problem: str, expected: str) -> ConfigError:
        return ConfigError(f"{column} {problem}", file=self.file, key=f"line {self.line}", expected=expected)


def _rows(folder: Traversable, name: str, digest: Digest) -> Iterator[_Row]:
    try:
        text = (folder / name).read_text("utf-8")
    except OSError as error:
        raise ConfigError("cannot be read", file=str(folder / name), expected="a CSV file in UTF-8") from error
    digest.update(text.encode())
    lines = [(n, line) for n, line in enumerate(text.splitlines(), 1) if line.strip() and not line.startswith("#")]
    if not lines:
        return
    header = next(csv.reader([lines[0][1]]))
    for number, line in lines[1:]:
        cells = next(csv.reader([line]))
        if len(cells) != len(header):
            raise ConfigError(
                f"{len(cells)} cells", file=name, key=f"line {number}", expected=f"{len(header)}: {','.join(header)}"
            )
        yield _Row(name, number, dict(zip(header, cells, strict=True)))


def _agency(row: _Row) -> Agency:
    serves: dict[str, str] = {}
    for pair in filter(None, row.text("serves", required=False).split(" ")):
        role, separator, recipient = pair.partition("=")
        if not separator:
            raise row.refused("serves", f"{pair!r} is no pair", "role=recipient, separated by spaces")
        serves[role] = recipient
    return Agency(
        id=row.text("id"),
        name=row.text("name"),
        level=row.text("level"),
        parent=row.text("parent", required=False),
        valid_from=row.day("valid_from", date.min),
        valid_to=row.day("valid_to", date.max),
        serves=serves,
    )


def _code(row: _Row, known: set[str]) -> Code:
    return Code(
        value=row.text("code"),
        agency=_reference(row, "agency", known),
        valid_from=row.day("valid_from", date.min),
        valid_to=row.day("valid_to", date.max),
    )


def _succession(row: _Row, known: set[str]) -> Succession:
    try:
        relation = Relation(row.text("relation"))
    except ValueError:
        raise row.refused("relation", "is unknown", " | ".join(Relation)) from None
    successor = "" if relation is Relation.DISSOLVED else _reference(row, "successor", known)
    return Succession(
        agency=_reference(row, "agency", known),
        relation=relation,
        successor=successor,
        on=row.day("on", date.min),
        discriminator=row.text("discriminator", required=False),
    )


def _reference(row: _Row, column: str, known: set[str]) -> str:
    value = row.text(column)
    if value not in known:
        raise row.refused(column, f"{value!r} is no agency", f"an id of {AGENCIES}")
    return value
