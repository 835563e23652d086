"""XML of the tax gateway, read without DTDs, entities or network and within limits; a PCTT written plainly."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from lxml import etree

from router.sdk import BadRequest, Invalid
from router.sdk.dates import DASHED
from router.sdk.records import ObligationRequest

DEEPEST: Final = 20
LARGEST: Final = 8 * 1_048_576


def parse(content: bytes) -> Any:
    """The root element, without comments and processing instructions.

    Junk before the declaration is cut off: partners send it. Raises ``BadRequest`` for what is no XML, has a DTD, or is
    beyond the limits.
    """
    declared = content.find(b"<?xml")
    start = declared if declared >= 0 else content.find(b"<")
    if start < 0 or len(content) > LARGEST:
        raise BadRequest("XML trống hoặc quá lớn", "the XML is empty or too large")
    # A comment inside an amount would cut its text in two, and only the first half be read.
    parser = etree.XMLParser(
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        dtd_validation=False,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
    )
    if b"<!DOCTYPE" in content:  # before anything of it is read
        raise _with_dtd()
    try:
        root = etree.fromstring(content[start:], parser)
    except (etree.XMLSyntaxError, ValueError):
        raise BadRequest("XML sai cú pháp", "the XML is malformed") from None
    if root.getroottree().docinfo.internalDTD is not None:  # in an encoding in which the bytes above do not show
        raise _with_dtd()
    if _depth(root) > DEEPEST:
        raise BadRequest("XML lồng quá sâu", "the XML is nested too deeply")
    return root


def name_of(element: Any) -> str:
    """The local name: namespaces are tolerated."""
    return etree.QName(element).localname if isinstance(element.tag, str) else ""


def text_of(element: Any) -> str:
    """The text of an element without children; empty for one that has any, since its text would be cut."""
    return "" if len(element) else (element.text or "").strip()


def canonical(element: Any) -> bytes:
    """The bytes of an element in canonical form (C14N), by which a repetition is told from a change."""
    return bytes(etree.tostring(element, method="c14n", with_tail=False))


def obligation_xml(request: ObligationRequest, event_id: str) -> bytes:
    """A PCTT as the tax gateway takes it. Raises ``Invalid`` for a text that XML cannot hold."""
    root = etree.Element("PHIEU_CHUYEN")
    try:
        _children(root, _head(request, event_id))
        for user in request.users:
            person = {
                "TEN": user.name,
                "DIA_CHI": user.address,
                "MST": user.tax_code,
                "SO_DINH_DANH": user.identity_number,
                "NGAY_SINH": DASHED.write_date(user.birth_date) if user.birth_date else None,
            }
            _children(etree.SubElement(root, "NGUOI_SU_DUNG"), person)
        for parcel in request.parcels:
            plot = {
                "THUA": parcel.parcel_number,
                "TO": parcel.map_sheet,
                "DIA_CHI": parcel.address,
                "DIEN_TICH": parcel.area,
                "NGUON_GOC": parcel.origin,
                "MUC_DICH": parcel.purpose,
                "THOI_HAN": parcel.term,
            }
            _children(etree.SubElement(root, "THUA_DAT"), plot)
    except ValueError:
        raise Invalid("not_xml_text", "a field has characters that XML cannot hold") from None
    return bytes(etree.tostring(root, encoding="utf-8", xml_declaration=True))


def _head(request: ObligationRequest, event_id: str) -> Mapping[str, object]:
    return {
        "MA_SU_KIEN": event_id,
        "SO_PHIEU": request.number,
        "NGAY_PHIEU": DASHED.write_date(request.issued_date),
        "DON_VI_LAP": request.branch,
        "LAN_LAP": request.generation,
        "THAY_THE": request.replaces,
        "MA_HSO": request.code,
        "NGAY_NHAN_DU": DASHED.write_date(request.complete_date) if request.complete_date else None,
        "LOAI_THU_TUC": request.procedure_kind,
        "CAN_CU": request.legal_basis,
        "GIA_CHUYEN_NHUONG": request.transfer_price,
        "CAN_CU_MIEN_GIAM": request.exemption_grounds,
    }


def _children(parent: Any, parts: Mapping[str, object]) -> None:
    for name, value in parts.items():
        if value is not None and value != "":
            etree.SubElement(parent, name).text = str(value)


def _depth(root: Any) -> int:
    deepest = depth = 0
    for event, _ in etree.iterwalk(root, events=("start", "end")):
        depth += 1 if event == "start" else -1
        deepest = max(deepest, depth)
    return deepest


def _with_dtd() -> BadRequest:
    return BadRequest("XML có DTD", "the XML has a DTD")
