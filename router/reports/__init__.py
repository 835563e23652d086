"""What is counted and shown of dossiers: statistics of a period, what is at risk, one dossier's timeline."""
