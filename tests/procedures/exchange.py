"""Several documents that know of each other: what instances say goes to the others when a test lets it."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from router.codec import Codec, PackagedSchemas
from router.procedures.effects import Emit
from router.procedures.facts import facts_of
from router.procedures.instance import Child, Instance
from router.procedures.signals import key_of_document
from router.procedures.verdict import Verdict
from tests.procedures.story import Story

SENT = "document.sent"
STATUS = "document.status_changed"
CODEC = Codec(PackagedSchemas())


class Exchange:
    """Documents by name. What one instance says to another keeps its order; what two say may overtake each other.

    ``taken_back`` are the 13 that receivers were sent: document and receiver. ``registered`` are receivers that have
    stated 03 or more, of each document.
    """

    def __init__(self) -> None:
        self.stories: dict[str, Story] = {}
        self.queues: dict[tuple[str, str], deque[Emit]] = {}
        self.taken_back: list[tuple[str, str]] = []
        self.outcomes: list[tuple[str, str, str | None]] = []
        self._said: dict[str, int] = {}
        self._now = 0

    def send(self, document: str, sender: str, *receivers: str, **facts: Any) -> Verdict:
        """The sender's system sends a document. ``copy_of``: it forwards that one; ``instead_of``: it replaces it."""
        said: dict[str, Any] = {"business": "NEW", "sender": sender, "receivers": list(receivers), "document": document}
        if (original := facts.pop("copy_of", None)) is not None:
            said |= {"response_for": [original], "traces": ["G99", sender]}
        if (old := facts.pop("instead_of", None)) is not None:
            said |= {"business": "REPLACE", "instead_of": [{"document": old, "organs": facts.pop("organs", [])}]}
        return self._tell(document, SENT, {**said, **facts})

    def update(self, document: str, added: list[str], removed: list[str] | None = None) -> Verdict:
        """The sender changes the receivers."""
        said = {"business": "UPDATE", "document": document, "added": added, "removed": removed or [], "receivers": []}
        return self._tell(document, SENT, said)

    def states(self, document: str, organ: str, state: str) -> Verdict:
        """A receiver states something, or the sender takes back."""
        return self._tell(document, STATUS, {"document": document, "organ": organ, "state": state})

    def deliver(self, which: int = 0) -> bool:
        """One signal reaches its instance; False when none is under way."""
        ready = [pair for pair, queue in self.queues.items() if queue]
        if not ready:
            return False
        pair = ready[which % len(ready)]
        emit = self.queues[pair].popleft()
        assert CODEC.encode(emit.type, emit.record)
        self._tell(pair[1], emit.type, facts_of(emit.type, emit.record))
        return True

    def settle(self, which: int = 0) -> None:
        """All signals reach their instances."""
        for _ in range(5_000):
            if not self.deliver(which):
                return
        raise AssertionError("instances talk for ever")

    def instance(self, document: str) -> Instance:
        """Where a document stands."""
        return self.stories[document].instance

    def child(self, document: str, copy: str) -> Child:
        """What a document's instance knows of a copy."""
        return next(each for each in self.instance(document).children if each.key == key_of_document(copy))

    def _tell(self, document: str, event_type: str, facts: Mapping[str, Any]) -> Verdict:
        story = self._story(document)
        self._now = story.now = max(self._now, story.now)
        verdict = story.event(event_type, **facts)
        self._now = story.now
        self._collect(document)
        return verdict

    def _story(self, document: str) -> Story:
        if document not in self.stories:
            story = self.stories[document] = Story("official_document")
            story.instance = replace(story.instance, key=key_of_document(document))
        return self.stories[document]

    def _collect(self, document: str) -> None:
        """What the last step of a document's instance has sent."""
        story, names = self.stories[document], {key_of_document(name): name for name in self._names()}
        for emit in story.emitted[self._said.get(document, 0) :]:
            if emit.key:
                self.queues.setdefault((document, names[emit.key]), deque()).append(emit)
            elif emit.type == STATUS and emit.record["raw_status"] == "13":
                self.taken_back.append((document, emit.addressed_to))
            elif emit.type == STATUS:
                self.outcomes.append((document, emit.record["raw_status"], emit.record["description"]))
        self._said[document] = len(story.emitted)

    def _names(self) -> list[str]:
        named = {name for story in self.stories.values() for line in story.log for name in _named(line.event.facts)}
        return [*self.stories, *named]


def _named(facts: Mapping[str, Any]) -> list[str]:
    return [*facts.get("response_for", ()), *(old["document"] for old in facts.get("instead_of", ()))]
