"""Commands of service owners: run, migrate, topics, doctor."""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
from collections.abc import Mapping, MutableMapping
from typing import Annotated, Any

import structlog
import typer

from router.assembly import build_bus, build_ledger, build_lock, data_directory, topics_of
from router.cli import output
from router.cli.session import (
    REFUSED,
    ConfigOption,
    JsonOption,
    config_file,
    exit_codes,
    run,
    settings_of,
)
from router.clock import SystemClock, SystemIds
from router.doctor import examine
from router.growth import Growth
from router.ledger.migrate import migrate_ledger
from router.masking import mask_value
from router.owner_key import key_file, make_owner_key
from router.refusals import refused
from router.runtime import quiet_collector, run_loop
from router.settings import Settings

app = typer.Typer(no_args_is_help=True)
topics = typer.Typer(no_args_is_help=True, help="The topics of the installation.")
app.add_typer(topics, name="topics")


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
            raise refused("no_key_file", key="identity.key_file")
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
        lock = build_lock(settings)
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
    from router.service import Service  # with all that only a service needs

    service = Service(settings, SystemClock(), SystemIds(), file=file)  # refuses what is wrong before tables are made
    if settings.embedded:
        await migrate_ledger(settings.ledger_url, None)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # nohup means that a hangup is not for us
            loop.add_signal_handler(number, service.stop)
    quiet_collector()
    await service.run()


def _password(settings: Settings) -> str | None:
    return settings.ledger.password.get_secret_value() if settings.ledger.password else None


def _masked(_logger: object, _method: str, event: MutableMapping[str, Any]) -> Mapping[str, Any]:
    return {key: mask_value(value) for key, value in event.items()}
