"""What alembic runs: migrations on the connection that ``revision.upgrade`` was given."""

from __future__ import annotations

from alembic import context

from router.ledger.schema import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata, render_as_batch=True)
context.run_migrations()
