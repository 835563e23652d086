"""Small pieces of the inbound side: reading a JSON body, and refusing in a form every partner can read."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from router.errors import BadRequest
from router.sdk.inbound import Refusal, Reply, Request

M = TypeVar("M", bound=BaseModel)


def json_body(request: Request) -> Mapping[str, Any]:
    """The body as a JSON object. Raises ``BadRequest``."""
    try:
        value = json.loads(request.body)
    except (ValueError, RecursionError):
        raise BadRequest("Nội dung không phải JSON hợp lệ", "the body is not valid JSON") from None
    if not isinstance(value, Mapping):
        raise BadRequest("Nội dung phải là một đối tượng JSON", "the body must be a JSON object")
    return value


def record_of(model: type[M], values: Mapping[str, Any]) -> M:
    """A record from what a field table read. Raises ``BadRequest`` naming the first field that is wrong."""
    try:
        return model.model_validate(values)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise BadRequest(f"Thiếu hoặc sai dữ liệu: {place}", f"{place}: {first['msg']}") from None


def reply(value: Any, status: int = 200) -> Reply:
    """A JSON answer."""
    return Reply(status, json.dumps(value, ensure_ascii=False).encode())


def refuse(refusal: Refusal) -> Reply:
    """The refusal in our own form; connectors whose partner expects another make theirs."""
    return reply({"code": str(refusal.status), "message": refusal.vi, "message_en": refusal.en}, refusal.status)
