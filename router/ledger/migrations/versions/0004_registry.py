"""Once meant for the agency registry, whose tables came with 0006: ledgers that passed here have none."""

from __future__ import annotations

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Nothing."""
