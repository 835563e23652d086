"""The event as a connector sees it: attributes at once, the payload decoded when asked for."""

from __future__ import annotations

import builtins
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID

from pydantic import BaseModel, ValidationError

from router.sdk.outcomes import Invalid

M = TypeVar("M", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Event:
    """One event for one recipient.

    ``key`` is the internal dossier or document id, ``subject`` its textual code. ``attempt`` counts calls from 1.
    ``(source, id)`` identifies the event for ever, so it can serve as the partner's idempotency key.
    """

    id: str
    source: str
    type: str
    subject: str
    key: UUID
    time: datetime
    procedure: str = ""
    addressed_to: str = ""
    delivered_to: str = ""
    urgent: bool = False
    correlation_id: str = ""
    causation_id: str = ""
    attempt: int = 1
    payload: bytes = field(default=b"", repr=False)
    decoder: Callable[[bytes], Mapping[str, Any]] | None = field(default=None, repr=False)

    def data(self) -> Mapping[str, Any]:
        """The decoded payload. Raises the codec's errors, which make the event *invalid* or *unknown schema*."""
        if self.decoder is None:
            raise Invalid("no_decoder", "this event carries no decoder")
        return self.decoder(self.payload)

    def read(self, model: builtins.type[M]) -> M:
        """The payload as its typed record; ``Invalid`` names the first field that breaks the contract."""
        try:
            return model.model_validate(self.data())
        except ValidationError as error:
            first = error.errors(include_input=False, include_url=False)[0]
            place = ".".join(str(part) for part in first["loc"])
            raise Invalid("contract", f"{model.__name__}.{place}: {first['msg']}") from None
