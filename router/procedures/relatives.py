"""What an instance and those that brought it about, or that it has brought about, say to each other in a step."""

from __future__ import annotations

from dataclasses import replace

from router.procedures import copies, signals
from router.procedures.instance import Event, Replaced
from router.procedures.working import Working


def hear(work: Working, event: Event) -> bool:
    """Keep what a child says, and pass it on to the parent. Whether it was news."""
    before = work.instance
    work.instance = copies.heard(before, event)
    news = work.instance is not before
    if news and event.type == copies.CHILD_PROGRESSED:
        key, organ = str(event.facts["related"]), str(event.facts.get("organ") or "")
        child = copies.child_of(work.instance, key)
        if child is not None and copies.newly_held(copies.child_of(before, key), event):
            spare(work, child.organ, organ)
        to_parent(work, event.type, str(event.facts["name"]), organ)
    return news


def tell_children(work: Working) -> None:
    """Recall from children what is taken back from this one, as far as they were not told."""
    work.instance, told = copies.tell(work.instance)
    work.emit(*(signals.recall(work.instance, child.key, organ, work.now) for child, organ in told))


def spare(work: Working, receiver: str, organ: str) -> None:
    """An agency has this document now: what it replaces may be taken back from it."""
    for old in copies.replaced_for(work.instance, receiver, organ):
        work.emit(signals.recall(work.instance, old.key, organ, work.now))


def note_replaced(work: Working, event: Event) -> None:
    """Which documents a document that was sent takes the place of."""
    if event.type == "document.sent" and event.facts.get("business") == "REPLACE":
        replaced = [Replaced(signals.key_of_document(old["document"]), tuple(old["organs"]))
                    for old in event.facts.get("instead_of", ())]  # fmt: skip
        work.instance = replace(work.instance, replaces=tuple(replaced))


def find_parent(work: Working, event: Event) -> None:
    """What brought this about learns of it: the original of a forwarded copy, or the dossier of another level that a
    dossier names. A plain reply names the document too, but passed no other system before its sender, or goes back to
    one.
    """
    if work.instance.parent:
        return
    facts, parent = event.facts, ""
    if event.type == "document.sent":
        named = [each for each in facts.get("response_for", ()) if each != facts.get("document")]
        passed = set(facts.get("traces", ())) - {facts.get("sender")}
        if named and passed and not passed & set(facts.get("receivers", ())):
            parent = signals.key_of_document(named[0])
    elif (code := facts.get("parent")) and code != facts.get("code"):
        parent = signals.key_of_dossier(code)
    if parent:
        work.instance = replace(work.instance, parent=parent)
        by = facts.get("sender") or facts.get("agency") or ""
        to_parent(work, copies.CHILD_OPENED, "opened", str(by))


def tell_progress(work: Working, event: Event) -> None:
    """What a receiver has stated of this document, for its parent."""
    if event.type == "document.status_changed" and event.facts["state"] in copies.PROGRESS:
        to_parent(work, copies.CHILD_PROGRESSED, event.facts["state"], event.facts["organ"])


def tell_end(work: Working) -> None:
    """Tell the parent that this instance has ended, or goes on after its end."""
    if work.instance.end_state:
        to_parent(work, copies.CHILD_ENDED, work.instance.end_state)
    else:
        to_parent(work, copies.CHILD_OPENED, "reopened")


def to_parent(work: Working, event_type: str, name: str, organ: str = "") -> None:
    """A word to whoever brought this instance about, if anybody did."""
    if work.instance.parent:
        work.emit(signals.to_parent(work.instance, event_type, name, organ, work.now))
