"""The events that procedures themselves send: refunds, overdue notices, compensations, words between instances."""

from __future__ import annotations

from collections.abc import Callable, Collection
from datetime import UTC, datetime
from typing import Any, Final

from router.events import key_of
from router.procedures import copies, dues
from router.procedures.definition import Definition
from router.procedures.effects import Emit
from router.procedures.expression import Scope
from router.procedures.instance import Instance
from router.procedures.obligation import Refund
from router.sdk.inbound import DOCUMENT_ID, DOSSIER_CODE

COMPENSATION: Final = "procedure.compensation_requested"
RECALL: Final = "procedure.recall_requested"
TIMER_DUE: Final = "procedure.timer_due"
GO_ON: Final = "go_on"  # the name of the word that takes a recall back
STOP: Final = "Hồ sơ gốc đã bị rút hoặc không được tiếp nhận: đề nghị dừng xử lý hồ sơ liên thông này"
RESUME: Final = "Hồ sơ gốc được giải quyết tiếp: đề nghị xử lý tiếp hồ sơ liên thông này"
REOPEN: Final = "Hồ sơ gốc được giải quyết tiếp: hồ sơ liên thông này đã đóng, đề nghị đính chính trạng thái để mở lại"


def key_of_document(document_id: str) -> str:
    """The key of a document's instance."""
    return str(key_of(DOCUMENT_ID, document_id))


def key_of_dossier(code: str) -> str:
    """The key of a dossier's instance."""
    return str(key_of(DOSSIER_CODE, code))


def refund(code: str, agency: str, back: Refund, at: int) -> Emit:
    """Money is to be given back: a payment record of phase REFUND."""
    record: dict[str, Any] = {
        "phase": "REFUND",
        "partner": None,
        "code": code,
        "reference": back.reference,
        "transaction": back.transaction or None,
        "notice_number": back.notice or None,
        "amount": back.amount,
        "currency": "VND",
        "paid_at": _instant(at),
        "gateway": None,
        "content": back.reason or None,
        "payer": None,
        "status": "PAID",
        "receipts": [],
    }
    return Emit("payment.refund_requested", record, addressed_to=agency)


def overdue(instance: Instance, at: int) -> Emit:
    """The due date has passed without a result."""
    facts = instance.dossier
    record: dict[str, Any] = {
        "code": facts.code,
        "procedure": facts.procedure,
        "agency": facts.agency,
        "due_date": dues.day_of(dues.due_at(instance.due.whole)),
        "status": instance.status,
        "waits_for": [token.id for token in instance.tokens],
        "detected_at": _instant(at),
    }
    return Emit("dossier.overdue_detected", record, addressed_to=facts.agency)


def compensations(
    definition: Definition, instance: Instance, scope: Scope, seat: Callable[[str, str], str], at: int,
    only: Collection[str] = (),
) -> list[Emit]:  # fmt: skip
    """What is asked of those whose work is undone: the last node first, each once; of these nodes alone if named. It
    goes to the agency that has the node's role for the dossier's agency, by ``seat``.
    """
    begun = [*instance.passed, *(token.id for token in instance.tokens)]
    names = dict.fromkeys(name.partition("[")[0] for name in reversed(begun))
    names = {name: None for name in names if not only or name in only}
    asked: list[Emit] = []
    for name in names:
        node = definition.nodes[name]
        asks = node.compensation
        if asks is not None and asks.kind != "none" and (asks.needs is None or asks.needs.holds(scope)):
            words = _signal(instance, name, at)
            words |= {"role": node.role or None, "kind": asks.kind, "text": asks.text.vi}
            asked.append(Emit(COMPENSATION, words, addressed_to=seat(instance.dossier.agency, node.role)))
    return asked


def recall(instance: Instance, key: str, organ: str, at: int) -> Emit:
    """A document (a forwarded copy, or one that is replaced) is to be recalled: from one receiver, or from all if none
    is named.
    """
    return Emit(RECALL, _signal(instance, "recall", at, organ), key=key)


def go_on(instance: Instance, key: str, at: int) -> Emit:
    """A recall of a dossier opened for this one is taken back."""
    return Emit(RECALL, _signal(instance, GO_ON, at), key=key)


def stop(instance: Instance, at: int) -> Emit:
    """The dossier that this one was opened for is over without a result: its agency is asked to stop it."""
    return _asked(instance, "recall", STOP, at)


def resume(instance: Instance, at: int) -> Emit:
    """The dossier that this one was opened for is worked on again: its agency is asked to go on. One
    that the recall has ended goes on after a correction only.
    """
    return _asked(instance, GO_ON, REOPEN if instance.end_state else RESUME, at)


def _asked(instance: Instance, name: str, text: str, at: int) -> Emit:
    words = _signal(instance, name, at) | {"kind": "notify", "text": text}
    return Emit(COMPENSATION, words, addressed_to=instance.dossier.agency)


def taken_back(instance: Instance, organ: str, at: int) -> Emit:
    """The sender of a forwarded copy takes it back from one of its receivers (13)."""
    return _status(instance, "TAKE_BACK", "13", organ, str(instance.variables.get("sender", "")), "", at)


def outcome(instance: Instance, at: int) -> Emit:
    """What came of a recall, for the sender: 15, or 16 with the receivers that keep the document."""
    told, replaced = instance.variables, not instance.variables.get("recalled")
    keep = [*told.get("refusing", ()), *(() if replaced else told.get("completed", ()))]
    keep += [f"{child.ended} ({child.organ or child.key})" for child in instance.children if copies.keeps(child)]
    code, raw = ("DECLINED", "16") if keep else ("AGREED", "15")
    sender = str(told.get("sender", ""))
    done = "thay thế" if replaced else "thu hồi"
    words = f"{done} một phần, còn giữ: {', '.join(keep)}" if keep else f"đã {done}"
    return _status(instance, code, raw, sender, sender, words, at)


def _status(instance: Instance, code: str, raw: str, to: str, said_by: str, words: str, at: int) -> Emit:
    record: dict[str, Any] = {
        "document_id": str(instance.variables.get("document", "")),
        "sender": {"organ_id": said_by, "name": said_by, "in_charge": None},
        "status": code,
        "raw_status": raw,
        "description": words or None,
        "staff": None,
        "stated_at": _instant(at),
    }
    return Emit("document.status_changed", record, addressed_to=to)


def to_parent(instance: Instance, event_type: str, name: str, organ: str, at: int) -> Emit:
    """What became of this instance, or what an agency states of it, for the one that brought it about."""
    return Emit(event_type, _signal(instance, name, at, organ), key=instance.parent)


def _signal(instance: Instance, name: str, at: int, organ: str = "") -> dict[str, Any]:
    return {
        "procedure": instance.procedure,
        "definition": instance.definition,
        "name": name,
        "related_key": instance.key or None,
        "role": None,
        "kind": None,
        "text": None,
        "organ_id": organ or None,
        "stated_at": _instant(at),
    }


def _instant(at: int) -> datetime:
    return datetime.fromtimestamp(at / 1e6, UTC)
