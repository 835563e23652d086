"""One dossier or document as a person asks for it: where it stands, what it waits for, everything that happened."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from router.errors import CodecError
from router.events import CE_ADDRESSED_TO, text_header
from router.ledger import life as ledger_life
from router.ledger.life import At, Life, life
from router.masking import mask
from router.ports import Ledger
from router.procedures.dues import Clockwork, agency_due, due_at
from router.procedures.facts import facts_of
from router.procedures.instance import Instance
from router.procedures.library import Library
from router.procedures.rows import instance_of
from router.reports import waits
from router.reports.relatives import CODES, Relatives, date_of, relatives, titled
from router.reports.timeline import Line, Timeline, untold
from router.reports.waits import Wait
from router.reports.words import status

MOST_DELIVERIES: Final = 2_000


class Shown(NamedTuple):
    """``summary`` has plain values only; ``waits`` what it waits for now; ``timeline`` all lines, oldest first."""

    summary: Mapping[str, Any]
    waits: Sequence[Wait]
    timeline: Sequence[Line]
    relatives: Relatives = Relatives()


class Dossiers:
    """Read-only. Works with and without procedures: without, a dossier is what was delivered of it."""

    def __init__(
        self, ledger: Ledger, library: Library, clockwork: Clockwork, decode: Callable[[bytes], Mapping[str, Any]]
    ) -> None:
        self._ledger, self._library, self._clockwork, self._decode = ledger, library, clockwork, decode

    async def show(self, code: str, lang: str = "vi") -> Shown | None:
        """By any code, number, payment reference or internal id; None when nothing is known of it."""
        known = await self._ledger.read(lambda conn: life(conn, code, limit=MOST_DELIVERIES))
        unplaced = await self._ledger.read(lambda conn: ledger_life.waiting_for(conn, code))
        if not known.known and not unplaced:
            return None
        instances = [instance_of(stored) for stored in known.instances.values()]
        timeline = Timeline(known, instances, await self._carried(known))
        found = [wait for instance in instances for wait in self._waits(instance, lang)]
        found += [*waits.of_deliveries(known.deliveries), *waits.of_unplaced(unplaced)]
        kin = await self._ledger.read(lambda conn: relatives(conn, instances, self._library.subject_of))
        return Shown(self._summary(code, known, instances), found, timeline.lines(), kin)

    def _waits(self, instance: Instance, lang: str) -> list[Wait]:
        """Nothing for an instance of a definition that this installation does not have."""
        definition = self._library.definitions.get((instance.procedure, instance.definition))
        if definition is None or instance.end_state:
            return []
        return list(waits.of_instance(instance, definition, self._clockwork, lang))

    def _summary(self, code: str, known: Life, instances: Sequence[Instance]) -> dict[str, Any]:
        told: dict[str, Any] = {
            "code": mask(next((value for scheme, value in known.aliases if scheme in CODES), code)),
            "keys": [key.hex() for key in known.keys],
            "known_as": [f"{scheme} {mask(value)}" for scheme, value in known.aliases],
        }
        for instance in instances[:1]:
            due = instance.due
            told |= {
                "procedure": titled(instance),
                "agency": instance.dossier.agency,
                "status": status(instance.status),
                "ended": instance.end_state,
                "due_date": date_of(due_at(due.whole)),
                "due_date_of_the_agency": date_of(agency_due(due)),
                "paused": due.paused_why,
                "overdue_since": date_of(due.detected_at),
                "apology": date_of(due.apology_at),
                "extended": due.extended,
                "integrity_warning": instance.dossier.integrity_warning,
            }
        if not known.complete:
            told["incomplete"] = f"the oldest {MOST_DELIVERIES} deliveries only"
        return told

    async def _carried(self, known: Life) -> dict[At, Mapping[str, Any]]:
        """Facts of the events that no log holds, from their payloads; of what cannot be read, none."""
        wanted = {(each.delivery.shard, each.delivery.seq): each.delivery.event_type for each in untold(known)}
        bodies = await self._ledger.read(lambda conn: ledger_life.bodies(conn, wanted))
        found: dict[At, Mapping[str, Any]] = {}
        for at, body in bodies.items():
            try:
                record = self._decode(body.value)
            except CodecError:
                continue
            found[at] = facts_of(wanted[at], record, text_header(body.headers, CE_ADDRESSED_TO))
        return found
