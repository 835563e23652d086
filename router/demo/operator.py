"""The demo's operator: looks at dead letters, corrects the poison record, discards what belongs to nobody."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from router.errors import OrderRefused
from router.ledger.dead_letters import DeadFilter
from router.ledger.query import Named
from router.ledger.rows import Verb
from router.operations import Operations
from router.placing import Answer
from router.ports import Clock
from router.service import Service

WHO: Final = "demo-operator"
TURN: Final = 0.25  # seconds between two looks
PAGE: Final = 50


@dataclass(slots=True)
class Letter:
    """A dead letter and what was done about it; empty if the operator did not know what to do."""

    name: str
    reason: str
    done: str = ""


@dataclass(slots=True)
class Operator:
    """``told`` hears of everything done; ``letters`` are all that were seen, by name."""

    service: Service
    clock: Clock
    told: Callable[[str], None]
    letters: dict[str, Letter] = field(default_factory=dict)

    @property
    def operations(self) -> Operations:
        """What an operator can ask and order."""
        return Operations(self.service.ledger, self.clock, self.service.lock)

    async def work(self) -> None:
        """Until cancelled."""
        while True:
            await self.clock.sleep(TURN)
            for letter in await self.operations.dead(DeadFilter(), PAGE):
                if letter.name not in self.letters:
                    await self._settle(letter)

    async def fates(self) -> list[dict[str, str]]:
        """All dead letters: why, what was done, and what became of them."""
        found = []
        for letter in self.letters.values():
            now = (await self.operations.show(letter.name)).named.delivery.state.value
            found.append({"dead_letter": letter.name, "reason": letter.reason, "done": letter.done, "now": now})
        return found

    def unexpected(self) -> list[Letter]:
        """Those that the story does not make."""
        return [letter for letter in self.letters.values() if not letter.done]

    async def _settle(self, named: Named) -> None:
        failure = named.delivery.failure
        letter = Letter(named.name, failure.reason if failure else "")
        try:
            answer = await self._act(named, letter)
        except OrderRefused:
            return  # looked at again in the next turn
        if answer is None or answer.result.applied:
            self.letters[named.name] = letter
            self.told(f"dead letter {named.name} ({letter.reason}): {letter.done or 'not expected'}")

    async def _act(self, named: Named, letter: Letter) -> Answer | None:
        if named.recipient == "land-h39" and letter.reason == "malformed":
            letter.done = "corrected and replayed"
            body = await self._corrected(named)
            return await self.operations.replay(named.name, who=WHO, why="bổ sung thửa đất", body=body)
        if letter.reason == "unknown_dossier":
            letter.done = "belongs to nobody, discarded"
            return await self.operations.order(named.name, Verb.DISCARD, who=WHO, why="hồ sơ không tồn tại")
        return None

    async def _corrected(self, named: Named) -> bytes:
        """The record with the parcel that was left out."""
        shown = await self.operations.show(named.name)
        codec = self.service.codec
        record = codec.decode(shown.editions[0][1].value)
        record["parcels"] = [{"parcel_number": "215", "map_sheet": "12", "area": 120.5}]
        return codec.encode("land.file_submitted", record)
