"""Which revision a ledger is at, and how it gets to this release's."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from router.errors import ConfigError

FOLDER: Final = Path(__file__).parent


def head() -> str:
    """The revision this release needs."""
    return ScriptDirectory.from_config(_config()).get_current_head() or ""


def current(conn: Connection) -> str | None:
    """The revision a ledger is at; None for an empty one."""
    return MigrationContext.configure(conn).get_current_revision()


def require_current(conn: Connection) -> None:
    """Raises ``ConfigError`` unless the ledger is at ``head``."""
    at, wanted = current(conn), head()
    if at != wanted:
        problem = "the ledger has no tables yet" if at is None else f"the ledger is at revision {at}, not {wanted}"
        raise ConfigError(problem, key="ledger.url", expected="a ledger prepared by `lgsp migrate`")


def upgrade(conn: Connection) -> str:
    """Bring the ledger to ``head`` inside the caller's transaction; the revision reached."""
    config = _config()
    config.attributes["connection"] = conn
    command.upgrade(config, "head")
    return head()


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(FOLDER))
    return config
