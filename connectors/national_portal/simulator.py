"""A simulated national portal: sessions, upserts with its odd answers, citizens who file and pay."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from router.sdk.dates import COMPACT
from router.sdk.testing import Incoming, Outgoing, Quirk, Quirks, Sent, Simulator, answer_json

ONE_STOP, LAND = "one_stop", "land"


class NationalPortalSimulator(Simulator):
    """``on_paid`` tells the treasury of a notice that a citizen has paid. ``calls_a_session`` ends sessions early."""

    def __init__(
        self,
        clock: Any,
        *,
        token: str,
        on_paid: Callable[[str], None],
        calls_a_session: int = 200,
        quirks: Quirks | None = None,
    ) -> None:
        super().__init__(clock, quirks)
        self._token, self._on_paid, self._calls_a_session = token, on_paid, calls_a_session
        self.dossiers: dict[str, dict[str, Any]] = {}
        self.history: dict[str, list[str]] = {}
        self._sessions: dict[str, int] = {}
        self.route("POST", "/login", "login", self._login)
        self.route("POST", "/integration", "integration", self._integrate)

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
        self.dossiers[str(dossier["MaHoSo"])] = dict(dossier)
        self.push(Sent(str(dossier["MaHoSo"]), "submitted", (ONE_STOP,)), "/nop-ho-so", dossier)

    async def _login(self, request: Incoming) -> Outgoing:
        body = request.json() or {}
        if not body.get("username") or not request.headers.get("dstcode"):
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
        if body.get("isUpdating") not in ("True", "False") or not isinstance(data, list):
            return _said("2", "isUpdating phải là chuỗi True hoặc False")
        match body.get("service"):
            case "DongBoHoSoMC":
                return self._synchronise(data, updating=body["isUpdating"] == "True")
            case "CapNhatTienDoHoSoMC":
                return self._progress(data)
            case "TraCuuHoSo":
                found = [self.dossiers[d["MaHoSo"]] for d in data if d.get("MaHoSo") in self.dossiers]
                return answer_json({"error_code": "0", "message": "", "result": found})
            case "LayDanhSachTTHC":
                return answer_json({"error_code": "00", "result": [{"MaTTHC": "1.012783"}]})
            case _:
                return _said("00", "Đã nhận")

    def _synchronise(self, data: Sequence[Mapping[str, Any]], *, updating: bool) -> Outgoing:
        if len(data) != 1:
            return _said("2", "Mỗi lần chỉ một hồ sơ")
        dossier = data[0]
        code, status = str(dossier.get("MaHoSo", "")), str(dossier.get("TrangThaiHoSo", ""))
        if not updating and code in self.dossiers:
            return _said("3", "Hồ sơ đã tồn tại")
        rounds = dossier.get("DanhSachHoSoBoSung")
        identity = f"supplement/{status}" if rounds else f"status/{status}"
        if self.effect(code, "DongBoHoSoMC", identity):
            self.dossiers.setdefault(code, {}).update(dossier)
            self.history.setdefault(code, []).append(status)
            if status == "6":
                self._pay(code, dossier)
        return _said("00", "Thành công")

    def _progress(self, data: Sequence[Mapping[str, Any]]) -> Outgoing:
        if len(data) > 10:
            return _said("2", "Tối đa 10 dòng tiến độ")
        for line in data:
            self.effect(str(line["MaHoSo"]), "CapNhatTienDoHoSoMC", f"progress/{line['NoiDungXuLy']}")
        return _said("0", "Thành công")

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


def _said(code: str, message: str) -> Outgoing:
    return answer_json({"error_code": code, "message": message, "result": None})
