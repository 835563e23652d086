"""Commands of service owners: run, migrate, topics, doctor, backup, purge."""

from __future__ import annotations

import asyncio
import logging
import shutil
import signal
import sys
from collections.abc import Mapping, MutableMapping
from pathlib import Path
from typing import Annotated, Any

import structlog
import typer

from router.assembly import build_bus, build_ledger, data_directory, topics_of
from router.bus.embedded import EmbeddedBus
from router.cli import output
from router.cli.session import (
    REFUSED,
    ConfigOption,
    JsonOption,
    ReasonOption,
    WhoOption,
    config_file,
    exit_codes,
    opened,
    run,
    settings_of,
    user,
)
from router.clock import SystemClock, SystemIds
from router.delivery.accept import identity_of
from router.delivery.single import single_handed
from router.doctor import examine
from router.errors import ConfigError
from router.events import TopicPartition, topic_of
from router.growth import Growth
from router.ledger import purge as purging
from router.ledger import store
from router.ledger.migrate import migrate_ledger
from router.lock import DirectoryLock
from router.masking import mask_value
from router.owner_key import NAME as OWNER_KEY
from router.owner_key import key_file, make_owner_key
from router.ports import Ledger
from router.runtime import quiet_collector, run_loop
from router.service import Service
from router.settings import Settings

app = typer.Typer(no_args_is_help=True)
topics = typer.Typer(no_args_is_help=True, help="The topics of the installation.")
app.add_typer(topics, name="topics")

DAY = 86_400 * 1_000_000
COPIED = ("ledger.db", "bus.db")


@app.command("run", epilog="Example: lgsp run --config lgsp.toml")
def run_service(config: ConfigOption = None) -> None:
    """Run the service until a signal stops it; stopping loses nothing."""
    with exit_codes():
        settings = settings_of(config)
        configure_logging(settings.log_level)
        run_loop(_serve(settings, str(config_file(config) or "settings")))


@app.command(epilog="Example: lgsp migrate --config lgsp.toml")
def migrate(config: ConfigOption = None) -> None:
    """Make or update the ledger's tables; safe to repeat."""

    async def work() -> str:
        settings = settings_of(config)
        data_directory(settings)
        return await migrate_ledger(settings.ledger_url, _password(settings))

    print(f"the ledger is at revision {run(work())}")


@app.command("owner-key", epilog="Example: lgsp owner-key --config lgsp.toml")
def make_key(config: ConfigOption = None) -> None:
    """Make the key that hashes applicants' ids (identity.key_file), for this user alone; one that is there is never
    replaced. All processes of an installation share it; copy it to each. The embedded runtime makes its own.
    """
    with exit_codes():
        settings = settings_of(config)
        path = key_file(settings)
        if path is None:
            raise ConfigError("no file is named", key="identity.key_file", expected="the path of the key to make")
        make_owner_key(path, SystemIds())
    print(f"made {path}")


@topics.command("create", epilog="Example: lgsp topics create --config lgsp.toml")
def topics_create(config: ConfigOption = None) -> None:
    """Make the topics with the settings the installation needs; those that exist are left alone."""

    async def work() -> list[str]:
        settings = settings_of(config)
        bus = build_bus(settings, SystemClock())
        await bus.open()
        try:
            before = await bus.describe()
            await bus.create(topics_of(settings))
            return [spec.name for spec in topics_of(settings) if spec.name not in before]
        finally:
            await bus.close()

    made = run(work())
    print("\n".join(f"made {name}" for name in made) or "all topics exist")


@topics.command("grow", epilog="Example: lgsp topics grow 12 --config lgsp.toml")
def topics_grow(
    partitions: Annotated[int, typer.Argument(min=2, help="The new partition count of all topics.")],
    config: ConfigOption = None,
) -> None:
    """Give all topics more partitions. The installation must be drained and all its processes stopped; refused with
    what is left otherwise. Set bus.partitions to the new count before the next start.
    """

    async def work() -> None:
        settings, clock = settings_of(config), SystemClock()
        lock = DirectoryLock(settings.data) if settings.embedded else None
        if lock is not None:
            lock.take()
        bus, ledger = build_bus(settings, clock), build_ledger(settings, clock)
        try:
            await bus.open()
            await ledger.open()
            growth = Growth(bus, ledger, clock, lease_seconds=settings.ledger.lease_seconds)
            await growth.grow(settings.bus.partitions, partitions, print)
        finally:
            await ledger.close()
            await bus.close()
            if lock is not None:
                lock.release()

    run(work())
    print(f"done: set bus.partitions = {partitions}")


