"""The agency registry as CSV files, validated at the door: ``agencies.csv``, ``codes.csv``, ``successions.csv``.

UTF-8, with or without the mark that Excel writes; columns are named in the first row; lines that begin with ``#`` are
comments. Every refusal names file, line, column and expected form. Names are kept in Unicode's composed form (NFC), so
that one name typed on two systems is one name.
"""

from __future__ import annotations

import csv
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from hashlib import sha256
from importlib.resources import files
from importlib.resources.abc import Traversable
from io import StringIO
from pathlib import Path
from typing import Any, Final, Protocol
from unicodedata import normalize

from router.errors import ConfigError
from router.refusals import refused
from router.routing.agencies import Agency, Code, Directory, Registry, Relation, Succession, shared_code
from router.routing.registry_changes import day, directory, serves
from router.text_file import decoded, unreadable

AGENCIES, CODES, SUCCESSIONS = "agencies.csv", "codes.csv", "successions.csv"
KIND: Final = "CSV"
FILES: Final = (AGENCIES, CODES, SUCCESSIONS)
#: Columns by file; those with a star may be left out.
_COLUMNS: Final[Mapping[str, Sequence[str]]] = {
    AGENCIES: (
        "id",
        "name",
        "level",
        "parent",
        "valid_from",
        "valid_to",
        "serves",
        "grace_until*",
        "directory_version*",
        "modified_at*",
        "is_agency*",
        "center_code*",
    ),
    CODES: ("code", "agency", "valid_from", "valid_to"),
    SUCCESSIONS: ("agency", "relation", "successor", "on", "discriminator"),
}


def shipped_registry() -> Registry:
    """The extract that comes with the package: five provinces before and after 1 July 2025."""
    return _load(files("router.routing") / "data" / "agencies")


def load_registry(folder: Path, known: Collection[str] = ()) -> Registry:
    """The registry in a folder; its version is a digest of the files. It may name agencies that are ``known``
    elsewhere. Raises ``ConfigError``.
    """
    return _load(folder, known)


def write_registry(folder: Path, registry: Registry) -> None:
    """Write a registry as files that ``load_registry`` reads as the same. The folder is made if it is missing."""
    entries = [entry for _, entry in sorted(registry.entries().items())]
    agencies = [_cells(entry.agency) for entry in entries]
    codes = [(c.value, c.agency, day(c.valid_from), day(c.valid_to)) for entry in entries for c in entry.codes]
    ends = [
        (s.agency, s.relation, s.successor, day(s.on), s.discriminator) for entry in entries for s in entry.successions
    ]
    folder.mkdir(parents=True, exist_ok=True)
    for name, rows in ((AGENCIES, agencies), (CODES, codes), (SUCCESSIONS, ends)):
        text = StringIO(newline="")
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(column.removesuffix("*") for column in _COLUMNS[name])
        writer.writerows(rows)
        (folder / name).write_text(text.getvalue(), "utf-8")


def _cells(agency: Agency) -> tuple[str, ...]:
    name = " ".join(agency.name.splitlines())
    days = day(agency.valid_from), day(agency.valid_to)
    works, grace = serves(agency), day(agency.grace_until or date.max)
    return agency.id, name, agency.level, agency.parent, *days, works, grace, *directory(agency).values()


def _load(folder: Traversable, elsewhere: Collection[str] = ()) -> Registry:
    digest = sha256()
    agencies = list(_rows(folder, AGENCIES, digest))
    known: dict[str, int] = {}
    for row in agencies:
        row.once("id", row.text("id"), known)
    known = {**dict.fromkeys(elsewhere, 0), **known}
    codes = [(row, _code(row, known)) for row in _rows(folder, CODES, digest)]
    ends = [(row, _succession(row, known)) for row in _rows(folder, SUCCESSIONS, digest)]
    _refuse_shared(codes)
    registry = Registry(
        digest.hexdigest()[:12],
        [_agency(row, known) for row in agencies],
        [code for _, code in codes],
        [succession for _, succession in ends],
    )
    _refuse_circle(registry, ends, agencies)
    return registry


class Digest(Protocol):
    """What gathers the content's hash."""

    def update(self, data: bytes, /) -> None:
        """Add content."""


class _Row:
    """A line of a file; asking for a cell that is not as expected raises ``ConfigError`` with file, line, column."""

    def __init__(self, file: str, line: int, cells: dict[str, str]) -> None:
        self.file, self.line, self._cells = file, line, cells

    def text(self, column: str, *, required: bool = True) -> str:
        value = normalize("NFC", (self._cells.get(column) or "").strip())
        if required and not value:
            raise self.refused(column, "empty")
        return value

    def day(self, column: str, default: date) -> date:
        value = self.text(column, required=False)
        try:
            return date.fromisoformat(value) if value else default
        except ValueError:
            raise self.refused(column, "no_date", found=value) from None

    def instant(self, column: str) -> datetime | None:
        value = self.text(column, required=False)
        try:
            found = datetime.fromisoformat(value) if value else None
            if found is not None and found.tzinfo is None:
                raise ValueError(value)  # of which zone, only its writer knows
            return found if found is None else found.astimezone(UTC)
        except (ValueError, OverflowError):
            raise self.refused(column, "no_instant", found=value) from None

    def reference(self, column: str, known: Collection[str]) -> str:
        value = self.text(column)
        if value not in known:
            raise self.refused(column, "no_agency", found=value, table=AGENCIES)
        return value

    def once(self, column: str, value: str, known: dict[str, int]) -> None:
        if value in known:
            raise self.refused(column, "stands", found=value, other=known[value])
        known[value] = self.line

    def refused(self, column: str, problem: str, *, form: str = "", **facts: Any) -> ConfigError:
        return refused(problem, file=self.file, line=self.line, key=f"column {column}", form=form, **facts)


