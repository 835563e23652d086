"""What holds delivery as a whole up: alerts while it lasts, and their end when the same thing goes well again."""

from __future__ import annotations

from typing import Final

from router.delivery.commit import Alert

BUS_UNREACHABLE: Final = "bus_unreachable"
DELIVERY_WAITS: Final = "delivery_waits"
LOOK_AROUND_FAILED: Final = "look_around_failed"
OUTBOX_WAITS: Final = "outbox_waits"


class Troubles:
    """Of one process, which is the subject of their alerts: what one meets another need not. Raised each time a thing
    fails, which counts how often; cleared when it succeeds, or when the process has ended (``leases.forget``).
    """

    def __init__(self, process: str) -> None:
        self._process = process
        self._standing: set[str] = set()
        self._told: list[Alert] = []
        self._outbox = ""

    def met(self, name: str, detail: str) -> None:
        """It failed."""
        self._standing.add(name)
        self._told.append(Alert(name, self._process, detail))

    def over(self, name: str) -> None:
        """It went well."""
        if name in self._standing:
            self._standing.remove(name)
            self._told.append(Alert(name, self._process, "", raised=False))

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
