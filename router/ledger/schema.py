"""All tables of the ledger: importing this module registers every part's tables on one ``metadata``."""

from __future__ import annotations

from router.ledger import procedure_tables, registry_tables, replay_tables, trail_tables
from router.ledger.tables import metadata

__all__ = ["metadata", "procedure_tables", "registry_tables", "replay_tables", "trail_tables"]
