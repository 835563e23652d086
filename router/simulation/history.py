"""The history checker: what partners saw and what the ledger holds, against what was published. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

WENT = frozenset({"delivered", "duplicate", "rejected"})
DECIDED = frozenset({"skipped", "discarded", "expired"})


class Effect(NamedTuple):
    """An event that took effect at a partner. ``open_before``: older events of its lane that were unfinished in the
    ledger at that moment. ``behind``: the event took effect here before, and this later one of its lane since then.
    ``excused``: the process was frozen between its last check and this effect.
    """

    at: float
    recipient: str
    key: str
    event: str
    process: str
    open_before: Sequence[str] = ()
    excused: bool = False
    behind: str = ""


class Row(NamedTuple):
    """A delivery as the ledger holds it in the end, in the order of its lane."""

    recipient: str
    key: str
    event: str
    state: str


class Violation(NamedTuple):
    """A promise that was not kept."""

    rule: str
    recipient: str
    event: str
    text: str


@dataclass
class History:
    """``published`` by key, in order; ``wanted`` recipients of every event; ``also`` what procedures sent, by the one
    recipient it goes to; at ``once`` ones nothing takes effect twice; ``answers`` counts replies by the event they
    answer.
    """

    published: Mapping[str, Sequence[str]]
    wanted: Sequence[str]
    once: frozenset[str]
    effects: list[Effect] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)
    rejected: frozenset[str] = frozenset()
    answers: Mapping[str, int] = field(default_factory=dict)
    also: Mapping[str, frozenset[str]] = field(default_factory=dict)


def check(history: History) -> list[Violation]:
    """Every violation, by rule: lost, stuck, reordered, overtaken, stale, doubled, ghost, answered twice."""
    return [
        *_lost(history),
        *_order(history),
        *_overtaken(history.effects),
        *_stale(history.effects),
        *_doubled(history),
        *_answers(history),
    ]


def _lost(history: History) -> Iterable[Violation]:
    """Each event has one delivery at each recipient; it went, or a person decided; what went was seen there."""
    rows: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in history.rows:
        rows[row.recipient, row.event].append(row)
    seen = {(effect.recipient, effect.event) for effect in history.effects}
    published = {event for events in history.published.values() for event in events}
    known = {recipient: published | history.also.get(recipient, frozenset()) for recipient in history.wanted}
    for recipient in history.wanted:
        for event in sorted(known[recipient]):
            found = rows.get((recipient, event), [])
            if not found:
                yield Violation("lost", recipient, event, "never accepted")
            elif len(found) > 1:
                yield Violation("doubled", recipient, event, f"accepted {len(found)} times")
            elif found[0].state in WENT and (recipient, event) not in seen:
                yield Violation("lost", recipient, event, f"{found[0].state}, and the partner never saw it")
            elif found[0].state not in WENT | DECIDED:
                yield Violation("stuck", recipient, event, f"still {found[0].state} in the end")
    for recipient, event in seen:
        if recipient in known and event not in known[recipient]:
            yield Violation("ghost", recipient, event, "nobody published it")


def _order(history: History) -> Iterable[Violation]:
    """First effects of a key are in the order of its publication."""
    place = {event: n for events in history.published.values() for n, event in enumerate(events)}
    last: dict[tuple[str, str], str] = {}
    first: set[tuple[str, str]] = set()
    for effect in history.effects:
        if effect.event not in place or (effect.recipient, effect.event) in first:
            continue
        first.add((effect.recipient, effect.event))
        lane = (effect.recipient, effect.key)
        if lane in last and place[last[lane]] > place[effect.event] and not effect.excused:
            yield Violation("reordered", effect.recipient, effect.event, f"behind {last[lane]}")
        last[lane] = effect.event


def _overtaken(effects: Iterable[Effect]) -> Iterable[Violation]:
    """Nothing goes out while an older event of its lane is unfinished."""
    for effect in effects:
        if effect.open_before and not effect.excused:
            text = f"called while {', '.join(effect.open_before[:3])} was unfinished"
            yield Violation("overtaken", effect.recipient, effect.event, text)


def _stale(effects: Iterable[Effect]) -> Iterable[Violation]:
    """An event may be sent again only while it is the last that its lane saw: not over a later one."""
    for effect in effects:
        if effect.behind and not effect.excused:
            yield Violation("stale", effect.recipient, effect.event, f"sent again after {effect.behind}")


def _doubled(history: History) -> Iterable[Violation]:
    """At recipients of class ``checked`` and ``none`` an event takes effect once."""
    count: dict[tuple[str, str], int] = defaultdict(int)
    for effect in history.effects:
        if effect.recipient in history.once and not effect.excused:
            count[effect.recipient, effect.event] += 1
            if count[effect.recipient, effect.event] == 2:
                yield Violation("doubled", effect.recipient, effect.event, f"took effect again at {effect.at:.2f}")


def _answers(history: History) -> Iterable[Violation]:
    """Every rejection is answered once."""
    for event in sorted(history.rejected):
        count = history.answers.get(event, 0)
        if count != 1:
            rule = "lost" if count == 0 else "answered twice"
            yield Violation(rule, "source", event, f"{count} replies")
