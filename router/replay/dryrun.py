"""The dry run: what would happen to a dead letter if it were sent again today, and whether that is safe. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from router.events import ROUTER
from router.ledger.rows import Attempt, Delivery, State
from router.sdk.manifest import Idempotency, Operation

TAKEN = frozenset({"delivered", "duplicate"})


class Finding(NamedTuple):
    """One thing the dry run found. ``safe`` is ``yes``, ``no`` or ``note``; texts in Vietnamese and English."""

    code: str
    safe: str
    vi: str
    en: str

    def stored(self) -> Mapping[str, str]:
        """As it is kept with the item."""
        return {"code": self.code, "safe": self.safe, "vi": self.vi, "text": self.en}


@dataclass(frozen=True, slots=True)
class Subject:
    """A dead letter with what surrounds it. ``unreadable`` and ``unprepared`` say why today's code cannot decode it or
    the connector cannot prepare it (empty: they can). ``routed_to``: where today's rules would send it.
    """

    recipient: str
    delivery: Delivery
    operation: Operation | None
    is_head: bool
    later_out: bool
    attempts: Sequence[Attempt] = ()
    unreadable: str = ""
    unprepared: str = ""
    routed_to: Sequence[str] = ()


def examine(subject: Subject, *, out_of_order: bool) -> list[Finding]:
    """Everything worth knowing, the gravest first. Without a *no* it is safe to send."""
    found: list[Finding] = []
    delivery = subject.delivery
    if delivery.state not in (State.DEAD, State.UNCERTAIN):
        found.append(_no("not_dead", f"đang ở trạng thái {delivery.state}", f"it is {delivery.state} by now"))
    if subject.unreadable:
        found.append(
            _no("unreadable", f"không giải mã được: {subject.unreadable}", f"not readable: {subject.unreadable}")
        )
    if subject.recipient == ROUTER:
        return found or [_yes("republish", "sẽ được định tuyến lại", "it would be routed again")]
    if subject.operation is None:
        found.append(
            _no("no_operation", "hệ thống nhận không hỗ trợ loại bản tin này", "the recipient takes no such events")
        )
    if subject.unprepared:
        found.append(
            _no("contract", f"sai hợp đồng dữ liệu: {subject.unprepared}", f"breaks the contract: {subject.unprepared}")
        )
    if any(attempt.outcome in TAKEN for attempt in subject.attempts):
        found.append(_no("already_taken", "hệ thống nhận đã từng nhận", "the recipient took it before"))
    found += _order(subject, out_of_order)
    found += _idempotency(subject)
    if subject.routed_to and subject.recipient not in subject.routed_to:
        now = ", ".join(subject.routed_to)
        found.append(
            Finding("routed_elsewhere", "note", f"quy tắc hôm nay gửi tới {now}", f"today's rules send it to {now}")
        )
    return sorted(found, key=lambda finding: ("no", "note", "yes").index(finding.safe))


def is_safe(findings: Sequence[Finding]) -> bool:
    """Whether nothing speaks against sending."""
    return all(finding.safe != "no" for finding in findings)


def _order(subject: Subject, out_of_order: bool) -> list[Finding]:
    found: list[Finding] = []
    if not subject.is_head:
        if out_of_order:
            found.append(
                Finding("not_head", "note", "không đứng đầu hàng", "an older event of the dossier waits before it")
            )
        else:
            found.append(
                _no("not_head", "còn bản tin cũ hơn của hồ sơ chưa xong", "an older event of the dossier is unfinished")
            )
    if subject.later_out:
        text = "later events of the dossier went out already"
        vi = "các bản tin sau của hồ sơ đã được gửi"
        found.append(Finding("superseded", "note" if out_of_order else "no", vi, text))
    return found


def _idempotency(subject: Subject) -> list[Finding]:
    if subject.operation is None:
        return []
    match subject.operation.idempotency:
        case Idempotency.NATURAL_KEY:
            return [_yes("natural_key", "gửi lại không gây trùng", "sending again has no second effect")]
        case Idempotency.CHECKED:
            return [
                _yes(
                    "checked",
                    "sẽ hỏi hệ thống nhận trước nếu chưa rõ",
                    "the partner is asked first where it is not known",
                )
            ]
        case _ if subject.delivery.state is State.UNCERTAIN:
            return [
                _no(
                    "may_double",
                    "có thể đã được nhận; gửi lại có thể trùng",
                    "it may have been taken: sending again may double it",
                )
            ]
        case _:
            return [
                Finding(
                    "none",
                    "note",
                    "không hỏi lại được nếu đứt giữa chừng",
                    "if cut off, only a person can tell what became of it",
                )
            ]


def _no(code: str, vi: str, en: str) -> Finding:
    return Finding(code, "no", vi, en)


def _yes(code: str, vi: str, en: str) -> Finding:
    return Finding(code, "yes", vi, en)
