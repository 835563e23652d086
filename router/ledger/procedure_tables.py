"""The tables of procedures: instances, timers, and the facts of dossiers that reports count."""
