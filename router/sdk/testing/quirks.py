"""How simulated partners misbehave, as real ones do. A list, a rule or a switch says which request, never chance."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from hashlib import blake2b
from typing import Final
from unicodedata import normalize

#: The tones that windows-1258 writes as a character of their own behind the letter.
_TONES: Final = frozenset("\u0300\u0301\u0303\u0309\u0323")


class Quirk(StrEnum):
    """One way to misbehave."""

    SLOW = "slow"  # answers after ``Quirks.delay`` seconds
    DUPLICATE_ACK = "duplicate_ack"  # does the work, and says *exists already* though it was new
    OK_WITH_ERROR = "ok_with_error"  # HTTP 200 with an error in the body, nothing done
    FAIL_AFTER_WORK = "fail_after_work"  # HTTP 500 after the work was done
    BUSY = "busy"  # HTTP 503, nothing done
    BUSY_WITH_TIME = "busy_with_time"  # HTTP 503 with Retry-After
    WRONG_CHARSET = "wrong_charset"  # answers in windows-1258 and calls it UTF-8
    UNREADABLE = "unreadable"  # does the work, and answers with the page of a gateway under HTTP 200
    RESET = "reset"  # cuts the connection in the middle of the answer, after the work


@dataclass(slots=True)
class Quirks:
    """``planned`` quirks hit the next requests of an operation, in order; then ``rule`` is asked with the operation and
    its count from 1. ``away`` is an outage of the partner's application: everything is answered 503.
    """

    planned: dict[str, deque[Quirk]] = field(default_factory=dict)
    delay: float = 1.0
    away: bool = False
    hits: dict[Quirk, int] = field(default_factory=dict)
    rule: Callable[[str, int], Quirk | None] | None = None
    counts: dict[str, int] = field(default_factory=dict)

    def plan(self, operation: str, *quirks: Quirk) -> None:
        """The next requests of this operation meet these."""
        self.planned.setdefault(operation, deque()).extend(quirks)

    def take(self, operation: str) -> Quirk | None:
        """What the request now at hand meets."""
        if self.away:
            return self._hit(Quirk.BUSY)
        self.counts[operation] = self.counts.get(operation, 0) + 1
        waiting = self.planned.get(operation)
        if waiting:
            return self._hit(waiting.popleft())
        return self._hit(self.rule(operation, self.counts[operation])) if self.rule else None

    def _hit(self, quirk: Quirk | None) -> Quirk | None:
        if quirk is not None:
            self.hits[quirk] = self.hits.get(quirk, 0) + 1
        return quirk


def seeded(seed: int, per_thousand: Mapping[Quirk, int]) -> Callable[[str, int], Quirk | None]:
    """A rule that hits so many of a thousand requests with each quirk, the same ones for the same seed."""

    def rule(operation: str, count: int) -> Quirk | None:
        digest = blake2b(f"{seed}/{operation}/{count}".encode(), digest_size=4).digest()
        drawn = int.from_bytes(digest, "big") % 1000
        for quirk, share in per_thousand.items():
            if drawn < share:
                return quirk
            drawn -= share
        return None

    return rule


def windows_1258(text: str) -> bytes:
    """Composed text in the Vietnamese code page, which has letters with their mark but sets the tone behind them."""
    made = bytearray()
    for letter in text:
        try:
            made += letter.encode("cp1258")
        except UnicodeEncodeError:
            parts = normalize("NFD", letter)
            tones = "".join(part for part in parts if part in _TONES)
            bare = normalize("NFC", "".join(part for part in parts if part not in _TONES))
            made += (bare + tones).encode("cp1258", "replace")
    return bytes(made)
