"""A simulated land registration office: it appraises, asks for supplements, sends PCTTs and issues certificates.

It takes nothing without credentials, if it was given any to expect, nor dates in another form than its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Final
from urllib.parse import parse_qs

from router.sdk.auth import NONCE, SIGNATURE, TIMESTAMP, sign
from router.sdk.dates import SLASHED, UTC_UNMARKED, Format
from router.sdk.testing import Incoming, Outgoing, Quirk, Quirks, Sent, Simulator, answer_json
from router.sdk.testing.simulator import Handler

ONE_STOP, TAX = "one_stop", "tax"
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
PRICE, RECALCULATED_PRICE = 1_200_000_000, 1_250_000_000


class Turn(StrEnum):
    """What a dossier's way through the office has that others' have not. What is kept back goes on at ``release``."""

    NONE = "none"
    KEPT_AT_APPRAISAL = "kept at appraisal"
    KEPT_AT_SIGNATURE = "kept at signature"
    RECALCULATED = "recalculated"  # asked of the tax office again, after its first notice was paid
    WRONG_DATA = "wrong data"  # the one-stop is asked to correct them
    WRONG_PROCEDURE = "wrong procedure"


@dataclass(slots=True)
class File:
    """A land file: its PCTT generation, what has come of the obligations of that generation, its state, how often its
    certificate was issued, and by which messages it was disputed.
    """

    body: Mapping[str, Any]
    generation: int = 0
    notices: set[str] = field(default_factory=set)
    paid: set[str] = field(default_factory=set)
    completed: set[str] = field(default_factory=set)
    state: str = "received"
    recalculated: bool = False
    issued: int = 0
    disputes: list[str] = field(default_factory=list)


class LandRegistrySimulator(Simulator):
    """``wants_supplement`` says of a code whether the office asks for more papers, ``turn`` what else happens to it.

    With ``api_key`` it expects that of VBDLIS; with ``user`` and ``password`` the grant of ILIS.
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
        super().__init__(clock, quirks)
        self._api_key, self._user, self._password = api_key, user, password
        self.tokens: list[str] = []
        self._key, self.agency, self._wants_supplement = secret.encode(), agency, wants_supplement
        self._turn = turn
        self.files: dict[str, File] = {}
        self.kept: dict[str, Callable[[], None]] = {}  # by code: what the office does once it goes on
        self.arrived: set[str] = set()
        self._nonce = 0
        self._by_notice: dict[str, str] = {}
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

    def knows(self, code: str, body: Mapping[str, Any], *, notice: str = "") -> None:
        """A file, and a notice for it, that came before this story began."""
        self.files.setdefault(code, File(body, generation=1))
        if notice:
            self._by_notice[notice] = code

    def release(self, code: str) -> None:
        """The office goes on with a file that it kept back. Raises ``KeyError``."""
        self.kept.pop(code)()

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

    def _appraise(self, code: str) -> None:
        match self._turn(code):
            case Turn.WRONG_PROCEDURE:
                self.files[code].state = "closed"
                reason = {"LyDo": "Hồ sơ thuộc thủ tục tặng cho, nhập nhầm chuyển nhượng"}
                self._say("/thongbaonhapsaithutuc", code, "L15_WRONG_PROCEDURE/", reason)
            case Turn.WRONG_DATA:
                self._say("/yeucaucapnhathoso", code, "L15_CORRECTION/", {"LyDo": "Sai số tờ bản đồ, đề nghị cập nhật"})
            case Turn.KEPT_AT_APPRAISAL:
                self.kept[code] = lambda: self._request_obligation(code)
            case _ if self._wants_supplement(code):
                self._say("/yeucaubosunghoso", code, "L3/", {"LyDo": "Bổ sung hợp đồng công chứng", "LaTamDung": True})
            case _:
                self._request_obligation(code)

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

    def _request_obligation(self, code: str) -> None:
        """The next generation of the PCTT."""
        file = self.files[code]
        file.generation += 1
        number = f"PCTT-{code}-{file.generation}"
        body = {
            "SoPhieuChuyen": number,
            "NgayPhieu": SLASHED.write(self._now()),
            "DonViLap": self.agency,
            "LanLap": file.generation,
            "ThayThePhieu": f"PCTT-{code}-{file.generation - 1}" if file.generation > 1 else None,
            "LoaiThuTuc": "Chuyển nhượng quyền sử dụng đất",
            "CanCu": "Luật Đất đai 31/2024/QH15",
            "NguoiSuDung": [file.body["NguoiNop"] | {"LoaiChu": "1"}],
            "ThuaDat": file.body["ThongTinThuaDat"],
            "GiaChuyenNhuong": RECALCULATED_PRICE if file.recalculated else PRICE,
        }
        self._say("/phieuchuyen", code, f"pctt/{number}", body, to=(TAX,))

    def _finish_if_done(self, code: str) -> None:
        file = self.files[code]
        settled = file.notices and file.notices <= file.paid and file.notices <= file.completed
        if file.state != "received" or not settled or code in self.kept:
            return
        if self._turn(code) is Turn.RECALCULATED and not file.recalculated:
            file.recalculated = True
            file.notices.clear()  # they are void
            self._request_obligation(code)
        elif self._turn(code) is Turn.KEPT_AT_SIGNATURE:
            self.kept[code] = lambda: self._issue(code)
        else:
            self._issue(code)

    def _issue(self, code: str) -> None:
        """The certificate, anew after a dispute."""
        file = self.files[code]
        file.state, file.issued = "finished", file.issued + 1
        ended = {"NgayKetThuc": UTC_UNMARKED.write(self._now()), "TrangThaiKetThuc": "0"}
        self._say("/ketthuchoso", code, f"L12/{file.issued}", ended)

    def _say(
        self, path: str, code: str, identity: str, body: Mapping[str, Any], to: tuple[str, ...] = (ONE_STOP,)
    ) -> None:
        message = {"SoBienNhan": code, "MaBanTin": f"{code}{path}/{identity}", "DonViNhan": self.agency, **body}
        self.push(Sent(code, identity, to), path, {key: value for key, value in message.items() if value is not None})

    def _now(self) -> datetime:
        return self.clock.business()


def _ok(code: str) -> Outgoing:
    data = {"MaHoSoVBDLIS": f"VP-{code}"}
    return answer_json({"data": data, "status": {"success": True, "code": "0", "message": "Thành công"}})


def _said(code: str, message: str, status: int = 200) -> Outgoing:
    return answer_json({"data": None, "status": {"success": False, "code": code, "message": message}}, status)
