"""A simulated land registration office as others reach it: credentials, what it takes, how it answers.

It takes nothing without credentials, if it was given any to expect, nor dates in another form than its own. Its work is
in ``office``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import parse_qs

from connectors.land_registry.office import File, Office, Turn
from router.sdk.auth import NONCE, SIGNATURE, TIMESTAMP, sign
from router.sdk.dates import SLASHED, UTC_UNMARKED, Format
from router.sdk.testing import Incoming, Outgoing, Quirk, Quirks, answer_json
from router.sdk.testing.simulator import Handler

DATES: Final[Mapping[str, Format]] = {
    "NgayTiepNhan": UTC_UNMARKED,
    "NgayHenTra": SLASHED,
    "NgayHenTraMoi": SLASHED,
    "NgayTra": UTC_UNMARKED,
    "NgayCoKetQuaThue": SLASHED,
    "ThoiGianThanhToan": UTC_UNMARKED,
    "NgayHoanThanh": SLASHED,
}
TOKEN_SECONDS: Final = 3600


class LandRegistrySimulator(Office):
    """With ``api_key`` it expects that of VBDLIS; with ``user`` and ``password`` the grant of ILIS. For the rest see
    ``Office``.
    """

    def __init__(
        self,
        clock: Any,
        *,
        secret: str,
        agency: str,
        wants_supplement: Callable[[str], bool],
        turn: Callable[[str], Turn] = lambda _code: Turn.NONE,
        api_key: str = "",
        user: str = "",
        password: str = "",
        quirks: Quirks | None = None,
    ) -> None:
        super().__init__(clock, agency=agency, wants_supplement=wants_supplement, turn=turn, quirks=quirks)
        self._api_key, self._user, self._password = api_key, user, password
        self._key = secret.encode()
        self.tokens: list[str] = []
        self.arrived: set[str] = set()
        self._nonce = 0
        for name, handler in (
            ("tiepnhan", self._receive),
            ("capnhattrangthaibosunghoso", self._supplemented),
            ("capnhattrangthaitraketquahoso", self._returned),
            ("phanhoihososaiketqua", self._disputed),
            ("thuechuyentrahoso", self._tax_returned),
            ("ketquathue", self._notice),
            ("chungtuthue", self._payment),
            ("hoanthanhnghiavu", self._completed),
            ("phanhoi", self._reply),
        ):
            self.route("POST", f"/api/hoso/{name}", name, self._guarded(handler))
        self.route("GET", "/api/hoso/trangthaibantin", "check", self._guarded(self._check))
        self.route("GET", "/api/danhmuc/trangthai", "probe", self._guarded(self._probe))
        self.route("POST", "/token", "token", self._grant)

    def credentials(self, content: bytes) -> Mapping[str, str]:
        """A fresh signature."""
        self._nonce += 1
        timestamp, nonce = str(self.clock.now() // 1_000_000), f"{self.agency}-{self._nonce}"
        return {TIMESTAMP: timestamp, NONCE: nonce, SIGNATURE: sign(self._key, timestamp, nonce, content)}

    def quirk_answer(self, quirk: Quirk, operation: str) -> Outgoing:
        """Its words for an error under HTTP 200, and for *exists already*."""
        if quirk is Quirk.DUPLICATE_ACK:
            return _said("1", "Hồ sơ đã tồn tại")
        return _said("1", "Hệ thống bận")

    def revoke(self) -> None:
        """No token given so far is taken any more."""
        self.tokens = [""] * len(self.tokens)

    def _guarded(self, handler: Handler) -> Handler:
        """Only for those who are known, and with dates that are right."""

        async def guarded(request: Incoming) -> Outgoing:
            if self._api_key and request.headers.get("x-api-key") != self._api_key:
                return _said("401", "Sai khóa kết nối", 401)
            if self._user and request.headers.get("authorization", "").removeprefix("Bearer ") not in self._valid():
                return _said("401", "Phiên làm việc hết hạn", 401)
            body = request.json() or {}
            for name, form in DATES.items():
                try:
                    form.read(str(body[name]), name)
                except KeyError:
                    continue
                except ValueError:
                    return _said("1", f"{name} không hợp lệ")
            return await handler(request)

        return guarded

    def _valid(self) -> set[str]:
        return {token for token in self.tokens if token}

    async def _grant(self, request: Incoming) -> Outgoing:
        form = {name: values[0] for name, values in parse_qs(request.body.decode()).items()}
        wanted = {"grant_type": "password", "username": self._user, "password": self._password}
        if form != wanted:
            return answer_json({"error": "invalid_grant"}, 400)
        self.tokens.append(f"{self.agency}-token-{len(self.tokens) + 1}")
        return answer_json({"access_token": self.tokens[-1], "expires_in": TOKEN_SECONDS, "token_type": "bearer"})

    async def _receive(self, request: Incoming) -> Outgoing:
        body = request.json() or {}
        code = str(body.get("SoBienNhan", ""))
        if not body.get("ThongTinThuaDat"):
            return _said("1", "ThongTinThuaDat không hợp lệ")
        self.arrived.add(str(body.get("MaSuKien")))
        if not self.effect(code, "tiepnhan", "L1"):
            return _said("1", "Hồ sơ đã tồn tại")
        self.files[code] = File(body)
        self._say("/tiepnhanhosochomotcua", code, "L15_RECEIPT/", {"MaHoSoVBDLIS": f"VP-{code}"})
        self._say("/chuyenhoso", code, "L2/THAMDINH", {"MaTrangThai": "THAMDINH", "NguoiNhan": "Trần Văn Bình"})
        self._appraise(code)
        return _ok(code)

    async def _supplemented(self, request: Incoming) -> Outgoing:
        return self._on_file(request, "capnhattrangthaibosunghoso", "L4", self._request_obligation)

    async def _returned(self, request: Incoming) -> Outgoing:
        def close(code: str) -> None:
            self.files[code].state = "closed"

        return self._on_file(request, "capnhattrangthaitraketquahoso", "L13", close)

    async def _disputed(self, request: Incoming) -> Outgoing:
        """The certificate is annulled and issued anew."""

        def rework(code: str) -> None:
            self.files[code].state = "rework"
            self._issue(code)

        body = request.json() or {}
        code, event = str(body.get("SoBienNhan", "")), str(body.get("MaSuKien", ""))
        known = self.files[code].disputes if code in self.files else []
        if event not in known:
            known.append(event)
        return self._on_file(request, "phanhoihososaiketqua", f"L14/{known.index(event) + 1}", rework)

    async def _tax_returned(self, request: Incoming) -> Outgoing:
        number = str((request.json() or {}).get("SoPhieuChuyen", ""))
        return self._on_file(request, "thuechuyentrahoso", f"return/{number}", self._request_obligation)

    async def _notice(self, request: Incoming) -> Outgoing:
        number = str((request.json() or {}).get("SoThongBaoThue", ""))

        def note(code: str) -> None:
            self.files[code].notices.add(number)
            self._by_notice[number] = code
            self._finish_if_done(code)

        return self._on_file(request, "ketquathue", f"notice/{number}", note)

    async def _payment(self, request: Incoming) -> Outgoing:
        body = request.json() or {}

        def note(code: str) -> None:
            self.files[code].paid.add(str(body.get("SoThongBaoThue", "")))
            self._finish_if_done(code)

        return self._on_file(request, "chungtuthue", f"payment/{body.get('MaThamChieu', '')}", note)

    async def _completed(self, request: Incoming) -> Outgoing:
        number = str((request.json() or {}).get("SoThongBaoThue", ""))
        code = self._by_notice.get(number)
        if code is None:
            return _said("1", "Thông báo không tìm thấy")
        if self.effect(code, "hoanthanhnghiavu", f"completion/{number}"):
            self.files[code].completed.add(number)
            self._finish_if_done(code)
        return _ok(code)

    async def _reply(self, _: Incoming) -> Outgoing:
        return _ok("")

    async def _check(self, request: Incoming) -> Outgoing:
        known = request.query.get("MaSuKien", "") in self.arrived
        return answer_json({"data": {"DaNhan": True} if known else None, "status": {"success": True, "code": "0"}})

    async def _probe(self, _: Incoming) -> Outgoing:
        return _ok("")

    def _on_file(self, request: Incoming, operation: str, identity: str, action: Callable[[str], None]) -> Outgoing:
        body = request.json() or {}
        code = str(body.get("SoBienNhan", ""))
        if code not in self.files:
            return _said("1", "Hồ sơ không tìm thấy")
        self.arrived.add(str(body.get("MaSuKien")))
        if not self.effect(code, operation, identity):
            return _said("1", "Bản tin đã tồn tại")
        action(code)
        return _ok(code)


def _ok(code: str) -> Outgoing:
    data = {"MaHoSoVBDLIS": f"VP-{code}"}
    return answer_json({"data": data, "status": {"success": True, "code": "0", "message": "Thành công"}})


def _said(code: str, message: str, status: int = 200) -> Outgoing:
    return answer_json({"data": None, "status": {"success": False, "code": code, "message": message}}, status)
