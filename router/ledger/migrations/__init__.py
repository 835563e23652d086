"""Migrations of the ledger's tables (alembic), shipped with the package and run by ``lgsp migrate``."""
