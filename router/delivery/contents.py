"""What came lately, by dossier and content: the same bytes under another id are delivered, and said to be the same.

A sender may rightly say the same thing again (4, 5, 4), so nothing is held back. This is memory of one process and
speaks of what it has seen itself; ``lgsp trace`` compares with everything that the ledger recognises.
"""

from __future__ import annotations

from typing import Final

from router.ledger.rows import Arrival

ROOM: Final = 20_000  # arrivals remembered at least, over all shards; twice as many at most, some 10 MB


class Contents:
    """Two generations: when the younger one is full, the older one is forgotten."""

    def __init__(self, room: int = ROOM) -> None:
        self._room = room
        self._young: dict[tuple[int, bytes, bytes], int] = {}
        self._old: dict[tuple[int, bytes, bytes], int] = {}

    def earlier(self, shard: int, arrival: Arrival, seq: int) -> int:
        """Remember an arrival that was accepted as new; the seq of the last one of its key and content, 0 if none."""
        content = (shard, arrival.key, arrival.digest)
        found = self._young.get(content) or self._old.get(content, 0)
        self._young[content] = seq
        if len(self._young) > self._room:
            self._old, self._young = self._young, {}
        return found
