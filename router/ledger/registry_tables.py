"""The tables of the agency registry's change feed."""
