"""How a command gets at an installation: its settings, and its ledger for the time of one question."""

from __future__ import annotations

import asyncio
import getpass
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path
from typing import Annotated, TypeVar

import typer

from router.assembly import (
    build_codec,
    build_ledger,
    build_library,
    build_lock,
    build_procedures,
    build_routes,
    current_routes,
    has_ledger,
    locals_of,
    registry_of,
    todays_view,
)
from router.cli import output
from router.clock import SystemClock
from router.configuration import load_settings
from router.errors import ConfigError, OrderRefused, RouterError
from router.ledger.local import LocalRecipient
from router.money_desk import MoneyDesk
from router.operations import Operations
from router.placing import Placing
from router.ports import Clock, Ledger
from router.procedures.library import Library
from router.procedures.recipient import PROCEDURES
from router.refusals import refused
from router.replay.desk import ReplayDesk
from router.replay.edits import checked
from router.replay.planner import Planner
from router.routing.table import Routes
from router.settings import Settings

R = TypeVar("R")

#: Exit codes that scripts can rely on.
REFUSED, MISCONFIGURED, UNREACHABLE = 1, 2, 3

ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config", "-c", envvar="LGSP_CONFIG", help="Configuration file (TOML). Default: ./lgsp.toml if there."
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
ReasonOption = Annotated[str, typer.Option("--reason", "-r", help="Why; kept in the audit table.")]
WhoOption = Annotated[str, typer.Option("--who", help="Who orders it; the user of this session by default.")]


def config_file(config: Path | None) -> Path | None:
    """The file of a command's settings: the one it was given, else ./lgsp.toml, else none."""
    return Path("lgsp.toml") if config is None and Path("lgsp.toml").exists() else config


def settings_of(config: Path | None) -> Settings:
    """The settings of a command. Ends the command with an exit code where they are refused."""
    with exit_codes():
        return load_settings(config_file(config))


def library_of(config: Path | None) -> Library:
    """The procedure definitions of a command. Ends the command with an exit code where one is refused."""
    settings = settings_of(config)
    with exit_codes():
        return build_library(settings)


def ask(config: Path | None, question: Callable[[Operations], Awaitable[R]]) -> R:
    """Put a question or an order to the installation. Ends the command with an exit code when that fails."""
    return run(_ask(config, question))


def ask_money(config: Path | None, question: Callable[[MoneyDesk], Awaitable[R]], *, deciding: bool = False) -> R:
    """The same about money that waits. ``deciding``: where no process is alive, its procedures are loaded here."""
    return run(_ask_money(config, question, deciding))


def run(work: Awaitable[R]) -> R:
    """Run a command's work; errors become one line and an exit code."""

    async def settled() -> R:
        return await work

    with exit_codes():
        return asyncio.run(settled())


@contextmanager
def exit_codes() -> Iterator[None]:
    """What the router raises on purpose ends the command with one line and an exit code."""
    try:
        yield
    except ConfigError as error:
        output.error(f"lgsp: {error}")
        raise typer.Exit(MISCONFIGURED) from None
    except OrderRefused as error:
        output.error(f"lgsp: refused: {error}")
        raise typer.Exit(REFUSED) from None
    except RouterError as error:
        output.error(f"lgsp: {error}")
        raise typer.Exit(UNREACHABLE) from None


def user() -> str:
    """Who gives this order, unless told otherwise."""
    return os.environ.get("LGSP_WHO") or getpass.getuser()


@asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[tuple[Ledger, Clock]]:
    """The installation's ledger for the time of a command. Raises ``ConfigError`` where there is none."""
    if not has_ledger(settings):
        raise refused("directory_empty", key="data", found=settings.data)
    clock = SystemClock()
    ledger = build_ledger(settings, clock)
    await ledger.open()
    try:
        yield ledger, clock
    finally:
        await ledger.close()


async def routes_of(settings: Settings) -> Routes:
    """The rules and registry in force: those of the files while there is no ledger. Raises ``ConfigError``,
    ``LedgerError``.
    """
    if not has_ledger(settings):
        return build_routes(settings, SystemClock())
    async with opened(settings) as (ledger, clock):
        return await current_routes(settings, clock, ledger)


@asynccontextmanager
async def desk(config: Path | None, *, planning: bool = False) -> AsyncIterator[ReplayDesk]:
    """Where replays are made and moved; ``planning`` loads rules and connectors for the dry run."""
    settings = settings_of(config)
    async with opened(settings) as (ledger, clock):
        planner = None
        if planning:
            routes, file = await current_routes(settings, clock, ledger), str(config_file(config) or "settings")
            planner = Planner(ledger, clock, todays_view(settings, clock, file, routes))
        yield ReplayDesk(ledger, clock, planner)


async def _ask(config: Path | None, question: Callable[[Operations], Awaitable[R]]) -> R:
    settings = settings_of(config)
    async with opened(settings) as (ledger, clock):
        check, configured = partial(checked, build_codec(settings)), {*settings.recipients, *locals_of(settings)}
        length = settings.ledger.lease_seconds
        operations = Operations(ledger, clock, build_lock(settings), check, lease_seconds=length, configured=configured)
        return await question(operations)


async def _ask_money(config: Path | None, question: Callable[[MoneyDesk], Awaitable[R]], deciding: bool) -> R:
    settings = settings_of(config)
    async with opened(settings) as (ledger, clock):
        local: dict[str, LocalRecipient] = {}
        if deciding and settings.procedures.enabled:
            registry = await registry_of(settings, ledger)
            local[PROCEDURES] = build_procedures(settings, clock, ledger, build_codec(settings), lambda: registry)
        length = settings.ledger.lease_seconds
        placing = Placing(ledger, clock, build_lock(settings), lease_seconds=length, local=local)
        return await question(MoneyDesk(ledger, placing))
