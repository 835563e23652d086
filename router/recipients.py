"""From configuration to running connectors: found by entry point, their settings validated, instances made."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import EntryPoint, entry_points
from typing import Any

import structlog
from aiolimiter import AsyncLimiter
from pydantic import ValidationError

from router.delivery.calls import Recipient
from router.errors import ConfigError
from router.ports import Clock, Ids, ObjectStore
from router.sdk.connector import Connector, Context
from router.sdk.manifest import Manifest
from router.settings import RecipientSection, Settings, config_error

GROUP = "lgsp.connectors"


def installed_connectors() -> dict[str, EntryPoint]:
    """All installed connectors by name; each is loaded when a recipient asks for it."""
    return {entry.name: entry for entry in entry_points(group=GROUP)}


def build_recipients(settings: Settings, clock: Clock, ids: Ids, objects: ObjectStore, file: str) -> list[Recipient]:
    """The configured recipients. Raises ``ConfigError`` naming file and key."""
    kinds, log = installed_connectors(), structlog.get_logger("lgsp")
    made: list[Recipient] = []
    for name, section in sorted(settings.recipients.items()):
        context = Context(name, clock, ids, objects, log.bind(recipient=name))
        made.append(_recipient(name, section, kinds, context, file))
    return made


def _recipient(
    name: str, section: RecipientSection, kinds: Mapping[str, EntryPoint], context: Context, file: str
) -> Recipient:
    entry = kinds.get(section.connector)
    key = f"recipients.{name}"
    if entry is None:
        raise ConfigError(
            f"unknown connector {section.connector!r}",
            file=file,
            key=f"{key}.connector",
            expected=" | ".join(sorted(kinds)),
        )
    kind: type[Connector[Any]] = entry.load()
    try:
        config = kind.config_model.model_validate(section.config)
    except ValidationError as error:
        raise config_error(error, file, f"{key}.config") from None
    connector = kind(config, context)
    manifest = connector.manifest = _adjusted(connector.manifest, section)
    rate = manifest.limits.rate if section.rate is None else section.rate
    return Recipient(
        id=name,
        connector=connector,
        manifest=manifest,
        concurrency=section.concurrency or manifest.limits.concurrency,
        limiter=AsyncLimiter(max(1.0, rate), max(1.0, rate) / rate) if rate else None,
    )


def _adjusted(manifest: Manifest, section: RecipientSection) -> Manifest:
    """The manifest with the windows and limits that the configuration sets for this recipient."""
    changes: dict[str, object] = {}
    if section.wait_window is not None:
        changes["inbound"] = manifest.inbound.model_copy(update={"wait_window": section.wait_window})
    if section.timeout is not None:
        cut = {"timeout": section.timeout}
        changes["operations"] = tuple(operation.model_copy(update=cut) for operation in manifest.operations)
    return manifest.model_copy(update=changes)