def _rows(folder: Traversable, name: str, digest: Digest) -> Iterator[_Row]:
    file = str(folder / name)
    text = _text(folder / name, file)
    digest.update(text.encode())
    lines = [(n, line) for n, line in enumerate(text.splitlines(), 1) if line.strip() and not line.startswith("#")]
    if not lines:
        raise refused("empty_file", file=file, line=1, form=_form(name), form_vi=_form_vi(name))
    header = [cell.strip() for cell in _cells_of(*lines[0], file)]
    needed = {column for column in _COLUMNS[name] if not column.endswith("*")}
    allowed = {column.removesuffix("*") for column in _COLUMNS[name]}
    if not needed <= set(header) <= allowed or len(set(header)) != len(header):
        raise refused("columns", file=file, line=lines[0][0], form=_form(name), form_vi=_form_vi(name))
    for number, line in lines[1:]:
        cells = _cells_of(number, line, file)
        if len(cells) != len(header):
            names = ",".join(header)
            raise refused("cells", file=file, line=number, found=len(cells), many=len(header), names=names)
        yield _Row(file, number, dict(zip(header, cells, strict=True)))


def _cells_of(number: int, line: str, file: str) -> list[str]:
    try:
        return next(csv.reader([line]))
    except csv.Error as error:
        raise refused("no_syntax", file=file, line=number, kind=KIND, found=str(error)) from None


def _text(path: Traversable, file: str) -> str:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise unreadable(error, file, KIND) from error
    return decoded(content, file, KIND, "utf-8-sig")


def _form(name: str) -> str:
    return f"columns separated by commas: {_named(name)}"


def _form_vi(name: str) -> str:
    return f"các cột cách nhau bằng dấu phẩy: {_named(name)}"


def _named(name: str) -> str:
    return ",".join(column.removesuffix("*") for column in _COLUMNS[name])


def _agency(row: _Row, known: Mapping[str, int]) -> Agency:
    works: dict[str, str] = {}
    for pair in row.text("serves", required=False).split():
        role, _, recipient = pair.partition("=")
        if not role or not recipient:
            raise row.refused("serves", "no_pair", form="role=recipient …", found=pair)
        works[role] = recipient
    agency = Agency(
        id=row.text("id"),
        name=row.text("name"),
        level=row.text("level", required=False),
        parent=row.reference("parent", known) if row.text("parent", required=False) else "",
        valid_from=row.day("valid_from", date.min),
        valid_to=row.day("valid_to", date.max),
        serves=works,
        grace_until=row.day("grace_until", date.max) if row.text("grace_until", required=False) else None,
        directory=_directory(row),
    )
    if agency.valid_to <= agency.valid_from:
        raise row.refused("valid_to", "not_after", found=agency.valid_to, start=agency.valid_from)
    if agency.grace_until is not None and agency.grace_until < agency.valid_to:
        raise row.refused("grace_until", "grace", end=day(agency.valid_to))
    return agency


def _directory(row: _Row) -> Directory:
    version, is_agency = row.text("directory_version", required=False), row.text("is_agency", required=False)
    if version and not (version.isdecimal() and len(version) <= 18):  # it is a long in records
        raise row.refused("directory_version", "no_number", found=version)
    if is_agency not in ("", "true", "false"):
        raise row.refused("is_agency", "no_truth", form="true | false", found=is_agency)
    return Directory(
        int(version) if version else None,
        row.instant("modified_at"),
        is_agency == "true" if is_agency else None,
        row.text("center_code", required=False),
    )


def _code(row: _Row, known: Mapping[str, int]) -> Code:
    code = Code(
        value=row.text("code"),
        agency=row.reference("agency", known),
        valid_from=row.day("valid_from", date.min),
        valid_to=row.day("valid_to", date.max),
    )
    if code.valid_to <= code.valid_from:
        raise row.refused("valid_to", "not_after", found=code.valid_to, start=code.valid_from)
    return code


def _succession(row: _Row, known: Mapping[str, int]) -> Succession:
    try:
        relation = Relation(row.text("relation"))
    except ValueError:
        raise row.refused("relation", "relation", form=" | ".join(Relation)) from None
    discriminator = row.text("discriminator", required=False)
    if discriminator and not all(discriminator.partition("=")[::2]):
        raise row.refused("discriminator", "no_pair", form="commune=27991", found=discriminator)
    return Succession(
        agency=row.reference("agency", known),
        relation=relation,
        successor="" if relation is Relation.DISSOLVED else row.reference("successor", known),
        on=row.day("on", date.min),
        discriminator=discriminator,
    )


def _refuse_shared(codes: Sequence[tuple[_Row, Code]]) -> None:
    """One code means one agency at a time."""
    found = shared_code(code for _, code in codes)
    if found is None:
        return
    earlier, later = (next(row for row, code in codes if code is one) for one in found)
    raise later.refused("code", "shared_code", found=found[1].value, agency=found[0].agency, other=earlier.line)


def _refuse_circle(registry: Registry, ends: Sequence[tuple[_Row, Succession]], agencies: Sequence[_Row]) -> None:
    found = registry.circle()
    if found is None:
        return
    start, following = found.circle[0], found.circle[1]
    for row, succession in ends:
        if (succession.agency, succession.successor) == (start, following):
            raise row.refused("successor", "circle", found=found, ways="successions")
    row = next(row for row in agencies if row.text("id") == start)
    raise row.refused("parent", "circle", found=found, ways="parents")
