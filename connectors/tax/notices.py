"""A notice file (L7) cut into notices: one dossier that is wrong does not fail the others.

``{MA_HSO, LIST*{MA_SO_THUE, SO_QUYET_DINH, NGAY_QUYET_DINH, TEN_TIEUMUC, SO_TIEN}}``, below ``ROW_LIST`` and often
``ROW``: whatever has an ``MA_HSO`` is a dossier. Lines with the same ``SO_QUYET_DINH`` are one notice. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Any, Final, NamedTuple

from connectors.tax import xml
from connectors.tax.mapping import ANSWERED, LINE
from router.sdk import BadRequest
from router.sdk.fields import read, wrong
from router.sdk.records import NoticeLine, NoticeStatus, TaxNotice
from router.sdk.webhooks import record_of

MOST_DOSSIERS: Final = 5_000
MOST_LINES: Final = 200  # of a dossier; with the longest text of each an event stays well below 256 KiB
LONGEST: Final = 500  # characters of a text
MOST_DONG: Final = 10**15  # of a line; more than that is a slip, and its sum would break the records of all others


class Notice(NamedTuple):
    """A notice of one dossier, and its lines in canonical form."""

    record: TaxNotice
    original: bytes


@dataclass(frozen=True, slots=True)
class Fault:
    """A dossier of the file that nobody can read: its place in the file, why, its code if that much can be read, and
    its rows in canonical form.
    """

    place: str
    vi: str
    en: str
    code: str = ""
    original: bytes = field(default=b"", repr=False)


class NoticeFile(NamedTuple):
    """A file. ``dossiers`` and ``total`` (dong) count all of it, wrong dossiers as far as they can be read, so that
    what became events can be reconciled with it.
    """

    digest: str
    dossiers: int
    total: int
    notices: tuple[Notice, ...]
    faults: tuple[Fault, ...]


class _Line(NamedTuple):
    values: Mapping[str, Any]
    original: bytes


class _Dossier(NamedTuple):
    place: str
    code: str
    lines: tuple[_Line, ...]
    fault: Fault | None
    original: bytes


def read_file(content: bytes, answered: Any) -> NoticeFile:
    """The notices of a file, in its order. ``answered`` says by code which PCTT is answered, where the partner says so.

    Raises ``BadRequest`` for a file that cannot be read at all.
    """
    found = [_dossier(element, index) for index, element in enumerate(_elements(xml.parse(content)))]
    by_code: dict[str, list[_Dossier]] = {}
    for index, dossier in enumerate(found):
        by_code.setdefault(dossier.code or f"\n{index}", []).append(dossier)  # no code has a line feed
    digest = sha256(content).hexdigest()
    total = sum(line.values["amount"] for dossier in found for line in dossier.lines)
    notices: list[Notice] = []
    faults: list[Fault] = []
    for code, parts in by_code.items():
        wrong_parts = [part.fault for part in parts if part.fault is not None]
        try:
            if not wrong_parts:
                notices += _notices(code, parts, answered, (digest, len(by_code), total))
        except BadRequest as error:
            wrong_parts = [Fault(parts[0].place, error.vi, error.en)]
        rows = b"".join(part.original for part in parts)
        faults += [replace(fault, code=parts[0].code, original=rows) for fault in wrong_parts]
    return NoticeFile(digest, len(by_code), total, tuple(notices), tuple(faults))


def _elements(root: Any) -> Sequence[Any]:
    """The elements that are dossiers."""
    found = [element.getparent() for element in root.iter() if xml.name_of(element) == "MA_HSO"]
    known = set(found)
    if not 0 < len(found) <= MOST_DOSSIERS:
        raise BadRequest(f"Tệp phải có từ 1 đến {MOST_DOSSIERS} hồ sơ", f"a file has 1 to {MOST_DOSSIERS} dossiers")
    if None in known or len(known) < len(found) or any(each in known for e in found for each in e.iterancestors()):
        raise BadRequest("Hồ sơ lồng nhau hoặc có hai MA_HSO", "dossiers inside each other, or with two MA_HSO")
    return found


def _dossier(element: Any, index: int) -> _Dossier:
    """A dossier with the lines that can be read, and the first thing that is wrong with it."""
    place = f"MA_HSO[{index}]"
    code = next(xml.text_of(child) for child in element if xml.name_of(child) == "MA_HSO")
    lists = [child for child in element if xml.name_of(child) == "LIST"]
    lines: list[_Line] = []
    errors = [] if _is_number(code) else [wrong("MA_HSO", "bắt buộc phải có", "a code")]
    if not 0 < len(lists) <= MOST_LINES:
        errors.append(wrong("LIST", f"từ 1 đến {MOST_LINES} dòng", f"1 to {MOST_LINES} lines"))
    for child in lists:
        try:
            lines.append(_Line(_line(child), xml.canonical(child)))
        except BadRequest as error:
            errors.append(error)
    fault = Fault(place, errors[0].vi, errors[0].en) if errors else None
    return _Dossier(place, code if _is_number(code) else "", tuple(lines), fault, xml.canonical(element))


def _line(element: Any) -> Mapping[str, Any]:
    said = {xml.name_of(child): xml.text_of(child) for child in element}
    if len(said) < len(element):
        raise wrong("LIST", "mỗi trường một lần", "each field once")
    values = read(said, LINE)
    if not 0 <= values["amount"] <= MOST_DONG:
        raise wrong("SO_TIEN", f"từ 0 đến {MOST_DONG} đồng", f"0 to {MOST_DONG} dong")
    if not _is_number(values["notice"]):
        raise wrong("SO_QUYET_DINH", "một số thông báo", "a notice number")
    if len(values["sub_item"]) > LONGEST:
        raise wrong("TEN_TIEUMUC", f"tối đa {LONGEST} ký tự", f"at most {LONGEST} characters")
    return values


def _notices(code: str, parts: Sequence[_Dossier], answered: Any, file: tuple[str, int, int]) -> list[Notice]:
    """The notices of one dossier. Raises ``BadRequest``."""
    by_number: dict[str, list[_Line]] = {}
    for line in (line for part in parts for line in part.lines):
        by_number.setdefault(line.values["notice"], []).append(line)
    said = answered.get(code) if isinstance(answered, Mapping) else None
    request = read(said, ANSWERED, "PhieuChuyen") if said is not None else {}
    return [_notice(code, number, lines, request, file) for number, lines in by_number.items()]


def _notice(
    code: str, number: str, lines: Sequence[_Line], request: Mapping[str, Any], file: tuple[str, int, int]
) -> Notice:
    first = lines[0].values
    record = record_of(
        TaxNotice,
        {
            "number": number,
            "issued_date": first["issued"],
            "code": code,
            "obligation_number": request.get("obligation_number"),
            "generation": request.get("generation", 0),
            "tax_code": first["tax_code"],
            "lines": tuple(_said(line.values) for line in lines),
            "total": sum(line.values["amount"] for line in lines),
            "status": NoticeStatus.ACTIVE,
            "file_hash": file[0],
            "file_lines": file[1],
            "file_total": file[2],
        },
    )
    return Notice(record, b"".join(line.original for line in lines))


def _said(values: Mapping[str, Any]) -> NoticeLine:
    parts = {name: values.get(name) for name in ("sub_item", "amount", "due_date")}
    return record_of(NoticeLine, parts)


def _is_number(text: str) -> bool:
    """Whether this can be a code or number: some text, on one line."""
    return bool(text) and text.isprintable() and len(text) <= LONGEST
