"""The examination behind ``lgsp doctor``: what is missing, wrong or unreachable, and what to do next."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Final

from router.assembly import build_ledger, build_library, build_routes, current_routes, has_ledger, locals_of
from router.delivery.calls import Recipient
from router.doctor_bus import Finding, examine_bus, examine_lag
from router.doctor_organs import examine_organs
from router.errors import ConfigError, LedgerError
from router.ledger import alerts, audit, registry, store
from router.objects import FolderObjectStore
from router.owner_key import key_file, owner_key
from router.ports import Clock, Ids
from router.procedures.calendar import load_calendar
from router.recipients import build_recipients
from router.routing.lint import check
from router.routing.table import Routes
from router.sdk.dates import local_date
from router.sdk.outcomes import Failure
from router.settings import Settings
from schemas.catalogue import EVENT_TYPES

OTHERS: Final = 0o077  # permissions of anybody but the owner


async def examine(
    settings: Settings, clock: Clock, ids: Ids, *, file: str = "settings", probe: bool = False
) -> list[Finding]:
    """Examine configuration, connectors, routes, bus and ledger; each as far as it can be reached. Nothing is made.
    With ``probe`` every partner is asked whether it answers.
    """
    findings = [*_folder(settings), *_owner_key(settings)]
    built, refused = _recipients(settings, clock, ids, file)
    findings += refused
    if built:
        findings.append(Finding("recipients", "ok", ", ".join(recipient.id for recipient in built), ""))
    if not settings.recipients:
        findings.append(Finding("recipients", "mind", "none is configured", "add a section [recipients.<id>]"))
    for recipient in built if probe else ():
        findings.append(await _probed(recipient))
    findings += await _routes(settings, clock)
    findings += _procedures(settings) if settings.procedures.enabled else []
    findings += await examine_bus(settings, clock)
    findings += await _ledger(settings, clock)
    return findings


def _folder(settings: Settings) -> list[Finding]:
    if settings.data.exists() and settings.data.stat().st_mode & OTHERS:
        what = f"other users of this machine may look into {settings.data}, which holds personal data"
        return [Finding("settings", "mind", what, f"chmod 700 {settings.data}")]
    return [Finding("settings", "ok", f"data in {settings.data}", "")]


def _owner_key(settings: Settings) -> list[Finding]:
    """Without the key one code with two owners is not noticed."""
    step = "set identity.key_file, then `lgsp owner-key`"
    try:
        key = owner_key(settings)
    except ConfigError as error:
        return [Finding("identity", "wrong", str(error), "`lgsp owner-key` makes it; copy it to all processes")]
    path = key_file(settings)
    if key:
        return [*_exposed(path), Finding("identity", "ok", "owners of codes are compared", "")]
    if path is not None:
        return [Finding("identity", "mind", f"{path} is not made yet", "`lgsp run` makes it")]
    return [Finding("identity", "wrong", "no key: the owners of a code are not compared", step)]


def _exposed(path: Path | None) -> list[Finding]:
    if path is None or not path.stat().st_mode & OTHERS:
        return []
    return [Finding("identity", "mind", f"other users may read {path}", f"chmod 600 {path}")]


def _recipients(settings: Settings, clock: Clock, ids: Ids, file: str) -> tuple[list[Recipient], list[Finding]]:
    """The recipients that can be made, and what is wrong with each of the others."""
    made: list[Recipient] = []
    refused: list[Finding] = []
    objects = FolderObjectStore(settings.data / "objects")
    for name, section in sorted(settings.recipients.items()):
        alone = settings.model_copy(update={"recipients": {name: section}})
        try:
            made += build_recipients(alone, clock, ids, objects, file)
        except ConfigError as error:
            refused.append(Finding("recipients", "wrong", str(error), "correct the configuration"))
    return made, refused


async def _probed(recipient: Recipient) -> Finding:
    try:
        await recipient.connector.open()
        try:
            answers = await recipient.connector.probe()
        finally:
            await recipient.connector.close()
    except Exception as error:  # whatever another package's connector raises is told, like what ours raise by name
        said = str(error) if isinstance(error, Failure) else type(error).__name__
        return Finding("partner", "wrong", f"{recipient.id}: {said}", "see its http.base_url and its credentials")
    if answers:
        return Finding("partner", "ok", f"{recipient.id} answers", "")
    return Finding("partner", "wrong", f"{recipient.id} answers, but not with success", "ask its operators")


async def _routes(settings: Settings, clock: Clock) -> list[Finding]:
    try:
        routes = build_routes(settings, clock)
    except ConfigError as error:
        return [Finding("routes", "wrong", str(error), "correct the file")]
    found: list[Finding] = []
    if has_ledger(settings):
        with suppress(LedgerError, ConfigError):  # the examination of the ledger says so
            routes, found = await _in_force(settings, clock)
    names = [*settings.recipients, *locals_of(settings)]
    problems = [finding for finding in check(routes, names, EVENT_TYPES) if finding.error]
    found += [Finding("routes", "mind", f"{p.rule}: {p.problem}", "see `lgsp routes check`") for p in problems[:3]]
    said = f"{len(routes.rules)} rules ({routes.digest}), registry {routes.registry.version}"
    organs = examine_organs(settings.identity.organs, routes.registry, local_date(clock.business()))
    return [Finding("routes", "ok", said, ""), *found, *organs]


def _procedures(settings: Settings) -> list[Finding]:
    try:
        known, section = build_library(settings).definitions, settings.procedures
        calendar = load_calendar(section.jurisdiction, section.overrides)
    except ConfigError as error:
        return [Finding("procedures", "wrong", str(error), "correct the file")]
    return [Finding("procedures", "ok", f"{len(known)} definitions, calendar {calendar.name} {calendar.version}", "")]


async def _in_force(settings: Settings, clock: Clock) -> tuple[Routes, list[Finding]]:
    """The routes under the ledger's registry, and where processes follow others than the files."""
    ledger = build_ledger(settings, clock)
    await ledger.open()
    try:
        routes = await current_routes(settings, clock, ledger)
        others = [each for each in await ledger.read(registry.all_in_force) if each.rules != routes.digest]
        kept = await ledger.read(registry.version)
    finally:
        await ledger.close()
    found = []
    if kept and settings.routing.agencies:
        what = f"{settings.routing.agencies} is not looked at: the ledger has a registry"
        found.append(Finding("routes", "mind", what, "`lgsp agencies import`, and leave routing.agencies out"))
    if others:
        what = f"{len(others)} running processes follow other rules than the file has"
        found.append(Finding("routes", "mind", what, "see `lgsp status` and `lgsp alerts`"))
    return routes, found


async def _ledger(settings: Settings, clock: Clock) -> list[Finding]:
    if not has_ledger(settings):
        return [Finding("ledger", "mind", "the ledger is not made yet", "`lgsp run` makes it")]
    ledger = build_ledger(settings, clock)
    try:
        await ledger.open()
    except ConfigError as error:
        return [Finding("ledger", "wrong", str(error), "`lgsp migrate`")]
    except LedgerError as error:
        return [Finding("ledger", "wrong", str(error), f"is {settings.ledger.url} running and reachable?")]
    try:
        shards = await ledger.read(store.shards)
        broken = await ledger.read(audit.broken)
        raised = await ledger.read(alerts.open_alerts)
    finally:
        await ledger.close()
    findings = [Finding("ledger", "ok", f"{len(shards)} shards", ""), *await examine_lag(settings, shards, clock)]
    if broken is not None:
        findings.append(Finding("audit", "wrong", f"row {broken} does not follow from the one before", "keep the file"))
    if raised:
        findings.append(Finding("alerts", "mind", f"{len(raised)} open", "`lgsp alerts`"))
    return findings
