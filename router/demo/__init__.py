"""The demonstration: four simulated agency systems, a running service, and a check of what everybody holds."""
