"""A simulated national portal: sessions, upserts with its odd answers, citizens who file and pay.

It takes only what the real one takes: texts for booleans and codes, its own form of dates, one dossier or ten lines.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from router.sdk.dates import COMPACT
from router.sdk.testing import Incoming, Outgoing, Quirk, Quirks, Sent, Simulator, answer_json

ONE_STOP, LAND = "one_stop", "land"
#: What an insert needs; an update may leave out all but the code and the status.
NEEDED: Final = ("MaHoSo", "MaTTHC", "DonViXuLy", "ChuHoSo", "LoaiDoiTuong", "TrangThaiHoSo", "KenhThucHien")
LINE: Final = ("MaHoSo", "NguoiXuLy", "ThoiDiemXuLy", "PhongBanXuLy", "NoiDungXuLy", "TrangThai")
LONGEST: Final = {"TrichYeuHoSo": 1000, "NguoiXuLy": 50}
MOST_LINES: Final = 10
#: The codes under which it says that a dossier exists, one after the other.
EXISTS: Final = ("3", "0", "-3")
PROCEDURES: Final = ("1.012783",)


class NationalPortalSimulator(Simulator):
    """``on_paid`` tells the treasury of a notice that a citizen has paid. ``calls_a_session`` ends sessions early.

    With ``user`` and ``password`` only that account may log in, otherwise any. ``ok`` is how this deployment spells
    success; ``papers`` are citizens' files by path.
    """

    def __init__(
        self,
        clock: Any,
        *,
        token: str,
        on_paid: Callable[[str], None],
        calls_a_session: int = 200,
        user: str = "",
        password: str = "",
        ok: str = "00",
        quirks: Quirks | None = None,
    ) -> None:
        super().__init__(clock, quirks)
        self._token, self._on_paid, self._calls_a_session = token, on_paid, calls_a_session
        self._account, self._ok = (user, password), ok
        self.dossiers: dict[str, dict[str, Any]] = {}
        self.history: dict[str, list[str]] = {}
        self.replies: list[str] = []
        self.papers: dict[str, bytes] = {}
        self._sessions: dict[str, int] = {}
        self._existing = 0
        self.route("POST", "/login", "login", self._login)
        self.route("POST", "/integration", "integration", self._integrate)
        self.route("GET", "/tep/{name}", "paper", self._paper)

    def credentials(self, content: bytes) -> Mapping[str, str]:
        """The webhook's token."""
        return {"Authorization": f"Bearer {self._token}"}

    def quirk_answer(self, quirk: Quirk, operation: str) -> Outgoing:
        """Its words for an error under HTTP 200, and for *exists already*."""
        if quirk is Quirk.DUPLICATE_ACK:
            return _said("3", "Hồ sơ đã tồn tại")
        return _said("03", "Hệ thống bị gián đoạn, vui lòng thử lại")

    def file(self, dossier: Mapping[str, Any]) -> None:
        """A citizen files online."""
        code = str(dossier["MaHoSo"])
        self.dossiers[code] = dict(dossier)
        self.history.setdefault(code, []).append(str(dossier["TrangThaiHoSo"]))
        self.push(Sent(code, "submitted", (ONE_STOP,)), "/nop-ho-so", dossier)

    def end_sessions(self) -> None:
        """No session given so far is known any more."""
        self._sessions = dict.fromkeys(self._sessions, self._calls_a_session)

    async def _login(self, request: Incoming) -> Outgoing:
        body = request.json() or {}
        given = (str(body.get("username", "")), str(body.get("password", "")))
        if not given[0] or not request.headers.get("dstcode") or (any(self._account) and given != self._account):
            return answer_json({"error_code": "15", "message": "Sai tài khoản"})
        session = f"S{len(self._sessions) + 1:06d}"
        self._sessions[session] = 0
        return answer_json({"error_code": "0", "session": session})

    async def _integrate(self, request: Incoming) -> Outgoing:
        body = request.json() or {}
        session, data = str(body.get("session", "")), body.get("data")
        if self._sessions.get(session, self._calls_a_session) >= self._calls_a_session:
            return _said("-1", "Phiên làm việc đã hết hạn")
        self._sessions[session] += 1
        if not body.get("madonvi"):
            return _said("2", "Thiếu madonvi")
        if body.get("isUpdating") not in ("True", "False") or not isinstance(data, list):
            return _said("2", "isUpdating phải là chuỗi True hoặc False, data phải là danh sách")
        match body.get("service"):
            case "DongBoHoSoMC":
                return self._synchronise(data, updating=body["isUpdating"] == "True")
            case "CapNhatTienDoHoSoMC":
                return self._progress(data)
            case "TraCuuHoSo":
                found = [self.dossiers[d["MaHoSo"]] for d in data if d.get("MaHoSo") in self.dossiers]
                return _said(self._ok, "", found) if found else _said("3", "Không tìm thấy hồ sơ")
            case "LayDanhSachTTHC":
                return _said(self._ok, "", [{"MaTTHC": code} for code in PROCEDURES])
            case "PhanHoi":
                self.replies += [str(each.get("MaSuKien")) for each in data]
                return _said(self._ok, "Đã nhận")
            case _:
                return _said("2", "service không được hỗ trợ")

    def _synchronise(self, data: Sequence[Mapping[str, Any]], *, updating: bool) -> Outgoing:
        if len(data) != 1:
            return _said("2", "Mỗi lần chỉ một hồ sơ")
        dossier = data[0]
        code, status = str(dossier.get("MaHoSo", "")), str(dossier.get("TrangThaiHoSo", ""))
        fault = fault_in(dossier, ("MaHoSo", "TrangThaiHoSo") if updating else NEEDED)
        if fault:
            return _said("2", fault)
        if dossier.get("MaTTHC", PROCEDURES[0]) not in PROCEDURES:
            return _said("4", "Mã TTHC không có trong danh mục")
        if not updating and code in self.dossiers:
            self._existing += 1
            return _said(EXISTS[self._existing % len(EXISTS)], "Hồ sơ đã tồn tại trên hệ thống")
        if updating and code not in self.dossiers:
            return _said("3", "Hồ sơ không tồn tại")
        self.dossiers.setdefault(code, {}).update(dossier)
        if self.effect(code, "DongBoHoSoMC", step_of(dossier)):
            self.history.setdefault(code, []).append(status)
            if status == "6":
                self._pay(code, dossier)
        return _said(self._ok, "Thành công", {"IdHoSo": f"DVCQG-{code}"})

    def _progress(self, data: Sequence[Mapping[str, Any]]) -> Outgoing:
        if not 0 < len(data) <= MOST_LINES:
            return _said("2", f"Từ 1 đến {MOST_LINES} dòng tiến độ")
        faults = [fault for line in data if (fault := fault_in(line, LINE))]
        if faults:
            return _said("2", faults[0])
        for line in data:
            self.effect(str(line["MaHoSo"]), "CapNhatTienDoHoSoMC", f"progress/{line['NoiDungXuLy']}")
        return _said("0", "Thành công")

    async def _paper(self, request: Incoming) -> Outgoing:
        content = self.papers.get(request.path)
        if content is None:
            return Outgoing(404, b"")
        return Outgoing(200, content, {"Content-Type": "application/pdf"})

    def _pay(self, code: str, dossier: Mapping[str, Any]) -> None:
        """The citizen pays every notice of the dossier."""
        for fee in dossier.get("DanhSachLePhi", ()):
            notice = str(fee["MaPhiLePhi"])
            reference = f"TT-{notice}"
            body = {
                "MaHoSo": code,
                "MaThamChieu": reference,
                "MaGiaoDich": f"GD-{notice}",
                "MaThongBaoThue": notice,
                "SoTien": fee["Gia"],
                "MaTienTe": "VND",
                "ThoiGianThanhToan": COMPACT.write(self.clock.business()),
                "TrangThaiThanhToan": "1",
                "DonViXuLy": self.dossiers[code].get("DonViXuLy", ""),
            }
            self.push(Sent(code, f"payment/{reference}", (ONE_STOP, LAND)), "/chung-tu", body)
            self._on_paid(notice)


