"""XML of the tax gateway, read without DTDs, entities or network and within limits; written plainly."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any, Final, NamedTuple

from lxml import etree

from router.sdk import BadRequest
from router.sdk.dates import DASHED
from router.sdk.records import ObligationRequest

DEEPEST: Final = 20
LARGEST: Final = 8 * 1_048_576
MOST_DOSSIERS: Final = 5_000


class Line(NamedTuple):
    """A ``LIST`` element: one amount of a notice."""

    tax_code: str
    notice: str
    issued: date
    sub_item: str
    amount: int


class DossierRow(NamedTuple):
    """A ``ROW`` element: the lines of one dossier, and its bytes in canonical form."""

    code: str
    lines: tuple[Line, ...]
    original: bytes


def parse(content: bytes) -> Any:
    """The root element. Raises ``BadRequest`` for what is no XML, has a DTD, or is beyond the limits.

    Junk before the declaration is cut off: partners send it.
    """
    start = content.find(b"<")
    if start < 0 or len(content) > LARGEST:
        raise _bad("XML trống hoặc quá lớn", "the XML is empty or too large")
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, dtd_validation=False, huge_tree=False
    )
    try:
        root = etree.fromstring(content[start:], parser)
    except (etree.XMLSyntaxError, ValueError):
        raise _bad("XML sai cú pháp", "the XML is malformed") from None
    if b"<!DOCTYPE" in content or _depth(root) > DEEPEST:
        raise _bad("XML có DTD hoặc lồng quá sâu", "the XML has a DTD or is nested too deeply")
    return root


def notices(content: bytes) -> list[DossierRow]:
    """The dossiers of a notice file ``ROW_LIST/ROW{MA_HSO, LIST*{…}}``, in order. Raises ``BadRequest``."""
    rows = [element for element in parse(content).iter() if _name(element) == "ROW"]
    if not rows or len(rows) > MOST_DOSSIERS:
        raise _bad("Tệp thông báo phải có từ 1 đến 5000 hồ sơ", "a notice file has 1 to 5000 dossiers")
    return [_row(element, index) for index, element in enumerate(rows)]


def obligation_xml(request: ObligationRequest, event_id: str) -> bytes:
    """A PCTT as the tax gateway takes it."""
    root = etree.Element("PHIEU_CHUYEN")
    parts: Mapping[str, object] = {
        "MA_SU_KIEN": event_id,
        "SO_PHIEU": request.number,
        "NGAY_PHIEU": DASHED.write_date(request.issued_date),
        "DON_VI_LAP": request.branch,
        "LAN_LAP": request.generation,
        "THAY_THE": request.replaces or "",
        "MA_HSO": request.code,
        "LOAI_THU_TUC": request.procedure_kind,
        "CAN_CU": request.legal_basis or "",
        "GIA_CHUYEN_NHUONG": request.transfer_price or "",
        "CAN_CU_MIEN_GIAM": request.exemption_grounds or "",
    }
    _children(root, parts)
    for user in request.users:
        person = {
            "TEN": user.name,
            "DIA_CHI": user.address or "",
            "MST": user.tax_code or "",
            "SO_DINH_DANH": user.identity_number or "",
        }
        _children(etree.SubElement(root, "NGUOI_SU_DUNG"), person)
    for parcel in request.parcels:
        plot = {
            "THUA": parcel.parcel_number,
            "TO": parcel.map_sheet,
            "DIEN_TICH": parcel.area,
            "MUC_DICH": parcel.purpose or "",
        }
        _children(etree.SubElement(root, "THUA_DAT"), plot)
    return bytes(etree.tostring(root, encoding="utf-8", xml_declaration=True))


def _row(element: Any, index: int) -> DossierRow:
    where = f"ROW[{index}]"
    lines = tuple(_line(child, where) for child in element if _name(child) == "LIST")
    if not lines:
        raise _bad(f"{where}: thiếu LIST", f"{where}: LIST is missing")
    return DossierRow(_text(element, "MA_HSO", where), lines, bytes(etree.tostring(element, method="c14n")))


def _line(element: Any, where: str) -> Line:
    try:
        issued = DASHED.read_date(_text(element, "NGAY_QUYET_DINH", where), "NGAY_QUYET_DINH")
        amount = int(_text(element, "SO_TIEN", where))
    except ValueError:
        raise _bad(
            f"{where}: ngày dd-MM-yyyy hoặc số tiền sai", f"{where}: date dd-MM-yyyy or whole amount expected"
        ) from None
    if amount < 0:
        raise _bad(f"{where}: SO_TIEN âm", f"{where}: SO_TIEN is negative")
    return Line(
        _text(element, "MA_SO_THUE", where),
        _text(element, "SO_QUYET_DINH", where),
        issued,
        _text(element, "TEN_TIEUMUC", where),
        amount,
    )


def _text(element: Any, name: str, where: str) -> str:
    for child in element:
        if _name(child) == name and (child.text or "").strip():
            return str(child.text).strip()
    raise _bad(f"{where}: thiếu {name}", f"{where}: {name} is missing")


def _name(element: Any) -> str:
    """The local name; namespaces are tolerated, comments have none."""
    return etree.QName(element).localname if isinstance(element.tag, str) else ""


def _depth(root: Any) -> int:
    deepest = depth = 0
    for event, _ in etree.iterwalk(root, events=("start", "end")):
        depth += 1 if event == "start" else -1
        deepest = max(deepest, depth)
    return deepest


def _children(parent: Any, parts: Mapping[str, object]) -> None:
    for name, value in parts.items():
        if value != "":
            etree.SubElement(parent, name).text = str(value)


def _bad(vi: str, en: str) -> BadRequest:
    return BadRequest(vi, en)


def total(rows: Sequence[DossierRow]) -> int:
    """The sum of a file in dong."""
    return sum(line.amount for row in rows for line in row.lines)
