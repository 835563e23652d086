"""What this process knows of a recipient from its own lanes: who works, who was called, whether it may be called."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Final

ACTIVE_FOR: Final = 300 * 1_000_000  # a lane counts as active this long after its last call (µs)
REMEMBERED: Final = 1_000  # lanes remembered per recipient


@dataclass(slots=True)
class Health:
    """Recent calls of one recipient. Bounded: the lanes called last."""

    status: str = "open"  # ``open``, ``held``, ``stopped``: as the ledger says
    last_success: int = 0
    _called: OrderedDict[bytes, int] = field(default_factory=OrderedDict)
    _succeeded: OrderedDict[bytes, int] = field(default_factory=OrderedDict)

    @property
    def may_call(self) -> bool:
        """Whether calls may start."""
        return self.status == "open"

    def saw(self, key: bytes, now: int, *, success: bool) -> None:
        """One attempt of a lane ended."""
        _touch(self._called, key, now)
        if success:
            self.last_success = now
            _touch(self._succeeded, key, now)

    def passing(self, key: bytes, since: int) -> bool:
        """Whether another lane succeeded after ``since`` (UTC µs)."""
        if self.last_success <= since:
            return False
        return any(at > since for other, at in reversed(self._succeeded.items()) if other != key)

    def active_lanes(self, now: int, enough: int) -> int:
        """How many lanes were called lately; counting stops at ``enough``."""
        count = 0
        for at in reversed(self._called.values()):
            if now - at > ACTIVE_FOR or count >= enough:
                break
            count += 1
        return count


def _touch(seen: OrderedDict[bytes, int], key: bytes, now: int) -> None:
    seen[key] = now
    seen.move_to_end(key)
    if len(seen) > REMEMBERED:
        seen.popitem(last=False)
