"""A simulated tax office: it collects PCTTs, returns some, issues notice files and confirms completions."""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Final, NamedTuple

from lxml import etree

from connectors.tax import xml
from router.sdk import BadRequest, Clock
from router.sdk.dates import COMPACT, DASHED, VIETNAM
from router.sdk.testing import Incoming, Outgoing, Quirk, Quirks, Sent, Simulator, answer_json

ONE_STOP, LAND = "one_stop", "land"
#: Registration fee of 0.5 % and personal income tax of 2 % of the transfer price.
RATES: Final = (("Lệ phí trước bạ nhà đất", 5), ("Thuế TNCN từ chuyển nhượng bất động sản", 20))
STRANGERS_TAX: Final = 1_000_000


class Request(NamedTuple):
    """A PCTT that waits for its notice."""

    code: str
    number: str
    generation: int
    price: int
    tax_code: str


class TaxSimulator(Simulator):
    """``returns`` says of a code whether its first PCTT is sent back; ``batch`` PCTTs make a notice file.

    ``stranger`` is a dossier that nobody knows, in the first file. With ``system_key`` it expects that of its callers.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        token: str,
        agency: str,
        returns: Callable[[str], bool],
        batch: int = 3,
        stranger: str = "",
        system_key: str = "",
        quirks: Quirks | None = None,
    ) -> None:
        super().__init__(clock, quirks)
        self._token, self.agency, self._returns, self._batch, self._stranger = token, agency, returns, batch, stranger
        self._system_key = system_key
        self.waiting: list[Request] = []
        self.notices: dict[str, int] = {}
        self.paid_notices: set[str] = set()
        self.arrived: set[str] = set()
        self.files: list[tuple[int, int]] = []  # dossiers and dong of each
        self.bodies: list[Mapping[str, object]] = []  # the messages they went out in
        self.route("POST", "/tax/pctt", "pctt", self._pctt)
        self.route("POST", "/tax/phan-hoi", "reply", self._reply)
        self.route("GET", "/tax/tra-cuu", "check", self._check)
        self.route("GET", "/tax/health", "health", self._health)

    def credentials(self, content: bytes) -> Mapping[str, str]:
        """The webhook's token."""
        return {"Authorization": f"Bearer {self._token}"}

    def quirk_answer(self, quirk: Quirk, operation: str) -> Outgoing:
        """Its words for an error under HTTP 200, and for *exists already*."""
        if quirk is Quirk.DUPLICATE_ACK:
            return answer_json({"MaKetQua": "01", "MoTa": "Phiếu chuyển đã tồn tại"})
        return answer_json({"MaKetQua": "03", "MoTa": "Hệ thống bị gián đoạn, thử lại"})

    def paid(self, notice: str) -> None:
        """The treasury tells the tax office of a payment: it confirms the completion, once."""
        if notice in self.paid_notices:
            return
        self.paid_notices.add(notice)
        code = notice.removeprefix("TB-").rpartition("-")[0]
        body = {
            "SO_QUYET_DINH": notice,
            "SO_TIEN": self.notices[notice],
            "NGAY_HOAN_THANH": DASHED.write(self._now()),
            "DON_VI": "Kho bạc Nhà nước khu vực",
        }
        self.push(Sent(code, f"completion/{notice}", (LAND,)), "/hoan-thanh", body)

    def flush(self) -> None:
        """Issue a notice file for everything that waits."""
        if not self.waiting:
            return
        requests, self.waiting = self.waiting, []
        rows = [self._row(request) for request in requests]
        total = sum(self.notices[_notice(request.code, request.generation)] for request in requests)
        if self._stranger:
            rows.append(_row_xml(self._stranger, "0000000000", _notice(self._stranger, 1), self._now(), STRANGERS_TAX))
            self._stranger, total = "", total + STRANGERS_TAX
        content = b"".join([b"<?xml version='1.0' encoding='utf-8'?><ROW_LIST>", *rows, b"</ROW_LIST>"])
        body = {
            "MaTep": f"TEP-{len(self.files) + 1:05d}",
            "NoiDung": b64encode(content).decode(),
            "PhieuChuyen": {r.code: {"SoPhieu": r.number, "LanLap": r.generation} for r in requests},
        }
        self.files.append((len(rows), total))
        first, *others = (
            Sent(request.code, f"notice/{_notice(request.code, request.generation)}", (ONE_STOP, LAND))
            for request in requests
        )
        self.sent += others
        self.bodies.append(body)
        self.push(first, "/thong-bao", body)

    async def _pctt(self, request: Incoming) -> Outgoing:
        body = request.json() or {}
        if not self._admits(request):
            return answer_json({"MaKetQua": "04", "MoTa": "Sai mã hệ thống"})
        try:
            root = xml.parse(b64decode(str(body.get("NoiDung", ""))))
            found = {xml.name_of(child): xml.text_of(child) for child in root}
            DASHED.read_date(found["NGAY_PHIEU"], "NGAY_PHIEU")
            number, code = found["SO_PHIEU"], found["MA_HSO"]
        except (BadRequest, KeyError, ValueError):
            return answer_json({"MaKetQua": "02", "MoTa": "Sai cấu trúc XML"})
        if not {"NGUOI_SU_DUNG", "THUA_DAT"} <= found.keys():
            return answer_json({"MaKetQua": "01", "MoTa": "Thiếu người sử dụng đất hoặc thửa đất"})
        self.arrived.add(str(body.get("MaSuKien")))
        if not self.effect(code, "pctt", f"pctt/{number}"):
            return answer_json({"MaKetQua": "01", "MoTa": "Phiếu chuyển đã tồn tại"})
        generation = int(found["LAN_LAP"])
        if generation == 1 and self._returns(code):
            self._return(code, number)
        else:
            price = int(found.get("GIA_CHUYEN_NHUONG") or 0)
            user = root.find("NGUOI_SU_DUNG")
            tax_code = (user.findtext("MST") if user is not None else "") or "0000000000"
            self.waiting.append(Request(code, number, generation, price, tax_code))
            if len(self.waiting) >= self._batch:
                self.flush()
        return answer_json({"MaKetQua": "00", "MoTa": "Đã nhận", "MaTiepNhan": f"TMS-{number}"})

    def _admits(self, request: Incoming) -> bool:
        key = request.headers.get("x-secretkey")
        return request.headers.get("x-systemid") is not None and (not self._system_key or key == self._system_key)

    async def _reply(self, request: Incoming) -> Outgoing:
        self.arrived.add(str((request.json() or {}).get("MaSuKien")))
        return answer_json({"MaKetQua": "00"})

    async def _check(self, request: Incoming) -> Outgoing:
        return answer_json({"DaNhan": request.query.get("MaSuKien", "") in self.arrived})

    async def _health(self, _: Incoming) -> Outgoing:
        return answer_json({"MaKetQua": "00"})

    def _return(self, code: str, number: str) -> None:
        body = {
            "SO_BIEN_NHAN": code,
            "SO_PHIEU": number,
            "LAN_LAP": 1,
            "LY_DO": "Sai diện tích thửa đất so với hồ sơ",
            "THOI_GIAN": COMPACT.write(self._now()),
            "MA_GIAO_DICH": f"TRA-{number}",
        }
        self.push(Sent(code, f"return/{number}", (LAND,)), "/tra-phieu", body)

    def _row(self, request: Request) -> bytes:
        notice = _notice(request.code, request.generation)
        amounts = [request.price * rate // 1000 for _, rate in RATES]
        self.notices[notice] = sum(amounts)
        return _row_xml(request.code, request.tax_code, notice, self._now(), *amounts)

    def _now(self) -> datetime:
        return self.clock.business().astimezone(VIETNAM)


def _notice(code: str, generation: int) -> str:
    return f"TB-{code}-{generation}"


def _row_xml(code: str, tax_code: str, notice: str, at: datetime, *amounts: int) -> bytes:
    row = etree.Element("ROW")
    etree.SubElement(row, "MA_HSO").text = code
    for (name, _), amount in zip(RATES, amounts, strict=False):
        line = etree.SubElement(row, "LIST")
        for tag, value in (
            ("MA_SO_THUE", tax_code),
            ("SO_QUYET_DINH", notice),
            ("NGAY_QUYET_DINH", DASHED.write(at)),
            ("TEN_TIEUMUC", name),
            ("SO_TIEN", str(amount)),
        ):
            etree.SubElement(line, tag).text = value
    return bytes(etree.tostring(row, encoding="utf-8"))
