"""The work at a simulated one-stop: its dossiers go through reception, handling and return, and each step is told."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from router.sdk import Clock
from router.sdk.dates import COMPACT, SLASHED, VIETNAM
from router.sdk.testing import Quirks, Sent, Simulator

#: From which status a dossier may go where; 3, 7 and 10 are the end.
TRANSITIONS: Final[Mapping[str, frozenset[str]]] = {
    "": frozenset({"1", "2", "4"}),
    "1": frozenset({"2", "3", "5", "6", "7"}),
    "2": frozenset({"4", "5", "6", "7", "8", "9"}),
    "4": frozenset({"5", "6", "7", "8", "9"}),
    "5": frozenset({"4", "2", "7", "8", "3"}),
    "6": frozenset({"4", "7", "8", "9"}),
    "8": frozenset({"4", "9", "7"}),
    "9": frozenset({"10", "4"}),
}
PORTAL, LAND, ONE_STOP = "portal", "land", "one_stop"
HANDLING, EXTENSION = timedelta(days=18), timedelta(days=2)  # until a dossier is due, and what an apology adds
REPLACEMENTS: Final = 100_000  # dossiers that replace another have its number and so much


class Counter(Simulator):
    """Owns the state of its dossiers. ``agency`` is the code of the receiving unit, from which its documents come as
    well. ``disputes`` says of a code whether its first certificate is found to be wrong.
    """

    def __init__(
        self, clock: Clock, *, agency: str, disputes: Callable[[str], bool] = lambda _code: False, quirks: Quirks | None
    ) -> None:
        super().__init__(clock, quirks)
        self.agency, self._disputes = agency, disputes
        self._disputed: set[str] = set()
        self._apologised: set[str] = set()
        self.replaced: dict[str, str] = {}  # filed under the wrong procedure: by which dossier
        self.returned = 0  # dossiers whose result was returned
        self.status: dict[str, str] = {}
        self.history: dict[str, list[str]] = {}
        self.dossiers: dict[str, dict[str, Any]] = {}
        self.illegal: list[str] = []
        self.reminders: dict[str, tuple[str, str]] = {}  # by event: its type and the dossier it is about
        self._messages = 0

    def accept_at_counter(self, dossier: Mapping[str, Any], land: Mapping[str, Any]) -> None:
        """A citizen files at the counter: accepted at once."""
        code = str(dossier["MaHoSo"])
        self.dossiers[code] = {**dossier, "KenhThucHien": "1"}
        self._accept(code, land)

    def take_over(self, code: str, before: Counter) -> None:
        """An open dossier of a one-stop whose agency this one succeeds. Raises ``KeyError`` if it has none of it."""
        self.status[code] = before.status.pop(code)
        self.dossiers[code] = before.dossiers.pop(code)
        self.history[code] = before.history.pop(code)

    def send_document(self, document: Mapping[str, Any]) -> None:
        """An official sends a letter."""
        code = str(document["DocumentId"])
        self._say("VanBan", document, code, "document", (ONE_STOP,))

    def overdue(self, code: str) -> int:
        """How often it was told that a dossier is overdue."""
        return list(self.reminders.values()).count(("dossier.overdue_detected", code))

    def refunds(self, code: str) -> int:
        """How often it was asked to have money given back."""
        return list(self.reminders.values()).count(("payment.refund_requested", code))

    def _accept(self, code: str, land: Mapping[str, Any]) -> None:
        due = self._now() + HANDLING
        self._change(code, "2", kind="TiepNhan", NgayTiepNhan=self._stamp(), NgayHenTra=COMPACT.write(due))
        self._say("HoSoDatDai", {**land, "NgayTiepNhan": self._stamp()}, code, "L1", (LAND,))
        self._progress(code, "4", "Đã tiếp nhận, chuyển hồ sơ sang VPĐKĐĐ")
        self._enter(code, "4")

    def _supplement(self, code: str, reason: str) -> None:
        """The citizen is asked, and answers at the counter."""
        asked = {
            "MaHoSo": code,
            "id": "1",
            "NoiDungBoSung": reason,
            "NgayBoSung": self._stamp(),
            "NgayHenTraTruoc": SLASHED.write(self._now() + HANDLING),
        }
        self._enter(code, "5")
        self._say("YeuCauBoSung", asked, code, "supplement/5", (PORTAL,))
        answered = {
            **asked,
            "NgayTiepNhanBoSung": self._stamp(),
            "NgayHenTraMoi": SLASHED.write(self._now() + timedelta(days=21)),
        }
        self._enter(code, "4")
        self._say("DaBoSung", answered, code, "supplement/4", (PORTAL,))
        file = {"SoBienNhan": code, "NgayHenTra": answered["NgayHenTraMoi"], "LyDo": "Đã bổ sung giấy tờ"}
        self._say("BoSungDatDai", file, code, "L4", (LAND,))

    def _apologise(self, code: str, old_due: str) -> None:
        """Each time it is overdue; a new date is set once."""
        new = {}
        if code not in self._apologised:
            self._apologised.add(code)
            due = (self._now() + EXTENSION).replace(hour=17, minute=0, second=0, microsecond=0)
            new["NgayHenTraMoi"] = SLASHED.write(due)
            self.dossiers[code]["NgayHenTra"] = COMPACT.write(due)
        letter = {
            "MaHoSo": code,
            "SoKyHieu": f"{len(self.reminders):02d}/PXL",
            "LyDo": "Hồ sơ cần thêm thời gian thẩm định",
            "NgayHenTraTruoc": old_due,
            **new,
            "HinhThucGui": "sms",
            "NgayGui": self._stamp(),
        }
        self._say("ThuXinLoi", letter, code, "apology", ())

    def _dispute(self, code: str) -> None:
        """The certificate is wrong: back to the land office before anybody gets it."""
        self._disputed.add(code)
        self._progress(code, "4", "Giấy chứng nhận sai thông tin, đề nghị VPĐKĐĐ cấp lại")
        self._say("KetQuaDatDaiSai", {"SoBienNhan": code, "LyDo": "Sai diện tích thửa đất"}, code, "L14/1", (LAND,))

    def _replace(self, code: str, reason: str) -> None:
        """Filed under the wrong procedure: closed, and another dossier takes its place."""
        unit_and_day, _, number = code.rpartition("-")
        self.replaced[code] = fresh = f"{unit_and_day}-{REPLACEMENTS + int(number):04d}"
        before = dict(self.dossiers[code])
        self._change(code, "8", GhiChu=f"{reason}; thay bằng hồ sơ {fresh}")
        dossier = {**before, "MaHoSo": fresh, "GhiChu": f"Thay hồ sơ {code}"}
        self.accept_at_counter(dossier, land_file(dossier))

    def _finish(self, code: str) -> None:
        self.returned += 1
        self._change(code, "9", kind="CoKetQua", NgayKetThucXuLy=self._stamp())
        self._change(code, "10", kind="TraKetQua", NgayTra=self._stamp(), HinhThuc="0")
        self._say("TraKetQuaDatDai", {"SoBienNhan": code, "NgayKetThuc": self._stamp()}, code, "L13", (LAND,))

    def _change(self, code: str, status: str, *, kind: str = "CapNhatTrangThai", **changes: Any) -> None:
        if not self._enter(code, status):
            return
        dossier = self.dossiers[code]
        dossier.update(changes)
        notices = [str(fee["MaPhiLePhi"]) for fee in dossier.get("DanhSachLePhi", ())]
        identity = "/".join(["status", status, *notices])
        self._say(kind, {**dossier, "TrangThaiHoSo": status}, code, identity, (PORTAL,))

    def _enter(self, code: str, status: str) -> bool:
        """Whether the dossier may go there; if not it stays where it is."""
        before = self.status.get(code, "")
        if status != before and status not in TRANSITIONS.get(before, frozenset()):
            self.illegal.append(f"{code}: {before} → {status}")
            return False
        self.status[code] = status
        self.history.setdefault(code, []).append(status)
        return True

    def _progress(self, code: str, status: str, content: str) -> None:
        line = {
            "MaHoSo": code,
            "NguoiXuLy": "Nguyễn Thị Hạnh",
            "ChucDanh": "Chuyên viên",
            "ThoiDiemXuLy": self._stamp(),
            "PhongBanXuLy": "Bộ phận Tiếp nhận và Trả kết quả",
            "NoiDungXuLy": content,
            "TrangThai": status,
        }
        self._say("TienDo", line, code, f"progress/{content}", (PORTAL,))

    def _say(
        self, kind: str, data: Mapping[str, Any], code: str, identity: str, targets: tuple[str, ...], *, to: str = ""
    ) -> None:
        self._messages += 1
        message = {
            "LoaiSuKien": kind,
            "MaTinNhan": f"{self.agency}-{self._messages:08d}",
            "ThoiGian": self._stamp(),
            "DonVi": to or self.agency,
            "DuLieu": dict(data),
        }
        self.push(Sent(code, identity, targets), "/su-kien", message)

    def _now(self) -> datetime:
        return self.clock.business().astimezone(VIETNAM)

    def _stamp(self) -> str:
        return COMPACT.write(self._now())


def land_file(dossier: Mapping[str, Any]) -> dict[str, Any]:
    """The land registry's file (L1) of a dossier."""
    return {
        "SoBienNhan": dossier["MaHoSo"],
        "MaHoSoMotCua": dossier["MaHoSo"],
        "MaQuyTrinh": dossier["MaTTHC"],
        "TinhId": "80",
        "HuyenId": "803",
        "XaId": "27991",
        "NguoiTiepNhan": "Nguyễn Thị Hạnh",
        "DiaChiTaiSan": "Khu phố 3, thị trấn Bến Lức, Long An",
        "NguoiNop": dossier["ChuHoSo"],
        "ThongTinThuaDat": [{"SoThuTuThua": "215", "SoHieuBanDo": "12", "DienTich": 120.5}],
    }
