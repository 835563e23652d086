"""What the partners saw against what the router received."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

from tests.torture.installation import PARTNERS, REFUSING, SOURCE, Installation
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
        return self.start <= first.at and self.end <= again.at <= self.end + CALL_LIMIT


def violations(made: Installation, sent: Sequence[Sent], freezes: Sequence[Freeze] = ()) -> list[str]:
    """Every promise that was not kept, in words: each event once, in order per dossier, at every partner; at the source
    a reply for each event that was refused, once and in order as well.
    """
    wanted: dict[str, list[str]] = defaultdict(list)
    for event in sent:
        wanted[event.key].append(event.id)
    refuses = made.partners[REFUSING].refuses
    found: list[str] = []
    for key, ids in wanted.items():
        for name in PARTNERS:
            seen = [taken.id for taken in unexcused(made.partners[name].of(key), freezes)]
            found += differing(name, key, seen, ids)
        replies = [taken.answers for taken in made.partners[SOURCE].of(key)]
        found += differing("replies", key, replies, [event for event in ids if refuses(event)])
    return found


def differing(name: str, key: str, seen: Sequence[str], wanted: Sequence[str]) -> list[str]:
    """In words how what was seen differs, as places in what was wanted; empty if it does not."""
    if seen == wanted:
        return []
    places = [wanted.index(event) if event in wanted else -1 for event in seen]
    return [f"{name} {key}: {places} of {len(wanted)}"]


def unexcused(effects: Sequence[Taken], freezes: Sequence[Freeze]) -> list[Taken]:
    """Effects of one dossier without the repetitions that a freeze excuses."""
    first: dict[str, Taken] = {}
    kept: list[Taken] = []
    for taken in effects:
        before = first.setdefault(taken.id, taken)
        if before is taken or not any(freeze.excuses(before, taken) for freeze in freezes):
            kept.append(taken)
    return kept
