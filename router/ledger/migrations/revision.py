"""Which revision a ledger is at, and how it gets to this release's."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sqlalchemy import Connection, StaticPool, create_engine, inspect

from router.refusals import refused

if TYPE_CHECKING:
    from alembic.config import Config

FOLDER: Final = Path(__file__).parent


@cache
def head() -> str:
    """The revision this release needs: the number of its newest migration."""
    return max(path.name.partition("_")[0] for path in (FOLDER / "versions").glob("[0-9]*.py"))


def current(conn: Connection) -> str | None:
    """The revision a ledger is at; None for an empty one.

    Read without alembic: importing it would be a third of what every command and every start costs.
    """
    if not inspect(conn).has_table("alembic_version"):
        return None
    found: str | None = conn.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()
    return found


def require_current(conn: Connection) -> None:
    """Raises ``ConfigError`` unless the ledger is at ``head``."""
    at, wanted = current(conn), head()
    if at != wanted:
        raise refused("no_tables" if at is None else "other_revision", key="ledger.url", found=at, wanted=wanted)


def upgrade(conn: Connection) -> str:
    """Bring the ledger to ``head`` inside the caller's transaction; the revision reached."""
    if current(conn) == head():
        return head()
    from alembic import command

    config = _config()
    config.attributes["connection"] = conn
    command.upgrade(config, "head")
    return head()


@cache
def blank() -> bytes:
    """An empty ledger with this release's tables, as a SQLite file: migrated once, copied by all that begin with it."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as raw:
        with create_engine("sqlite://", creator=lambda: raw, poolclass=StaticPool).begin() as conn:
            upgrade(conn)
        return raw.serialize()


def _config() -> Config:
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(FOLDER))
    return config
