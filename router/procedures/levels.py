"""What the end of a dossier means for those that were opened for it at other levels. Pure.

One that is refused or withdrawn has no use for its children any more: whatever their definitions say, they are asked to
stop. The router stops none: each goes on until its own one-stop says so, and a person is told while it does. When a
correction brings the dossier back, they are asked to go on.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final, NamedTuple

from router.procedures import copies, signals
from router.procedures.definition import Definition
from router.procedures.effects import Alert, Emit
from router.procedures.instance import Instance
from router.procedures.status import DONE, GIVES_BACK, Status

PARENT_CLOSED: Final = "parent_closed"


class Followed(NamedTuple):
    """An instance after a step, and what has to be said because of it."""

    instance: Instance
    emissions: tuple[Emit, ...] = ()
    alerts: tuple[Alert, ...] = ()


def followed(definition: Definition, before: Instance, after: Instance, now: int) -> Followed:
    """What a step from ``before`` to ``after`` means for children, and for this one as a child."""
    if definition.subject != "dossier":
        return Followed(after)
    after, told = copies.tell(_closing(before, after))
    emissions = [signals.recall(after, child.key, organ, now) for child, organ in told]
    if copies.EVERYONE in before.recalled and copies.EVERYONE not in after.recalled:
        after, freed = copies.freed(after)
        emissions += [signals.go_on(after, child.key, now) for child in freed]
    if copies.ABOVE in before.recalled and copies.ABOVE not in after.recalled and _may_go_on(after):
        emissions.append(signals.resume(after, now))
    alerts: list[Alert] = []
    code, waited, waits = after.dossier.code, _to_be_stopped(before), _to_be_stopped(after)
    if waits and not waited:
        emissions.append(signals.stop(after, now))
        alerts.append(Alert(PARENT_CLOSED, code, "the dossier it was opened for is refused or withdrawn"))
    elif waited and not waits:
        alerts.append(Alert(PARENT_CLOSED, code, "", raised=False))
    return Followed(after, tuple(emissions), tuple(alerts))


def _closing(before: Instance, after: Instance) -> Instance:
    """Taken back from children while it is over without a result; from none when a correction brings it back."""
    if after.status in GIVES_BACK:
        return copies.recalled(after)
    corrected = before.status in GIVES_BACK and copies.ABOVE not in after.recalled
    return replace(after, recalled=()) if corrected else after


def _may_go_on(instance: Instance) -> bool:
    """Whether its agency has anything left to do: who has its result, or gave up of itself, has not."""
    return instance.status not in DONE and instance.status not in GIVES_BACK


def _to_be_stopped(instance: Instance) -> bool:
    """Whether it was recalled and neither has ended nor was stopped by its agency."""
    recalled = copies.EVERYONE in instance.recalled
    return recalled and not instance.end_state and instance.status != Status.STOPPED