def step_of(dossier: Mapping[str, Any]) -> str:
    """What a snapshot says that others of the same dossier do not: its status or supplement round, for which notice."""
    status = str(dossier["TrangThaiHoSo"])
    if "DanhSachHoSoBoSung" in dossier and "MaTTHC" not in dossier:
        return f"supplement/{status}"
    notices = [str(fee.get("MaPhiLePhi", "")) for fee in dossier.get("DanhSachLePhi", ())]
    return "/".join(["status", status, *notices])


def fault_in(item: Mapping[str, Any], needed: Iterable[str]) -> str:
    """What is wrong with a dossier or line, at any depth; empty if nothing is."""
    for name in needed:
        if not item.get(name):
            return f"Thiếu {name}"
    for name, value in item.items():
        if isinstance(value, list):
            inner = next((fault for each in value if (fault := fault_in(each, ()))), "")
            if inner:
                return f"{name}: {inner}"
        elif not _is_right(name, value):
            return f"{name} sai kiểu dữ liệu"
    return ""


def _is_right(name: str, value: Any) -> bool:
    if name in ("Gia", "DungLuong"):
        return isinstance(value, int) and not isinstance(value, bool)
    if not isinstance(value, str) or len(value) > LONGEST.get(name, len(value)):
        return False
    if name in ("TrangThaiHoSo", "TrangThai"):
        return value.isdigit() and len(value) < 3
    if name.startswith(("Ngay", "ThoiDiem")):
        try:
            COMPACT.read(value, name)
        except ValueError:
            return False
    return True


def _said(code: str, message: str, result: Any = None) -> Outgoing:
    return answer_json({"error_code": code, "message": message, "result": result})
