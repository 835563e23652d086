"""The work of a simulated land registration office: it appraises, asks for papers, sends PCTTs, issues certificates."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from router.sdk.dates import SLASHED, UTC_UNMARKED
from router.sdk.testing import Quirks, Sent, Simulator

ONE_STOP, TAX = "one_stop", "tax"
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


class Office(Simulator):
    """Owns its land files. ``wants_supplement`` says of a code whether the office asks for more papers, ``turn`` what
    else happens to it.
    """

    def __init__(
        self,
        clock: Any,
        *,
        agency: str,
        wants_supplement: Callable[[str], bool],
        turn: Callable[[str], Turn],
        quirks: Quirks | None,
    ) -> None:
        super().__init__(clock, quirks)
        self.agency, self._wants_supplement, self._turn = agency, wants_supplement, turn
        self.files: dict[str, File] = {}
        self.kept: dict[str, Callable[[], None]] = {}  # by code: what the office does once it goes on
        self._by_notice: dict[str, str] = {}

    def knows(self, code: str, body: Mapping[str, Any], *, notice: str = "") -> None:
        """A file, and a notice for it, that came before this story began."""
        self.files.setdefault(code, File(body, generation=1))
        if notice:
            self._by_notice[notice] = code

    def release(self, code: str) -> None:
        """The office goes on with a file that it kept back. Raises ``KeyError``."""
        self.kept.pop(code)()

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
