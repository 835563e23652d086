"""Interconnected procedures: definitions as data, an engine of pure steps, working calendar and deadlines."""
