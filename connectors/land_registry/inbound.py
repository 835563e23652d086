"""What VBDLIS calls: one webhook per message (L2, L3, L5, L12, L15). It is answered ``{Result, Message}``."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from connectors.land_registry import mapping
from connectors.land_registry.files import without_contents
from router.sdk import DOSSIER_CODE, Context, Emission, Received, Reference, Refusal, Reply, Request
from router.sdk.fields import Field, read
from router.sdk.records import LandFile, ObligationRequest, Record
from router.sdk.webhooks import json_body, record_of, reply


class Hook(NamedTuple):
    """A webhook: path, event type, record, field table, land message."""

    path: str
    event: str
    record: type[Record]
    table: Sequence[Field]
    message: str = ""


HOOKS: Final = (
    Hook("/chuyenhoso", "land.file_transferred", LandFile, mapping.TRANSFERRED, "L2"),
    Hook("/yeucaubosunghoso", "land.supplement_requested", LandFile, mapping.SUPPLEMENT, "L3"),
    Hook("/phieuchuyen", "tax.obligation_requested", ObligationRequest, mapping.OBLIGATION),
    Hook("/ketthuchoso", "land.finished", LandFile, mapping.FINISHED, "L12"),
    Hook("/tiepnhanhosochomotcua", "land.receipt_assigned", LandFile, mapping.RECEIPT_NUMBER, "L15_RECEIPT"),
    Hook("/yeucaucapnhathoso", "land.correction_requested", LandFile, mapping.FAULT, "L15_CORRECTION"),
    Hook("/thongbaonhapsaithutuc", "land.wrong_procedure", LandFile, mapping.FAULT, "L15_WRONG_PROCEDURE"),
)
ENVELOPE: Final = (Field("MaBanTin", "message_id"), Field("DonViNhan", "addressed_to"))


def handler(hook: Hook, agency: str, context: Context) -> Callable[[Request], Awaitable[Received]]:
    """The handler of a webhook; ``agency`` is the land office's own code, to which events without another belong."""

    async def handle(request: Request) -> Received:
        body = await without_contents(json_body(request), context)
        return Received([emission_of(hook, body, request, agency)], taken())

    return handle


def emission_of(hook: Hook, body: Mapping[str, Any], request: Request, agency: str) -> Emission:
    """A message as an event. Raises ``BadRequest``.

    VBDLIS seldom gives a message id; a PCTT has its own number and generation. The event's time is when it came:
    ``NgayKetThuc`` and the like are what an officer typed in, and an order by them would set a transfer of the same
    minute behind the end.
    """
    values = read(body, hook.table)
    envelope = read(body, ENVELOPE)
    if hook.message:
        values["message"] = hook.message
    record = record_of(hook.record, values)
    code = str(values["code"])
    references: list[Reference] = []
    identity = envelope.get("message_id", "")
    if isinstance(record, ObligationRequest):
        references.append(Reference("pctt", record.number))
        identity = f"{record.number}/{record.generation}"
    elif hook.message == "L15_RECEIPT" and isinstance(record, LandFile) and record.land_code:
        references.append(Reference("receipt_number", record.land_code))
    return Emission(
        type=hook.event,
        record=record,
        subject=Reference(DOSSIER_CODE, code),
        operation=hook.path.strip("/"),
        time=request.received,
        original=request.body,
        identity=identity,
        references=references,
        addressed_to=envelope.get("addressed_to", agency),
        correlation_id=code,
    )


def taken() -> Reply:
    """What VBDLIS expects for success."""
    return reply({"Result": 1, "Message": "Đã nhận"})


def refuse(refusal: Refusal) -> Reply:
    """What VBDLIS expects for a refusal."""
    return reply({"Result": 0, "Message": refusal.vi, "MessageEn": refusal.en}, refusal.status)
