"""Correcting a record: set fields, check it against schema and contract, and say field by field what changed."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from pydantic import ValidationError

from router.codec import Codec
from router.errors import CodecError, OrderRefused
from router.events import LONGEST_VALUE
from router.sdk.records import RECORDS
from schemas.catalogue import EVENT_TYPES


class Change(NamedTuple):
    """A field that differs; None where there is none."""

    path: str
    before: Any
    after: Any


def checked(codec: Codec, event_type: str, payload: bytes) -> Mapping[str, Any]:
    """The record of a corrected payload. Raises ``OrderRefused`` naming what breaks schema or contract, and for a
    payload longer than the bus takes.
    """
    within_limit(payload)
    try:
        record = codec.decode(payload)
        codec.encode(event_type, record)
    except CodecError as error:
        raise OrderRefused(f"the corrected body is no {event_type}: {error}") from None
    model = RECORDS.get(EVENT_TYPES.get(event_type, ""))
    if model is not None:
        try:
            model.model_validate(record)
        except ValidationError as error:
            first = error.errors(include_input=False, include_url=False)[0]
            place = ".".join(map(str, first["loc"]))
            raise OrderRefused(f"the corrected body breaks its contract: {place}: {first['msg']}") from None
    return record


def within_limit(payload: bytes) -> None:
    """Raises ``OrderRefused`` for a payload longer than the bus takes: it could not be published again."""
    if len(payload) > LONGEST_VALUE:
        raise OrderRefused(
            f"the corrected body has {len(payload)} bytes, a message may have {LONGEST_VALUE}:"
            " what is long belongs into an attachment"
        )


def with_fields(codec: Codec, event_type: str, payload: bytes, fields: Sequence[str]) -> bytes:
    """The payload with fields set: ``total=6000000``, ``lines.0.amount=5``, ``note="chữ"`` (JSON, else plain text).

    Raises ``OrderRefused`` for a field that is not there, and for what the record cannot hold.
    """
    try:
        record = codec.decode(payload)
    except CodecError as error:
        raise OrderRefused(f"the original cannot be read ({error}): give the whole body with --body") from None
    for field in fields:
        path, found, text = field.partition("=")
        if not found:
            raise OrderRefused(f"{field!r} sets nothing (expected field=value)")
        _set(record, path.split("."), _value(text), path)
    try:
        return codec.encode(event_type, record)
    except CodecError as error:
        raise OrderRefused(f"the corrected record does not fit: {error}") from None


def difference(before: Any, after: Any, path: str = "") -> list[Change]:
    """What changed between two records, field by field, in the order of the fields."""
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        names = list(dict.fromkeys([*before, *after]))
        return [c for name in names for c in difference(before.get(name), after.get(name), _join(path, name))]
    if isinstance(before, list) and isinstance(after, list):
        pairs = max(len(before), len(after))
        return [c for n in range(pairs) for c in difference(_at(before, n), _at(after, n), _join(path, n))]
    return [] if before == after else [Change(path, before, after)]


def _set(target: Any, path: Sequence[str], value: Any, whole: str) -> None:
    for step in path[:-1]:
        target = _step(target, step, whole)
    last = path[-1]
    _step(target, last, whole)
    if isinstance(target, list):
        target[int(last)] = value
    else:
        target[last] = value


def _step(target: Any, step: str, whole: str) -> Any:
    if isinstance(target, list) and step.isdigit() and int(step) < len(target):
        return target[int(step)]
    if isinstance(target, dict) and step in target:
        return target[step]
    raise OrderRefused(f"there is no field {whole}")


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _join(path: str, name: object) -> str:
    return f"{path}.{name}" if path else str(name)


def _at(items: list[Any], index: int) -> Any:
    return items[index] if index < len(items) else None
