"""The local recipient ``procedures``: deliveries become steps of instances, and steps become rows of the ledger."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from router.events import CE_PROCEDURE, text_header
from router.ledger import identity, instances, store
from router.ledger.instances import Changes, Stored
from router.ledger.local import LocalEffect, LocalWork
from router.ledger.rows import Emission, Order, OrderResult, Shard, State, Verb, Write
from router.ports import Clock, Ledger
from router.procedures import dues, emissions
from router.procedures.definition import Definition
from router.procedures.dues import Clockwork
from router.procedures.effects import Alert, Refused, Step
from router.procedures.engine import step
from router.procedures.instance import Instance
from router.procedures.library import Library, Used
from router.procedures.ordered import decide
from router.procedures.raised import tell
from router.procedures.recalculation import recalculate
from router.procedures.rows import changes_of, instance_of
from router.procedures.signals import TIMER_DUE
from router.procedures.stimulus import event_of, pinned
from router.procedures.timetable import standing

if TYPE_CHECKING:
    from sqlalchemy import Connection

PROCEDURES: Final = "procedures"


class Procedures:
    """See ``LocalRecipient``. ``decode`` and ``encode`` are the codec's; ``level_of`` tells an agency code's level."""

    def __init__(
        self,
        ledger: Ledger,
        clock: Clock,
        library: Library,
        clockwork: Clockwork,
        *,
        decode: Callable[[bytes], Mapping[str, Any]],
        encode: Callable[[str, Mapping[str, Any]], bytes],
        level_of: Callable[[str], str],
    ) -> None:
        self._ledger, self._clock, self._library, self._clockwork = ledger, clock, library, clockwork
        self._decode, self._encode, self._level_of = decode, encode, level_of

    @property
    def id(self) -> str:
        """Its name; its topic is ``lgsp.to.procedures``."""
        return PROCEDURES

    async def check(self) -> None:
        """Raises ``ConfigError`` if a definition that open instances run by is missing, or says other things now."""
        used = await self._ledger.read(instances.pinned)
        self._library.require(Used(*each) for each in used)

    async def prepare(self, works: Sequence[LocalWork]) -> list[LocalEffect]:
        """A step for each work. Raises the codec's errors for a payload that cannot be read."""
        keys = {work.delivery.key for work in works}
        found, rows = await self._ledger.read(
            lambda conn: (instances.load(conn, keys), instances.standing_timers(conn, keys))
        )
        now = dues.micros(self._clock.business())
        steps = [self._step(work, found.get(work.delivery.key), now) for work in works]
        refused = {(r.event.shard, r.event.seq): r for made in steps if made for r in made[2].refused}
        originals = await self._originals(refused) if refused else {}
        await self._follow_links(steps)
        urgent = await self._urgent(works, steps)
        return [
            self._effect(work, made, originals, rows.get(work.delivery.key, {}), urgent)
            for work, made in zip(works, steps, strict=True)
        ]

    def order(self, conn: Connection, shard: Shard, order: Order, now: int) -> OrderResult | None:
        """A recalculation of due dates by today's calendar: a page of the shard's open dossiers. Or a person's decision
        about money of one dossier.
        """
        at = dues.micros(self._clock.business())
        if order.verb is not Verb.RECALCULATE:
            return decide(
                conn, shard, order, self._library, self._clockwork, self._encode, self._level_of, at, self._clock.now()
            )
        return recalculate(conn, shard, order, self._library, self._clockwork, self._level_of, at)

    def _step(
        self, work: LocalWork, stored: Stored | None, now: int
    ) -> tuple[Instance | None, Definition, Step] | None:
        event = event_of(work, self._decode)
        before = instance_of(stored) if stored is not None else None
        if before is None and event.type == TIMER_DUE:
            return None  # of an instance that is gone
        key, procedure = str(UUID(bytes=work.delivery.key)), text_header(work.body.headers, CE_PROCEDURE)
        definition, instance = pinned(self._library, event, before, procedure, key, now)
        made = step(definition, instance, event, self._clockwork, now)
        return instance if before is not None else None, definition, made

    async def _follow_links(self, steps: Sequence[tuple[Instance | None, Definition, Step] | None]) -> None:
        """What is said to another instance goes to the key that stands for it now: a code's own key may be linked."""
        made = [each[2] for each in steps if each]
        keys = {emit.key for step_ in made for emit in step_.emissions if emit.key}
        if not keys:
            return
        now = await self._ledger.read(lambda conn: identity.currents(conn, {UUID(key) for key in keys}))
        standing = {key: str(now[UUID(key)]) for key in keys}
        for step_ in made:
            step_.emissions = [emit._replace(key=standing.get(emit.key, "")) for emit in step_.emissions]

    async def _urgent(
        self, works: Sequence[LocalWork], steps: Sequence[tuple[Instance | None, Definition, Step] | None]
    ) -> frozenset[bytes]:
        """Which of the keys that something is sent to are urgent."""
        pairs = zip(works, steps, strict=True)
        keys = {
            emissions.target_of(emissions.origin_of(work), emit)
            for work, made in pairs
            if made
            for emit in made[2].emissions
        }
        return await self._ledger.read(lambda conn: identity.urgent_among(conn, keys)) if keys else frozenset()

    async def _originals(self, refused: Mapping[tuple[int, int], Refused]) -> dict[tuple[int, int], emissions.Original]:
        """The bytes of refused events, and where they stood."""

        def read(conn: Connection) -> dict[tuple[int, int], emissions.Original]:
            found: dict[tuple[int, int], emissions.Original] = {}
            for shard, seq in refused:
                delivery, body = store.one(conn, shard, seq), store.bodies(conn, shard, [seq]).get(seq)
                if delivery is not None and body is not None:
                    found[shard, seq] = emissions.Original(delivery.offset, body)
            return found

        return await self._ledger.read(read)

    def _effect(
        self,
        work: LocalWork,
        made: tuple[Instance | None, Definition, Step] | None,
        originals: Mapping[tuple[int, int], emissions.Original],
        stored: Mapping[str, int],
        urgent: frozenset[bytes],
    ) -> LocalEffect:
        if made is None:
            return LocalEffect(State.DELIVERED, receipt={"verdict": "noted"})
        before, definition, result = made
        now = dues.micros(self._clock.business())
        known = {} if before is None else standing(before, definition, self._clockwork, stored, now)
        if work.delivery.event_type == TIMER_DUE and (name := _timer_of(result)) not in stored:
            known.pop(name, None)  # its row went when it became this event
        changes = changes_of(work.delivery.key, before, known, result, self._level_of)
        origin = emissions.origin_of(work)
        sent: list[Emission] = [
            emissions.emitted(work.shard, origin, number, emit, self._encode, self._clock.business(), urgent)
            for number, emit in enumerate(result.emissions)
        ]
        for each in result.refused:
            if (original := originals.get((each.event.shard, each.event.seq))) is not None:
                sent.append(emissions.dead_letter(work.shard, work.delivery.key, each, original))
        receipt = {"verdict": result.log[0].verdict.value, "flags": list(result.log[0].flags)}
        write = Write(_write, (changes, result.alerts, self._clock.now()))
        return LocalEffect(State.DELIVERED, receipt=receipt, emissions=sent, write=write)


def _write(conn: Connection, steps: Sequence[tuple[Changes, Sequence[Alert], int]]) -> None:
    instances.write(conn, [changes for changes, _, _ in steps])
    for _, raised, now in steps:
        tell(conn, raised, now)


def _timer_of(result: Step) -> str:
    return next((str(line.event.facts.get("name")) for line in result.log if line.event.type == TIMER_DUE), "")
