"""Plain explanations of causes, with a next step, in Vietnamese and English. Data: by reason, then by outcome."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

from router.events import OWNER_CONFLICT
from router.sdk.manifest import Manifest


class Text(NamedTuple):
    """One text in both languages."""

    vi: str
    en: str

    def said(self, lang: str) -> str:
        """In ``vi`` or ``en``."""
        return self.vi if lang == "vi" else self.en


class Explanation(NamedTuple):
    """What happened, and what to do."""

    what: Text
    step: Text


def _of(vi: str, en: str, step_vi: str, step_en: str) -> Explanation:
    return Explanation(Text(vi, en), Text(step_vi, step_en))


_CORRECT_VI: Final = "Xem nội dung, sửa trường sai rồi phát lại với --body; hoặc bỏ hẳn nếu không còn giá trị."
_CORRECT_EN: Final = "Look at the payload, correct the wrong field and replay with --body; or discard it if it is void."
_REPLAY_VI: Final = "Sau khi nguyên nhân đã hết, lập kế hoạch phát lại cho cả nhóm (lgsp replay plan --cause …)."
_REPLAY_EN: Final = "When the cause is gone, plan a replay of the whole group (lgsp replay plan --cause …)."
_ASK_VI: Final = "Hỏi cơ quan nhận đã có bản tin chưa: có rồi thì bỏ qua (skip), chưa có thì phát lại."
_ASK_EN: Final = "Ask the agency whether it has the message: if it has, skip it; if not, replay it."

BY_REASON: Final[dict[str, Explanation]] = {
    "no_route": _of(
        "Không có quy tắc định tuyến nào cho bản tin này.",
        "No routing rule matches this event.",
        "Xem `lgsp routes explain`, thêm quy tắc, rồi phát lại: bản tin sẽ được định tuyến lại.",
        "See `lgsp routes explain`, add a rule, then replay: the event is routed again.",
    ),
    "no_recipient": _of(
        "Quy tắc gửi tới hệ thống nhận chưa được cấu hình.",
        "A rule sends it to a recipient that is not configured.",
        "Cấu hình hệ thống nhận hoặc sửa quy tắc, rồi phát lại.",
        "Configure the recipient or correct the rule, then replay.",
    ),
    "unknown_addressee": _of(
        "Mã cơ quan nhận không có trong danh mục.",
        "The addressee's code is not in the agency registry.",
        "Bổ sung mã vào danh mục cơ quan, rồi phát lại.",
        "Add the code to the agency registry, then replay.",
    ),
    "dissolved_addressee": _of(
        "Cơ quan nhận đã giải thể và không có cơ quan kế thừa.",
        "The addressee was dissolved and has no successor.",
        "Hỏi cơ quan chủ quản nơi tiếp nhận; ghi quan hệ kế thừa vào danh mục, rồi phát lại.",
        "Ask the authority above who takes over; enter the succession in the registry, then replay.",
    ),
    "ambiguous_successor": _of(
        "Cơ quan nhận đã tách; không rõ cơ quan kế thừa nào chịu trách nhiệm.",
        "The addressee was split: which successor is responsible cannot be told.",
        "Xác định cơ quan theo địa bàn, chuyển hướng (redirect) hoặc bổ sung quy tắc tách.",
        "Find the agency by its territory, redirect the event or complete the rule of the split.",
    ),
    "circular_successor": _of(
        "Quan hệ kế thừa của cơ quan nhận đi thành vòng tròn.",
        "The successions of the addressee go in a circle.",
        "Xem `lgsp agencies resolve`, sửa quan hệ kế thừa trong danh mục, rồi phát lại.",
        "See `lgsp agencies resolve`, correct the successions in the registry, then replay.",
    ),
    "unknown_dossier": _of(
        "Không biết bản tin thuộc hồ sơ nào: hết hạn chờ mà mã chưa xuất hiện.",
        "The dossier never became known within the window.",
        "Kiểm tra mã với cơ quan gửi. Khi hồ sơ đã có, phát lại; nếu không thuộc ai, bỏ hẳn.",
        "Check the code with the sender. Once the dossier is known, replay; if it belongs to nobody, discard it.",
    ),
    OWNER_CONFLICT: _of(
        "Cùng mã hồ sơ nhưng khác chủ hồ sơ.",
        "The same dossier code came with another owner.",
        "Xác minh với cơ quan gửi; không bao giờ gộp tự động. Bỏ bản tin sai, phát lại bản tin đúng.",
        "Verify with the sender; nothing is ever merged. Discard the wrong one, replay the right one.",
    ),
    "poison": _of(
        "Dữ liệu không đọc được.",
        "The data cannot be read.",
        _CORRECT_VI,
        _CORRECT_EN,
    ),
    "malformed_event": _of(
        "Bản tin thiếu thuộc tính bắt buộc (ce_id, ce_source hoặc ce_type).",
        "The event lacks ce_id, ce_source or ce_type.",
        "Tìm bên phát hành theo vị trí gốc và yêu cầu gửi lại đúng; bỏ bản tin này.",
        "Find the publisher by the original position and have it sent again; discard this one.",
    ),
    "malformed": _of(
        "Hệ thống nhận báo dữ liệu sai cấu trúc.",
        "The partner says that the data is malformed.",
        _CORRECT_VI,
        _CORRECT_EN,
    ),
    "contract": _of(
        "Bản ghi không đúng hợp đồng dữ liệu.", "The record breaks its contract.", _CORRECT_VI, _CORRECT_EN
    ),
    "unknown_schema": _of(
        "Không có lược đồ của bản ghi này.",
        "The schema of this record is not known here.",
        "Nâng cấp bộ định tuyến hoặc khai báo lược đồ, rồi phát lại.",
        "Update the router or register the schema, then replay.",
    ),
    "exhausted": _of(
        "Đã thử hết số lần trong khi hệ thống nhận vẫn xử lý các hồ sơ khác.",
        "All tries were used up while the partner worked for other dossiers.",
        _REPLAY_VI,
        _REPLAY_EN,
    ),
    "expired_age": _of(
        "Quá tuổi tối đa của bản tin.", "It is older than its retry policy allows.", _REPLAY_VI, _REPLAY_EN
    ),
    "check_unanswered": _of(
        "Không rõ hệ thống nhận đã nhận chưa và không hỏi được.",
        "Whether the partner took it is not known, and it could not be asked.",
        "Khi hệ thống nhận trả lời lại, phát lại: bộ định tuyến hỏi trước khi gửi.",
        "When the partner answers again, replay: the router asks before it sends.",
    ),
    "stopped_in_call": _of(
        "Tiến trình dừng giữa lúc gọi; không rõ hệ thống nhận đã nhận chưa.",
        "The process was stopped in mid-call: it is not known whether the partner took it.",
        _ASK_VI,
        _ASK_EN,
    ),
    "call_timeout": _of(
        "Hết thời gian chờ trả lời; không rõ đã nhận chưa.",
        "No answer in time: it may have been taken.",
        _ASK_VI,
        _ASK_EN,
    ),
    "illegal_transition": _of(
        "Bước này không hợp lệ ở trạng thái hiện tại của hồ sơ.",
        "This step is not legal in the dossier's present state.",
        "Xem diễn tiến hồ sơ (lgsp dossier show); nếu bản tin trước bị thiếu, lấy về rồi phát lại; nếu sai, bỏ hẳn.",
        "See the dossier's timeline; if an earlier event is missing, get it and replay; if it is wrong, discard it.",
    ),
    "ledger_refused": _of(
        "Cơ sở dữ liệu không lưu được văn bản này (ký tự không hợp lệ).",
        "The ledger could not store this text (an illegal character).",
        _CORRECT_VI,
        _CORRECT_EN,
    ),
    "unsupported_event": _of(
        "Hệ thống nhận không hỗ trợ loại bản tin này.",
        "The recipient takes no events of this type.",
        "Sửa quy tắc định tuyến; bỏ bản tin này.",
        "Correct the routing rules; discard this one.",
    ),
    "unclassified": _of(
        "Lỗi chưa phân loại trong bộ kết nối.",
        "An unclassified error in the connector.",
        "Gửi nơi phát sinh lỗi (place) cho người phát triển bộ kết nối; sau khi sửa, phát lại.",
        "Give the place in the code to the connector's developer; after the correction, replay.",
    ),
}

BY_OUTCOME: Final[dict[str, Explanation]] = {
    "invalid": BY_REASON["malformed"],
    "uncertain": BY_REASON["call_timeout"],
    "transient": BY_REASON["exhausted"],
    "unclassified": BY_REASON["unclassified"],
    "unknown_schema": BY_REASON["unknown_schema"],
}


def explain(reason: str, partner_code: str, manifests: Iterable[Manifest]) -> Explanation:
    """The explanation of a cause: the router's own words for its own reasons, else the partner's from the manifest's
    error map, with the next step of what that outcome means.
    """
    if reason in BY_REASON:
        return BY_REASON[reason]
    for manifest in manifests:
        for row in manifest.errors:
            if row.reason == reason and row.code in (None, partner_code) and row.vi:
                general = BY_OUTCOME.get(str(row.outcome), BY_REASON["unclassified"])
                return Explanation(Text(row.vi, row.en), general.step)
    return BY_REASON["unclassified"]
