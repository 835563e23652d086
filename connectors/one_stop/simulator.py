"""A simulated one-stop as others reach it: login, what it takes and how it answers. Its work is in ``counter``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from connectors.one_stop.counter import LAND, ONE_STOP, Counter, land_file
from router.sdk import Clock
from router.sdk.dates import COMPACT
from router.sdk.testing import Handler, Incoming, Outgoing, Quirk, Quirks, answer_json


class OneStopSimulator(Counter):
    """``token`` is that of its webhook; for the rest see ``Counter``."""

    def __init__(
        self,
        clock: Clock,
        *,
        token: str,
        agency: str,
        disputes: Callable[[str], bool] = lambda _code: False,
        quirks: Quirks | None = None,
    ) -> None:
        super().__init__(clock, agency=agency, disputes=disputes, quirks=quirks)
        self._token = token
        self.rejections: list[str] = []
        self.tokens: set[str] = set()
        self._replies: set[Any] = set()
        self._logins = 0
        self.route("POST", "/token", "login", self._login)
        self.route("GET", "/api/suc-khoe", "health", self._health)
        for path, operation, handler in (
            ("/api/ho-so", "submission", self._submission),
            ("/api/lien-thong-dat-dai", "land", self._land),
            ("/api/thong-bao-thue", "tax_notice", self._notice),
            ("/api/thanh-toan", "payment", self._payment),
            ("/api/van-ban", "document", self._document),
            ("/api/van-ban/trang-thai", "document_status", self._document_status),
            ("/api/phan-hoi", "reply", self._reply),
            ("/api/nhac-viec", "reminder", self._reminder),
        ):
            self.route("POST", path, operation, self._authorised(handler))

    def credentials(self, content: bytes) -> Mapping[str, str]:
        """The webhook's token."""
        return {"Authorization": f"Bearer {self._token}"}

    def quirk_answer(self, quirk: Quirk, operation: str) -> Outgoing:
        """Its words for an error, and for *exists already*."""
        if quirk is Quirk.DUPLICATE_ACK:
            return answer_json({"code": "01", "message": "Hồ sơ đã tồn tại"})
        return answer_json({"code": "03", "message": "Bị gián đoạn, vui lòng thử lại"})

    def _authorised(self, handler: Handler) -> Handler:
        async def handle(request: Incoming) -> Outgoing:
            if request.headers.get("authorization", "").removeprefix("Bearer ") not in self.tokens:
                return answer_json({"code": "401", "message": "Phiên làm việc không hợp lệ"}, 401)
            return await handler(request)

        return handle

    async def _login(self, _: Incoming) -> Outgoing:
        token = f"sim-{self.agency}-{self._logins}"
        self._logins += 1
        self.tokens.add(token)
        return answer_json({"access_token": token, "expires_in": 3600})

    async def _health(self, _: Incoming) -> Outgoing:
        return answer_json({"code": "00"})

    async def _submission(self, request: Incoming) -> Outgoing:
        body = request.json() or {}
        code = str(body.get("MaHoSo", ""))
        if not code or not isinstance(body.get("ChuHoSo"), Mapping):
            return answer_json({"code": "10", "message": "Thiếu MaHoSo hoặc ChuHoSo"})
        if not self.effect(code, "submission", "submitted"):
            return answer_json({"code": "01", "message": "Hồ sơ đã tồn tại"})
        self.dossiers[code] = {key: value for key, value in body.items() if key not in ("MaSuKien", "LoaiSuKien")}
        self._enter(code, "1")
        self._accept(code, land_file(self.dossiers[code]))
        return _ok()

    async def _land(self, request: Incoming) -> Outgoing:
        body = request.json() or {}
        code, message = str(body.get("SoBienNhan", "")), str(body.get("LoaiBanTin", ""))
        if code not in self.dossiers:
            return answer_json({"code": "02", "message": "Không tìm thấy hồ sơ"})
        part = str(body.get("MaTrangThai", "")) if message != "L12" else str(1 + (code in self._disputed))
        if not self.effect(code, "land", f"{message}/{part}"):
            return answer_json({"code": "00", "message": "Bản tin đã tồn tại"})
        if message == "L2":
            self._progress(code, "4", f"Chuyển thẩm định tại VPĐKĐĐ: bước {body.get('MaTrangThai')}")
        elif message == "L3":
            self._supplement(code, str(body.get("LyDo", "")))
        elif message == "L15_CORRECTION":
            self._progress(code, "4", f"Đã cập nhật hồ sơ theo yêu cầu: {body.get('LyDo')}")
            self._say("BoSungDatDai", {"SoBienNhan": code, "LyDo": "Đã cập nhật số tờ bản đồ"}, code, "L4", (LAND,))
        elif message == "L15_WRONG_PROCEDURE":
            self._replace(code, str(body.get("LyDo", "")))
        elif message == "L12" and self._disputes(code) and code not in self._disputed:
            self._dispute(code)
        elif message == "L12":
            self._finish(code)
        return _ok()

    async def _notice(self, request: Incoming) -> Outgoing:
        body = request.json() or {}
        code, number = str(body.get("MaHoSo", "")), str(body.get("SoThongBaoThue", ""))
        if code not in self.dossiers:
            return answer_json({"code": "02", "message": "Không tìm thấy hồ sơ"})
        if not self.effect(code, "tax_notice", f"notice/{number}"):
            return answer_json({"code": "00", "message": "Thông báo đã tồn tại"})
        fee = {"MaPhiLePhi": number, "TenPhiLePhi": "Nghĩa vụ tài chính về đất đai", "Gia": body.get("TongTien")}
        self._change(code, "6", DanhSachLePhi=[fee], TrangThaiThanhToan="1")
        return _ok()

    async def _payment(self, request: Incoming) -> Outgoing:
        body = request.json() or {}
        code, reference = str(body.get("MaHoSo", "")), str(body.get("MaThamChieu", ""))
        if code not in self.dossiers:
            return answer_json({"code": "02", "message": "Không tìm thấy hồ sơ"})
        if not self.effect(code, "payment", f"payment/{reference}"):
            return answer_json({"code": "00", "message": "Chứng từ đã tồn tại"})
        self._change(code, "4", TrangThaiThanhToan="2")
        return _ok()

    async def _document(self, request: Incoming) -> Outgoing:
        body = request.json() or {}
        code = str(body.get("DocumentId", ""))
        if not self.effect(code, "document", "document"):
            return answer_json({"code": "00", "message": "Văn bản đã tồn tại"})
        for status, said in (("01", "Đã đến"), ("03", "Đã vào sổ"), ("05", "Đang xử lý"), ("06", "Hoàn thành")):
            state = {
                "DocumentId": code,
                "From": body["To"][0],
                "StatusCode": status,
                "Description": said,
                "Timestamp": COMPACT.write(self._now()),
            }
            self._say("TrangThaiVanBan", state, code, f"status/{status}", (ONE_STOP,), to=str(body["From"]["OrganId"]))
        return _ok()

    async def _document_status(self, request: Incoming) -> Outgoing:
        body = request.json() or {}
        code, status = str(body.get("DocumentId", "")), str(body.get("StatusCode", ""))
        new = self.effect(code, "document_status", f"status/{status}")
        return _ok() if new else answer_json({"code": "00", "message": "Trạng thái đã tồn tại"})

    async def _reply(self, request: Incoming) -> Outgoing:
        body = request.json() or {}
        if body.get("MaSuKien") not in self._replies:
            self._replies.add(body.get("MaSuKien"))
            self.rejections.append(str(body.get("MaSuKienGoc", "")))
        return _ok()

    async def _reminder(self, request: Incoming) -> Outgoing:
        """What the router found out; an overdue dossier gets its apology the same hour."""
        body = request.json() or {}
        kind, told = str(body.get("LoaiSuKien", "")), str(body.get("MaSuKien", ""))
        code = str(body.get("MaHoSo", ""))
        if told in self.reminders:
            return answer_json({"code": "00", "message": "Bản tin đã tồn tại"})
        self.reminders[told] = (kind, code)
        if kind == "dossier.overdue_detected" and code in self.dossiers:
            self._apologise(code, str(body.get("NgayHenTra", "")))
        return _ok()


def _ok() -> Outgoing:
    return answer_json({"code": "00", "message": "Thành công"})
