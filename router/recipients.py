"""From configuration to running connectors: found by entry point, their settings validated, instances made."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date
from importlib.metadata import EntryPoint, entry_points
from typing import Any, TypeVar

import structlog
from pydantic import BaseModel, ValidationError

from router.configuration import config_error
from router.delivery.calls import Recipient
from router.delivery.opening import Opening
from router.ports import Clock, Ids, ObjectStore
from router.procedures.calendar import load_calendar
from router.refusals import refused
from router.sdk.connector import Connector, Context
from router.sdk.manifest import NEVER, Hours, Manifest, Operation, Retry
from router.settings import OperationSection, RecipientSection, Settings

GROUP = "lgsp.connectors"

Checked = TypeVar("Checked", bound=BaseModel)


def installed_connectors() -> dict[str, EntryPoint]:
    """All installed connectors by name; each is loaded when a recipient asks for it."""
    return {entry.name: entry for entry in entry_points(group=GROUP)}


def build_recipients(
    settings: Settings,
    clock: Clock,
    ids: Ids,
    objects: ObjectStore,
    file: str,
) -> list[Recipient]:
    """The configured recipients; their office hours know the working calendar. Raises ``ConfigError`` naming file and
    key.
    """
    calendar = load_calendar(settings.procedures.jurisdiction, settings.procedures.overrides)
    kinds, log = installed_connectors(), structlog.get_logger("lgsp")
    organ = next(iter(settings.identity.organs), "")
    made: list[Recipient] = []
    for name, section in sorted(settings.recipients.items()):
        context = Context(name, clock, ids, objects, log.bind(recipient=name), organ)
        made.append(_recipient(name, section, kinds, context, file, calendar.is_working_day))
    return made


def _recipient(
    name: str,
    section: RecipientSection,
    kinds: Mapping[str, EntryPoint],
    context: Context,
    file: str,
    is_working_day: Callable[[date], bool],
) -> Recipient:
    entry = kinds.get(section.connector)
    key = f"recipients.{name}"
    if entry is None:
        one_of = " | ".join(sorted(kinds))
        raise refused("no_connector", file=file, key=f"{key}.connector", form=one_of, found=section.connector)
    kind: type[Connector[Any]] = entry.load()
    try:
        config = kind.config_model.model_validate(section.config)
    except ValidationError as error:
        raise config_error(error, file, kind.config_model, f"{key}.config") from None
    connector = kind(config, context)
    manifest = connector.manifest = adjusted(connector.manifest, section, file, key)
    rate = manifest.limits.rate if section.rate is None else section.rate
    return Recipient(
        id=name,
        connector=connector,
        manifest=manifest,
        concurrency=section.concurrency or manifest.limits.concurrency,
        rate=rate,
        opening=opening_of(manifest, section, is_working_day),
    )


def opening_of(manifest: Manifest, section: RecipientSection, is_working_day: Callable[[date], bool]) -> Opening:
    """When a recipient takes calls: the manifest's office hours on working days, less the maintenance windows of
    manifest and configuration.
    """
    hours = manifest.hours
    return Opening(
        days=hours.days,
        ranges=hours.ranges,
        urgent_always=hours.urgent_always,
        windows=(*manifest.maintenance, *section.maintenance),
        is_working_day=is_working_day,
    )


def adjusted(manifest: Manifest, section: RecipientSection, file: str, key: str) -> Manifest:
    """The manifest with what the configuration sets for this recipient. Raises ``ConfigError`` naming the key of a
    retry policy or hours of the wrong form, and an operation that the connector does not have.
    """
    changes: dict[str, object] = {}
    known = {operation.name for operation in manifest.operations}
    if unknown := sorted(section.operations.keys() - known):
        one_of = " | ".join(sorted(known))
        raise refused("no_operation", file=file, key=f"{key}.operations", form=one_of, found=unknown[0])
    if section.hours is not None:
        changes["hours"] = _validated(Hours, section.hours, file, f"{key}.hours")
    if section.retry or section.operations or section.timeout is not None:
        changes["operations"] = tuple(
            _operation(manifest, operation, section, file, key) for operation in manifest.operations
        )
    if section.wait_window is not None:
        changes["inbound"] = manifest.inbound.model_copy(update={"wait_window": section.wait_window})
    return manifest.model_copy(update=changes)


def _operation(manifest: Manifest, operation: Operation, section: RecipientSection, file: str, key: str) -> Operation:
    """What is set for all operations bounds none that carries payments; set for that one, a finite age is refused."""
    own = section.operations.get(operation.name, OperationSection())
    wide = {k: v for k, v in section.retry.items() if not (operation.moves_money and k in ("budget", "maximal_age"))}
    timeout = own.timeout or section.timeout or operation.timeout
    at = f"{key}.operations.{operation.name}.retry" if own.retry else f"{key}.retry"
    retry = _validated(Retry, {**manifest.retry_of(operation).model_dump(), **wide, **own.retry}, file, at)
    if operation.moves_money and retry.maximal_age is not None:
        raise refused("payments_wait", file=file, key=f"{at}.maximal_age", form=f'"{NEVER}"')
    return operation.model_copy(update={"timeout": timeout, "retry": retry})


def _validated(model: type[Checked], values: Mapping[str, Any], file: str, key: str) -> Checked:
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise config_error(error, file, model, key) from None
