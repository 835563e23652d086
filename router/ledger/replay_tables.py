"""The tables of replays."""
