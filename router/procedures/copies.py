"""Instances that another brought about, and what the two know of each other: forwarded copies of a document. Pure.

A copy says that it runs, what its receivers state, and how it ended; each word goes on to the parent's own parent. A
recall goes the other way: whoever is recalled from remains noted, so that a copy which opens later is told as well.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Final, NamedTuple

from router.procedures.instance import Child, Event, Instance, Replaced

CHILD_OPENED: Final = "procedure.child_opened"
CHILD_PROGRESSED: Final = "procedure.child_progressed"
CHILD_ENDED: Final = "procedure.child_ended"
WORDS: Final = frozenset({CHILD_OPENED, CHILD_PROGRESSED, CHILD_ENDED})
EVERYONE: Final = "*"  # recalled from every receiver
ABOVE: Final = "^"  # beside EVERYONE: recalled by the one that brought it about
#: States of an instance that has ended and of which nobody holds anything any more.
GONE: Final = frozenset({"recalled", "replaced"})
#: What receivers state on their way, the later the further.
PROGRESS: Final = ("ARRIVED", "REFUSED", "RECEIVED", "ASSIGNED", "PROCESSING", "COMPLETED")
#: Who has registered a document keeps it; who says only that it arrived may still refuse it.
HOLDS: Final = frozenset(PROGRESS[2:])
MOST_STATES: Final = 1_000  # agencies whose state is kept with a child; further ones are passed on only


class Told(NamedTuple):
    """A child that is to recall, and from whom: an agency code, empty for everyone."""

    child: Child
    organ: str


def heard(instance: Instance, event: Event) -> Instance:
    """The instance with what a child says; itself if that is known or older than what is."""
    facts = event.facts
    key, at = str(facts["related"]), int(facts.get("stated_at") or event.occurred_at)
    known = child_of(instance, key)
    before = known or Child(key)
    if event.type == CHILD_PROGRESSED:
        after = _stated(before, str(facts.get("organ") or ""), str(facts["name"]))
    elif known is not None and at < before.said_at:
        return instance
    else:
        ended = str(facts["name"]) if event.type == CHILD_ENDED else ""
        after = before._replace(ended=ended, organ=str(facts.get("organ") or before.organ), said_at=at)
    if known is not None and after._replace(said_at=known.said_at) == known:
        return instance
    return _with(instance, after)


def child_of(instance: Instance, key: str) -> Child | None:
    """One child by its key."""
    return next((child for child in instance.children if child.key == key), None)


def recalled(instance: Instance, organ: str = "") -> Instance:
    """The instance taken back from one receiver, or from everyone."""
    whom = organ or EVERYONE
    return instance if whom in instance.recalled else replace(instance, recalled=(*instance.recalled, whom))


def tell(instance: Instance) -> tuple[Instance, list[Told]]:
    """What children have still to be told of recalls, and the instance when they are. One that has ended is told too:
    copies of it may live on.
    """
    wanted = (EVERYONE,) if EVERYONE in instance.recalled else instance.recalled
    owed = [
        Told(child, "" if whom == EVERYONE else whom)
        for child in instance.children
        if child.ended not in GONE
        for whom in wanted
        if whom not in child.told and EVERYONE not in child.told
    ]
    for child, organ in owed:
        now = child_of(instance, child.key) or child
        instance = _with(instance, now._replace(told=(*now.told, organ or EVERYONE)))
    return instance, owed


def let_go(instance: Instance, *, itself: bool) -> Instance:
    """The instance when whoever brought it about takes it back no more; ``itself``: it is over of its own."""
    if ABOVE not in instance.recalled:
        return instance
    return replace(instance, recalled=(EVERYONE,) if itself else ())


def freed(instance: Instance) -> tuple[Instance, list[Child]]:
    """The children that were told to stop, of one that is not recalled any more, and the instance with none told."""
    told = [child for child in instance.children if EVERYONE in child.told and child.ended not in GONE]
    for child in told:
        instance = _with(instance, child._replace(told=()))
    return instance, told


def replaced_for(instance: Instance, receiver: str, organ: str) -> Iterator[Replaced]:
    """The documents that ``organ``, reached through this document's ``receiver`` (itself, or one that forwarded to it),
    need not keep now that it has this one. None while this one is taken back itself.
    """
    if EVERYONE not in instance.recalled:
        for old in instance.replaces:
            if not old.organs or {receiver, organ} & set(old.organs):
                yield old


def newly_held(before: Child | None, event: Event) -> bool:
    """Whether a receiver of a copy says for the first time that it has the document."""
    known = dict(before.states) if before is not None else {}
    organ = str(event.facts.get("organ") or "")
    return event.facts["name"] in HOLDS and known.get(organ, "") not in HOLDS


def keeps(child: Child) -> bool:
    """Whether a child has ended and the document was not taken back from all its receivers."""
    return bool(child.ended) and child.ended not in GONE


def _stated(child: Child, organ: str, state: str) -> Child:
    states = dict(child.states)
    before = states.get(organ)
    if state not in PROGRESS or not organ or (before in PROGRESS and PROGRESS.index(before) >= PROGRESS.index(state)):
        return child
    if before is None and len(states) >= MOST_STATES:
        return child
    return child._replace(states=tuple({**states, organ: state}.items()))


def _with(instance: Instance, child: Child) -> Instance:
    """The instance with one child put in its place, or added."""
    others = instance.children
    if child_of(instance, child.key) is None:
        return replace(instance, children=(*others, child))
    return replace(instance, children=tuple(child if each.key == child.key else each for each in others))
