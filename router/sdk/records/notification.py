"""Typed records of the family ``notification``; field by field the same as its Avro schemas."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

from router.sdk.records.common import DossierStatus, Record


class NotificationChannel(StrEnum):
    """Kênh thông báo."""

    UNKNOWN = "UNKNOWN"
    APP = "APP"
    ZALO = "ZALO"
    SMS = "SMS"
    EMAIL = "EMAIL"


class Notification(Record):
    """A message to a citizen."""

    code: str
    channel: NotificationChannel
    template: str
    recipient: str = Field(repr=False)
    parameters: dict[str, str] = Field(default_factory=dict, repr=False)
    status: DossierStatus
