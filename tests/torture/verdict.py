"""What the partners saw against what the router received."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

from tests.torture.installation import Installation
from tests.torture.load import Sent
from tests.torture.partner import Taken
from tests.torture.recorder import CALL_LIMIT


class Freeze(NamedTuple):
    """When a process stood still, in the partners' monotonic seconds."""

    start: float
    end: float

    def excuses(self, first: Taken, again: Taken) -> bool:
        """Whether a repetition is the one that cannot be kept off: the frozen process had checked its lease and not
        written to the socket yet; meanwhile another one delivered; woken up, the first one wrote.
        """
        return self.start <= first.at <= self.end <= again.at <= self.end + CALL_LIMIT


def violations(made: Installation, sent: Sequence[Sent], freezes: Sequence[Freeze] = ()) -> list[str]:
    """Every promise that was not kept, in words: each event once, in order per dossier, at every partner."""
    wanted: dict[str, list[str]] = defaultdict(list)
    for event in sent:
        wanted[event.key].append(event.id)
    found: list[str] = []
    for name, partner in made.partners.items():
        seen: dict[str, list[Taken]] = defaultdict(list)
        for taken in partner.effects():
            seen[taken.key].append(taken)
        for key, ids in wanted.items():
            numbers = [ids.index(taken.id) if taken.id in ids else -1 for taken in unexcused(seen[key], freezes)]
            if numbers != list(range(len(ids))):
                found.append(f"{name} {key}: {numbers} of {len(ids)}")
    return found


def unexcused(effects: Sequence[Taken], freezes: Sequence[Freeze]) -> list[Taken]:
    """Effects of one dossier without the repetitions that a freeze excuses."""
    first: dict[str, Taken] = {}
    kept: list[Taken] = []
    for taken in effects:
        before = first.setdefault(taken.id, taken)
        if before is taken or not any(freeze.excuses(before, taken) for freeze in freezes):
            kept.append(taken)
    return kept