@app.command(epilog="Example: lgsp doctor --json")
def doctor(
    probe: Annotated[bool, typer.Option("--probe", help="Also ask every partner whether it answers.")] = False,
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """Say what is missing, wrong or unreachable, with the next step. Exit 1 if something is."""

    async def work() -> list[dict[str, str]]:
        settings, file = settings_of(config), str(config_file(config) or "settings")
        found = await examine(settings, SystemClock(), SystemIds(), file=file, probe=probe)
        return [finding._asdict() for finding in found]

    findings = run(work())
    output.listing(findings, as_json=json, empty="Nothing to find.")
    if any(finding["verdict"] == "wrong" for finding in findings):
        raise typer.Exit(REFUSED)


@app.command(epilog="Example: lgsp backup /var/backups/lgsp-2025-06-16")
def backup(target: Path, config: ConfigOption = None) -> None:
    """Copy ledger and log of the embedded runtime into a new folder, while the service runs."""

    async def work() -> None:
        settings = _embedded(settings_of(config))
        _sources(settings.data)
        _new_folder(target)
        purging.copy_sqlite(settings.data / "ledger.db", target / "ledger.db")  # first: no position beyond the bus
        purging.copy_sqlite(settings.data / "bus.db", target / "bus.db")
        if (settings.data / "objects").exists():
            shutil.copytree(settings.data / "objects", target / "objects")
        if (settings.data / OWNER_KEY).exists():
            shutil.copy2(settings.data / OWNER_KEY, target / OWNER_KEY)

    run(work())
    print(f"copied to {target}")


@app.command("restore-backup", epilog="Example: lgsp restore-backup /var/backups/lgsp-2025-06-16")
def restore_backup(source: Path, config: ConfigOption = None) -> None:
    """Put a backup into an empty data directory; refused while the directory holds a ledger."""

    async def work() -> None:
        settings = _embedded(settings_of(config))
        _sources(source)
        data_directory(settings)
        lock = DirectoryLock(settings.data)
        lock.take()
        try:
            if (settings.data / "ledger.db").exists():
                raise ConfigError(f"{settings.data} holds a ledger already", key="data", expected="an empty directory")
            for name in (*COPIED, OWNER_KEY):
                if (source / name).exists():
                    shutil.copy2(source / name, settings.data / name)
            if (source / "objects").exists():
                shutil.copytree(source / "objects", settings.data / "objects", dirs_exist_ok=True)
        finally:
            lock.release()

    run(work())
    print("restored; start it with `lgsp run`")


@app.command(epilog="Example: lgsp purge --older-than 90")
def purge(
    older_than: Annotated[float, typer.Option(min=0, help="Days; what was finished before that is removed.")] = 90.0,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say how many deliveries would be removed.")] = False,
    reason: ReasonOption = "by age",
    who: WhoOption = "",
    config: ConfigOption = None,
) -> None:
    """Remove finished deliveries, attempts and recognition rows by age, and log records all have passed. What is gone
    cannot be shown or restored any more; recognition is kept for ledger.recognition_days whatever is said here.
    """
    before = SystemClock().now() - int(older_than * DAY)

    async def work() -> dict[str, int]:
        settings = settings_of(config)
        clock, days = SystemClock(), settings.ledger.recognition_days
        window = int(days * DAY)
        if older_than < days:
            output.error(f"lgsp: below the {days:g} days of recognition: no trace will be left of what may come again")
        async with opened(settings) as (ledger, _):
            if dry_run:
                return await purging.counted(ledger, before=before)
            process, length = str(SystemIds().new()), settings.ledger.lease_seconds
            async with single_handed(ledger, clock, process, purging.LEASE, lease_seconds=length) as turn:
                await purging.announce(ledger, before=before, now=clock.now(), who=who or user(), why=reason)
                removed = await purging.purge(
                    ledger, turn, before=before, now=clock.now(), window=window, identity_of=identity_of
                )
            bus = build_bus(settings, clock)
            if isinstance(bus, EmbeddedBus):
                removed["records"] = await _purge_log(bus, ledger, clock)
            return removed

    removed = run(work())
    print("would be removed: " if dry_run else "removed: ", end="")
    print(" · ".join(f"{name}: {count}" for name, count in removed.items()))


def configure_logging(level: str) -> None:
    """Structured JSON lines on standard error; personal data masked in every value."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _masked,
            structlog.processors.JSONRenderer(ensure_ascii=False),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.PrintLoggerFactory(file=sys.stderr),
    )


async def _serve(settings: Settings, file: str) -> None:
    data_directory(settings)
    key = key_file(settings)
    if settings.embedded and key is not None and not key.exists():
        make_owner_key(key, SystemIds())
    service = Service(settings, SystemClock(), SystemIds(), file=file)  # refuses what is wrong before tables are made
    if settings.embedded:
        await migrate_ledger(settings.ledger_url, None)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # nohup means that a hangup is not for us
            loop.add_signal_handler(number, service.stop)
    quiet_collector()
    await service.run()


def _embedded(settings: Settings) -> Settings:
    if not settings.embedded:
        raise ConfigError("only the embedded runtime is copied like this", key="bus.url", expected="embedded")
    return settings


def _new_folder(path: Path) -> None:
    try:
        path.mkdir(mode=0o700, parents=True)
    except OSError as error:
        raise ConfigError(error.strerror or "cannot be made", file=str(path), expected="a new folder") from None


def _sources(folder: Path) -> None:
    """Refuse a folder that lacks what is to be copied, before anything is made."""
    missing = [name for name in COPIED if not (folder / name).is_file()]
    if missing:
        raise ConfigError(f"holds no {' and no '.join(missing)}", file=str(folder), expected="the folder of a ledger")


def _password(settings: Settings) -> str | None:
    return settings.ledger.password.get_secret_value() if settings.ledger.password else None


async def _purge_log(bus: EmbeddedBus, ledger: Ledger, clock: SystemClock) -> int:
    places = await ledger.read(store.shards)
    await bus.open()
    try:
        floor = {TopicPartition(topic_of(place.recipient), place.partition): place.position for place in places}
        return await bus.purge(clock.now(), floor)
    finally:
        await bus.close()


def _masked(_logger: object, _method: str, event: MutableMapping[str, Any]) -> Mapping[str, Any]:
    return {key: mask_value(value) for key, value in event.items()}
