"""Commands that keep an installation in order: copy it, put a copy back, remove what is old."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Annotated

import typer

from router.assembly import build_bus, data_directory, has_ledger
from router.bus.embedded import EmbeddedBus
from router.cli import output
from router.cli.session import ConfigOption, ReasonOption, WhoOption, opened, run, settings_of, user
from router.clock import SystemClock, SystemIds
from router.delivery.accept import identity_of
from router.delivery.single import single_handed
from router.events import TopicPartition, topic_of
from router.ledger import purge as purging
from router.ledger import store
from router.lock import DirectoryLock
from router.owner_key import NAME as OWNER_KEY
from router.ports import Ledger
from router.refusals import refused
from router.settings import Settings

app = typer.Typer()

DAY = 86_400 * 1_000_000
COPIED = ("ledger.db", "bus.db")


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
            if has_ledger(settings):
                raise refused("directory_full", key="data", found=settings.data)
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


def _embedded(settings: Settings) -> Settings:
    if not settings.embedded:
        raise refused("other_runtime", key="bus.url")
    return settings


def _new_folder(path: Path) -> None:
    try:
        path.mkdir(mode=0o700, parents=True)
    except OSError as error:
        found = error.strerror or "cannot be made"
        raise refused("fault", file=str(path), form="a new folder", form_vi="một thư mục mới", found=found) from None


def _sources(folder: Path) -> None:
    """Refuse a folder that lacks what is to be copied, before anything is made."""
    missing = [name for name in COPIED if not (folder / name).is_file()]
    if missing:
        raise refused("no_copies", file=str(folder), found=", ".join(missing))


async def _purge_log(bus: EmbeddedBus, ledger: Ledger, clock: SystemClock) -> int:
    places = await ledger.read(store.shards)
    await bus.open()
    try:
        floor = {TopicPartition(topic_of(place.recipient), place.partition): place.position for place in places}
        return await bus.purge(clock.now(), floor)
    finally:
        await bus.close()
