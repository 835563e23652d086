"""What holds delivery as a whole up: alerts while it lasts, and their end when the same thing goes well again."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from router.delivery.commit import Alert
from router.ledger import alerts

BUS_UNREACHABLE: Final = "bus_unreachable"
DELIVERY_WAITS: Final = "delivery_waits"
LOOK_AROUND_FAILED: Final = "look_around_failed"
OUTBOX_WAITS: Final = "outbox_waits"
SUBJECTS: Final = dict.fromkeys((BUS_UNREACHABLE, DELIVERY_WAITS, LOOK_AROUND_FAILED), "delivery") | {
    OUTBOX_WAITS: "outbox"
}


class Troubles:
    """Raised each time a thing fails, which counts how often; cleared when it succeeds, also by a successor of the
    process that met it.
    """

    def __init__(self) -> None:
        self._standing: set[str] = set()
        self._told: list[Alert] = []
        self._outbox = ""
        self.begun = False

    def begin(self, standing: Iterable[alerts.Alert]) -> None:
        """What stands already: a process may have ended in the middle of its trouble."""
        self._standing |= {each.name for each in standing if SUBJECTS.get(each.name) == each.subject}
        self.begun = True

    def met(self, name: str, detail: str) -> None:
        """It failed."""
        self._standing.add(name)
        self._told.append(Alert(name, SUBJECTS[name], detail))

    def over(self, name: str) -> None:
        """It went well."""
        if name in self._standing:
            self._standing.remove(name)
            self._told.append(Alert(name, SUBJECTS[name], "", raised=False))

    def outbox(self, trouble: str) -> None:
        """What keeps the outbox from publishing, empty if nothing does: told when it changes."""
        if not trouble:
            self.over(OUTBOX_WAITS)
        elif trouble != self._outbox:
            self.met(OUTBOX_WAITS, trouble)
        self._outbox = trouble

    def told(self) -> list[Alert]:
        """What is to be told since the last time."""
        told, self._told = self._told, []
        return told
