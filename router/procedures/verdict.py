"""What the engine makes of an event."""

from __future__ import annotations

from enum import StrEnum


class Verdict(StrEnum):
    """Stored with each event of an instance's log, which is never rewritten."""

    APPLIED = "applied"
    NOTED = "noted"  # stored, changes nothing: a repeat, a progress line
    EARLY = "early"  # taken; its predecessor is missing, it is applied when that comes
    LATE_IGNORED = "late_ignored"  # older than what is known
    ILLEGAL = "illegal_transition"  # refused; becomes a dead letter that a person sees
    SUSPENDED = "suspended"  # taken; waits for a person (an amount that does not fit)
